"""The command line without servers: commands, errors, what is imported, what is shown."""

import json
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import livesegments
from livesegments import __version__, cli
from livesegments.cli import COMMANDS, app, main
from livesegments.customers import CustomerIdError, checked_id
from livesegments.screen import plain


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIVESEGMENTS_REDIS_URL", "redis://127.0.0.1:1/0")


def run(*arguments: str):
    return CliRunner().invoke(app, arguments)


def ended(monkeypatch, *arguments: str) -> int:
    """The exit status of `livesegments ARGUMENTS`."""
    monkeypatch.setattr(sys, "argv", ["livesegments", *arguments])
    with pytest.raises(SystemExit) as status:
        main()
    return status.value.code or 0


def test_version():
    assert run("--version").output == f"livesegments {__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command):
    shown = run(command, "--help")
    assert shown.exit_code == 0
    assert f"livesegments {command}" in shown.output or command in shown.output
    assert command in run("--help").output
    described = " ".join(re.sub("[^ -~]", " ", shown.output).split())  # without frames
    assert COMMANDS[command] in described


def test_the_schema_of_events_is_json():
    assert "Purchase" in json.loads(run("schema").output)["$defs"]


def test_settings_in_force_and_where_they_come_from(tmp_path):
    (tmp_path / "livesegments.toml").write_text("k = 7\n")
    lines = run("settings", "--margin", "0.3").output.splitlines()
    found = {line.split()[0]: line.split()[1:] for line in lines if line.strip()}
    assert found["k"] == ["7", "livesegments.toml"]
    assert found["margin"] == ["0.3", "flag", "--margin"]
    assert found["restarts"][1:] == ["default"]


def test_the_config_flag_works_before_and_after_the_command(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("k = 7\n")
    for arguments in (("--config", "mine.toml", "settings"), ("settings", "--config", "mine.toml")):
        assert "mine.toml" in run(*arguments).output


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("show", "17850", "--k", "five"), 1, "k = 'five' (from flag --k)"),
        (("show", "17\n850"), 1, "can not be a customer id"),
        (("export", "table.txt"), 1, "expected a name that ends in"),
        (("replay", "nowhere.csv"), 1, "there is no such file"),
        (("replay", "nowhere.csv", "--speed", "fast"), 1, "speed 'fast'"),
        (("worker", "--until-idle", "soon"), 2, "a duration such as"),
        (("conquer",), 2, "No such command"),
        (("show",), 2, "Missing argument"),
        (("demo", "--for", "10s", "--redis", "http://x"), 1, "redis_url"),
    ],
)
def test_what_a_user_can_act_on_is_no_traceback(monkeypatch, capsys, arguments, status, told):
    assert ended(monkeypatch, *arguments) == status
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error
    if status == cli.FAILED:
        assert len(error.splitlines()) == 1


def test_a_fault_of_ours_is_a_traceback(monkeypatch):
    def broken(_text: str) -> float:
        raise ZeroDivisionError

    monkeypatch.setattr("livesegments.commands.replay.parse_speed", broken)
    monkeypatch.setattr(sys, "argv", ["livesegments", "replay", "x.csv"])
    with pytest.raises(ZeroDivisionError):
        main()


def test_a_server_that_is_down_is_one_line(monkeypatch, capsys):
    assert ended(monkeypatch, "show", "17850") == cli.FAILED
    assert capsys.readouterr().err.startswith("livesegments: Redis")


def test_check_says_which_server_is_down(monkeypatch, capsys):
    assert ended(monkeypatch, "check") == cli.FAILED
    shown = capsys.readouterr().out
    assert "redis    failed redis://127.0.0.1:1/0: connection refused" in shown
    assert ended(monkeypatch, "check", "--quiet", "--log-url", "kafka://127.0.0.1:1") == cli.FAILED
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()] == [
        ["redis", "failed"],
        ["kafka", "failed"],
    ]


# ---- imports ----


def imported(code: str) -> set[str]:
    """Top-level modules that code brings in, in a fresh interpreter."""
    script = f"{code}\nimport sys; print(*{{name.split('.')[0] for name in sys.modules}})"
    return set(
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    )


HEAVY = {"kafka", "redis", "numpy", "pandas", "pyarrow", "river", "scipy", "sklearn", "pydantic"}


def test_importing_livesegments_is_cheap():
    assert not HEAVY & imported("import livesegments")


def test_a_reader_needs_no_kafka():
    assert not {"kafka", "pandas", "river", "scipy"} & imported("from livesegments import CustomerReader")


def test_a_check_needs_nothing_of_the_worker():
    light = imported("import livesegments.commands.check")
    assert not {"river", "scipy", "pandas", "pyarrow"} & light


def test_a_worker_brings_nothing_that_only_reviews_need():
    assert not {"sklearn", "pandas", "pyarrow"} & imported("import livesegments.commands.worker, consumer.worker")


def test_there_is_nothing_else_to_import():
    with pytest.raises(AttributeError, match="Publisher"):
        livesegments.Publisher  # noqa: B018
    assert livesegments.EventPublisher.__name__ == "EventPublisher"


# ---- what customers and producers wrote ----


@given(st.text())
def test_nothing_that_is_shown_controls_the_terminal(text):
    assert plain(text).isprintable()


@given(st.text(st.characters(exclude_categories=["C", "Z"])))
def test_what_is_printable_stays(text):
    assert plain(text) == text


@pytest.mark.parametrize("text", ["", "x" * 129, "a\x1bb", "\udcff"])
def test_what_can_not_be_a_customer(text):
    with pytest.raises(CustomerIdError):
        checked_id(text)
