"""`livesegments import`, from a shop's export to rows in Redis: what is unclear, what is kept, and twice is once."""

import os
import stat
import tomllib

import pytest
import typer
from typer.testing import CliRunner

from consumer.currency import Rates
from livesegments.asking import ask
from livesegments.cli import app
from livesegments.import_entry import EntryError, entry_text, write_entry
from livesegments.import_reports import read_reports
from livesegments.importing import choose
from livesegments.sources import load_settings
from producer.importing.plan import PlanError
from producer.importing.pseudonyms import SaltError
from producer.importing.questions import Choice, Question, UnclearError
from tests.deployment import Deployment

SALT = "a salt for tests only"
TABLE = """Bestellnr;E-Mail;Datum;Artikel;Menge;Einzelpreis
1;Anna@example.org;13.02.2026 10:00;Tasse;2;1.250,50
2;;14.02.2026 11:00;Tasse;1;1.250,50
3; anna@example.org;15.03.2026 12:00;Löffel;4;2,50
4;bob@example.org;15.03.2026 13:00;=cmd|'/c calc'!A1;-1;2,50
"""
TOLD = ("--currency", "EUR", "--zone", "Europe/Berlin", "--customer-from", "email")


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bestellungen-2026.csv"
    path.write_bytes(TABLE.encode("cp1252"))
    return path


def call(*arguments, **environment):
    return CliRunner(env={"COLUMNS": "160", **environment}).invoke(app, ["import", *map(str, arguments)])


def test_from_a_dry_run_to_rows_and_twice_is_once(table, redis_url, one_redis_url):
    deployment = Deployment(one_redis_url, redis_url, f"import-{os.getpid()}", partitions=2)
    where = ["--redis-url", redis_url, "--log-url", one_redis_url, "--partitions", "2"]
    where += ["--key-prefix", deployment.tag, "--log-prefix", f"{deployment.tag}-"]
    tried = call(table, "--dry-run", *TOLD, LIVESEGMENTS_CUSTOMER_SALT=SALT)
    assert tried.exit_code == 0, tried.output
    for told in (
        "2 customers",
        "1 orders of guests, 33.2% of revenue EUR (1,250.50)",
        "[imports.bestellungen] written",
    ):
        assert told in tried.output
    assert "example.org" not in tried.output
    kept = tomllib.loads((table.parent / "livesegments.toml").read_text())
    assert kept["imports"]["bestellungen"]["columns"]["email"] == "E-Mail"
    assert SALT not in (table.parent / "livesegments.toml").read_text()
    for _ in range(2):
        done = call(table, "--currency", "EUR", *where, LIVESEGMENTS_CUSTOMER_SALT=SALT)
        assert done.exit_code == 0, done.output
        assert "as [imports.bestellungen] of the settings says" in done.output
        assert "4 events published" in done.output
        assert "page Data" not in done.output
    [told] = read_reports(deployment.state)
    assert (told.files, told.who, told.outcome, told.published) == (("bestellungen-2026.csv",), None, "done", 4)
    elsewhere = ["--redis-url", "redis://127.0.0.1:1/0", *where[2:]]
    alone = call(table, "--currency", "EUR", *elsewhere, LIVESEGMENTS_CUSTOMER_SALT=SALT)
    assert (alone.exit_code, alone.output.count("the page Data will not tell of this (Redis: ")) == (0, 1)
    assert "4 events published" in alone.output, "nothing is lost where Redis is out of reach"
    deployment.run(rates=Rates("EUR"))
    rows = deployment.rows()
    assert sorted(len(who) for who in rows) == [7, 35, 35]
    assert (rows["guest:2"]["orders"], rows["guest:2"]["spend"]) == (1, 1_250_500_000)
    anna = max(rows.values(), key=lambda row: row["orders"])
    assert (anna["orders"], anna["spend"]) == (2, 2_511_000_000)
    assert "does not count" not in done.output
    table.write_bytes(TABLE.replace(".2026", ".2025").encode("cp1252"))
    late = call(table, "--currency", "EUR", *where, LIVESEGMENTS_CUSTOMER_SALT=SALT).output.replace("\n", " ")
    assert "there are events up to 2026-03-15 already" in late
    assert "from before 2026-02-13, does not count" in late
    listed = deployment.reader().segments()
    assert (listed.guest_orders, sum(one.size for one in listed.segments)) == (1, 2)


def test_what_is_unclear_is_an_error_that_names_the_options(table):
    with pytest.raises(UnclearError) as unclear:
        choose([table], load_settings(), {})
    lines = str(unclear.value).splitlines()
    assert len(lines) == 3
    for line, option in zip(lines, ("--customer-from email", "--set currency=EUR", "--zone"), strict=True):
        assert option in line


def test_questions_are_asked_one_after_the_other(table, monkeypatch):
    monkeypatch.setenv("LIVESEGMENTS_CUSTOMER_SALT", SALT)
    asked = []

    def answer(questions):
        (question,) = questions
        asked.append(question.text)
        if question.choices:
            return question.choices[0].answers
        return {question.key: {"set.currency": "EUR", "zone": "Europe/Berlin"}[question.key]}

    chosen = choose([table], load_settings(), {}, ask=answer)
    assert len(asked) == 3
    assert (chosen.plan.customer_from, chosen.plan.zone) == ("email", "Europe/Berlin")


def test_a_question_on_a_terminal_takes_a_number_or_a_text():
    one = Question("which?", (Choice("this", {"a": "1"}, "-a"), Choice("that", {"a": "2"}, "-b")))
    other = Question("where?", (), "zone", "--zone", ("UTC",))
    found = {}
    asking = typer.Typer()
    asking.command()(lambda: found.update(ask([one, other])))
    CliRunner().invoke(asking, input="7\n2\nEurope/Paris\n")
    assert found == {"a": "2", "zone": "Europe/Paris"}


