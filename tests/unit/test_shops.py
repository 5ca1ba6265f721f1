"""Several shops in one settings file."""

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from livesegments.cli import app
from livesegments.parts import keys, log_names
from livesegments.sources import SettingsError, load_settings

TWO = """
currency = "EUR"
margin = 0.2

[audiences]
"Big" = "spend > 100"

[shops.berlin]
zone = "Europe/Berlin"

[shops.london]
currency = "GBP"
k = 4

[shops.london.audiences]
"Rich" = "spend > 1000"
"""


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith("LIVESEGMENTS_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def write(text: str) -> None:
    Path("livesegments.toml").write_text(text)


def wrong(shop: str | None = "berlin") -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(shop=shop)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_a_shop_s_table_wins_over_what_all_have(monkeypatch):
    write(TWO)
    berlin, london = (load_settings(shop=one).settings for one in ("berlin", "london"))
    assert (berlin.currency, berlin.zone, berlin.k, berlin.margin) == ("EUR", "Europe/Berlin", "auto", 0.2)
    assert (london.currency, london.zone, london.k, london.margin) == ("GBP", "UTC", 4, 0.2)
    assert (list(berlin.audiences), list(london.audiences)) == (["Big"], ["Rich"])
    monkeypatch.setenv("LIVESEGMENTS_SHOP", "london")
    loaded = load_settings(flags={"k": "6"})
    assert (loaded.settings.currency, loaded.settings.k) == ("GBP", 6)
    assert loaded.origins["currency"] == "livesegments.toml, shop london"
    assert loaded.unknown_variables == {}
    assert load_settings(shop="berlin").settings.currency == "EUR"


def test_shops_are_apart_by_their_names():
    write(TWO)
    berlin, london = (load_settings(shop=one).settings for one in ("berlin", "london"))
    assert keys(berlin).segments() == "livesegments-berlin:segments"
    assert log_names(london).events == "london-customer-events"
    assert len({berlin.group, london.group}) == 2
    write('key_prefix = "s"\nlog_prefix = "l."\ngroup = "g"\n[shops.a]\n[shops.b]\nkey_prefix = "old"\n')
    first, second = (load_settings(shop=one).settings for one in ("a", "b"))
    assert (first.key_prefix, first.log_prefix, first.group) == ("s-a", "l.a-", "g-a")
    assert (second.key_prefix, second.log_prefix) == ("old", "l.b-")


@pytest.mark.parametrize("name", ["key_prefix", "log_prefix", "group"])
def test_shops_that_would_write_over_each_other_are_refused(name):
    write(f'[shops.berlin]\n{name} = "x"\n[shops.london]\n{name} = "x"\n')
    assert f"the shops berlin and london have the same {name}" in wrong()
    write(
        f'[shops.berlin]\n{name} = "x"\nredis_url = "redis://a:1/0"\n'
        f'[shops.london]\n{name} = "x"\nredis_url = "redis://b:1/0"\n'
    )
    assert load_settings(shop="berlin").settings.redis_url == "redis://a:1/0", "on other servers, no harm is done"


def test_logs_of_one_kafka_are_the_same_wherever_their_rows_are():
    for name in ("log_prefix", "group"):
        write(
            f'log_url = "kafka://k:9092"\n[shops.berlin]\n{name} = "x"\n'
            f'[shops.london]\n{name} = "x"\nredis_url = "redis://b:1/0"\n'
        )
        assert f"the shops berlin and london have the same {name}" in wrong()
    write(
        '[shops.berlin]\nkey_prefix = "x"\nredis_url = "redis://u:p@A:6379"\n'
        '[shops.london]\nkey_prefix = "x"\nredis_url = "redis://a/0"\n'
    )
    assert "the same key_prefix" in wrong(), "one server in two spellings"


@pytest.mark.parametrize(
    ("text", "shop", "said"),
    [
        (TWO, None, "choose one by --shop or LIVESEGMENTS_SHOP: berlin, london"),
        (TWO, "paris", "there is no shop 'paris': livesegments.toml has berlin, london"),
        ("k = 3", "berlin", "livesegments.toml has no [shops.berlin]"),
        (None, "berlin", "shops stand in a settings file, and there is none"),
        ("shops = 3", "berlin", "expected tables such as [shops.berlin]"),
        ("[shops]\nberlin = 3", "berlin", "shops.berlin: expected a table"),
        ('[shops."../x"]\nk = 3', "berlin", "no name of a shop"),
        ("[shops.berlin]\nkk = 3", "berlin", "shops.berlin: there is no setting 'kk'"),
        ("[shops.berlin]\n[shops.berlin.shops.x]", "berlin", "there is no setting 'shops'"),
        ("[shops.berlin]\nk = 1", "berlin", "(from livesegments.toml, shop berlin)"),
    ],
)
def test_mistakes_are_one_line(text, shop, said):
    if text is not None:
        write(text)
    assert said in wrong(shop)


def test_commands_take_a_shop_before_and_behind_their_name():
    write(TWO)
    for arguments in (["--shop", "london", "settings"], ["settings", "--shop", "london"]):
        done = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
        assert done.exit_code == 0
        assert "GBP" in done.output
        assert "livesegments-london" in done.output
    assert "choose one" in str(CliRunner().invoke(app, ["settings"]).exception)