def test_nothing_is_published_that_could_not_be_counted(table):
    done = call(table, *TOLD[2:], "--set", "currency=USD", LIVESEGMENTS_CUSTOMER_SALT=SALT)
    assert "nothing is published" in str(done.exception)
    assert 'rates.USD = {"2026-02-13" = "0.86"}' in done.output.replace("\n", " ")


def test_another_salt_is_noticed(table, monkeypatch):
    assert isinstance(call(table, "--dry-run", *TOLD).exception, SaltError)
    assert call(table, "--dry-run", *TOLD, LIVESEGMENTS_CUSTOMER_SALT=SALT).exit_code == 0
    changed = call(table, "--dry-run", LIVESEGMENTS_CUSTOMER_SALT=SALT + "!")
    assert "another one than at the first import" in str(changed.exception)


def test_the_settings_file_keeps_all_else(tmp_path):
    path = tmp_path / "livesegments.toml"
    path.write_text(
        '# ours\ncurrency = "EUR" # and why\n\n[imports.other]\nzone = "UTC"\ncolumns = {occurred_at = "T"}\n'
    )
    path.chmod(0o640)
    before = path.read_text()
    table = {
        "decimal": ",",
        "columns": {"customer_id": 'Ku"nde', "näme": "A\x7f\u2028é"},
        "orders": {"columns": {"a": "b"}},
    }
    assert write_entry(path, "a b", table)
    assert path.read_text().startswith(before)
    assert tomllib.loads(path.read_text())["imports"]["a b"] == table
    assert not write_entry(path, "a b", table)
    assert write_entry(path, "a b", {"columns": {"x": "y"}})
    assert path.read_text() == before + "\n" + entry_text("a b", {"columns": {"x": "y"}})
    assert write_entry(path, "other", {"columns": {"x": "y"}})
    assert tomllib.loads(path.read_text())["imports"] == {name: {"columns": {"x": "y"}} for name in ("a b", "other")}
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    path.write_bytes(b"# of Windows\r\nk = 3\r\n")
    assert write_entry(path, "other", {"columns": {"x": "y"}})
    assert path.read_bytes().startswith(b"# of Windows\r\nk = 3\r\n\r\n# Found out")
    path.write_text('imports.shop = {columns = {a = "b"}}\n')
    with pytest.raises(EntryError, match="by hand"):
        write_entry(path, "shop", {"columns": {"x": "y"}})
    assert path.read_text() == 'imports.shop = {columns = {a = "b"}}\n'


def test_next_month_s_file_may_say_otherwise_and_other_files_have_other_names(table):
    said = {"LIVESEGMENTS_CUSTOMER_SALT": SALT}
    assert call(table, "--dry-run", *TOLD, **said).exit_code == 0
    later = table.with_name("bestellungen-2027.csv")
    later.write_bytes(TABLE.replace("15.03.2026", "04/15/2026").encode("cp1252"))
    refused = call(later, "--currency", "EUR", **said)
    assert "dates such as '04/15/2026 12:00' are mdy, and all are read as dmy" in refused.output.replace("\n", " ")
    assert "nothing is published: some may have been read as other days" in str(refused.exception)
    other = table.with_name("bestellungen 3.csv")
    other.write_bytes(TABLE.replace("Artikel", "Ware").encode("cp1252"))
    assert "[imports.bestellungen-2] written" in call(other, "--dry-run", *TOLD, **said).output
    assert set(tomllib.loads((table.parent / "livesegments.toml").read_text())["imports"]) == {
        "bestellungen",
        "bestellungen-2",
    }


def test_what_is_found_out_for_one_shop_is_not_said_of_another(table):
    settings = table.parent / "livesegments.toml"
    settings.write_text(
        '[shops.berlin]\ncurrency = "EUR"\nzone = "Europe/Berlin"\n\n[shops.london]\ncurrency = "GBP"\n'
    )
    said = {"LIVESEGMENTS_CUSTOMER_SALT": SALT}
    first = call(table, "--dry-run", "--customer-from", "email", "--shop", "berlin", **said)
    assert "[shops.berlin.imports.bestellungen] written" in first.output
    assert (
        "as [imports.bestellungen] of the settings says" in call(table, "--dry-run", "--shop", "berlin", **said).output
    )
    second = call(table, "--dry-run", "--customer-from", "email", "--zone", "UTC", "--shop", "london", **said)
    assert "1,250.50 GBP" in second.output.replace("\n", "")
    shops = tomllib.loads(settings.read_text())["shops"]
    assert [shops[one]["imports"]["bestellungen"]["constants"]["currency"] for one in shops] == ["EUR", "GBP"]
    assert write_entry(settings, "bestellungen", {"columns": {"x": "y"}}, "berlin")
    shops["berlin"]["imports"]["bestellungen"] = {"columns": {"x": "y"}}
    assert tomllib.loads(settings.read_text())["shops"] == shops


def test_an_import_of_the_settings_that_is_wrong_is_told_with_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "livesegments.toml").write_text('[imports.shop]\ncolumns = {who = "A"}\n')
    with pytest.raises(Exception, match=r"shop: columns.who: unknown field"):
        load_settings()


def test_two_imports_that_fit_are_told_apart_by_name(table, monkeypatch):
    monkeypatch.setenv("LIVESEGMENTS_CUSTOMER_SALT", SALT)
    for name in ("one", "two"):
        assert call(table, "--dry-run", "--as", name, *TOLD).exit_code == 0
    with pytest.raises(PlanError, match="--as NAME"):
        choose([table], load_settings(), {})
    assert choose([table], load_settings(), {}, "two").name == "two"
