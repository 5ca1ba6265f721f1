"""The page of imports: who may send files, what is refused on the way, and what stands there."""

from http import HTTPStatus

import httpx
import pytest

from dashboard.imports import Asked, ImportRefusedError, ImportState, Published, Step, Understood, Upload
from dashboard.pages.corrections import WHAT, answers_of, choices_of
from dashboard.pages.import_stages import body, progress
from livesegments.settings import Settings
from livesegments.sources import Loaded
from livesegments.web.importing import StateImports
from tests.web_shop import SECONDS, WebShop, key, keys_of, page_parts, served

ROOM = 1_000
HOSTILE = "<img src=x>\u202e.csv"


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    made = StateImports(Loaded(Settings(), {}, {}), ROOM, tmp_path_factory.mktemp("imports"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def url(desk):
    shop = WebShop()
    parts = shop.parts(keys=keys_of(vera="viewer", mia="marketer", anna="analyst", shop=["events:write"]), imports=desk)
    with served(parts, page_parts(shop, parts)) as url:
        yield url


@pytest.fixture
def client(url):
    with httpx.Client(base_url=url, timeout=SECONDS, headers={"Origin": url}) as client:
        yield client


def upload(client, name="orders.csv", data=b"a\n1\n", **more):
    return client.post("/app/upload", params={"name": name, "first": "1"}, content=data, **more)


def log_in(client, name):
    client.post("/app/login", data={"key": key(name)})


@pytest.mark.parametrize("who", ["vera", "mia", "shop"])
def test_nobody_else_sends_files(client, desk, who):
    assert upload(client).status_code == HTTPStatus.UNAUTHORIZED
    log_in(client, who)
    assert upload(client).status_code == HTTPStatus.FORBIDDEN
    assert desk.state(who).uploads == ()


def test_a_file_is_taken_in_and_one_that_does_not_fit_is_not(client, desk):
    log_in(client, "anna")
    assert upload(client, "../x/orders.csv", b"x" * ROOM).status_code == HTTPStatus.NO_CONTENT
    assert desk.state("anna").uploads == (Upload("orders.csv", ROOM),)
    answer = upload(client, data=b"x" * (ROOM + 1))
    assert answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert "web_import_max" in answer.text
    assert upload(client, "..").text.startswith("The file has no name")
    assert upload(client, data=iter([b"a"])).status_code == HTTPStatus.LENGTH_REQUIRED
    elsewhere = upload(client, headers={"Origin": "http://evil.example"})
    assert elsewhere.status_code == HTTPStatus.FORBIDDEN
    assert client.put("/app/upload", content=b"x").status_code == HTTPStatus.METHOD_NOT_ALLOWED


def understood(**more):
    chosen = {
        "made": (),
        "orders": (),
        "currencies": ("EUR",),
        "months": (("2026-01", "1", "0", "2.00", "0.00"), ("total", "1", "0", "2.00", "0.00")),
        "rows": 2,
        "lines": 1,
        "customers": 1,
        "guests": 0,
        "said": (),
        "unread": {"no date": 1},
        "refused": (),
        "obstacles": (),
        "events": 1,
        "columns": ("a",),
    }
    return Understood(**{**chosen, **more})


@pytest.mark.parametrize(
    ("state", "there", "missing"),
    [
        (ImportState(), "import-choose", "Publish"),
        (ImportState("looking", 1), "Looking", "publish"),
        (ImportState("asking", 1, asked=Asked("which?", (("this", {"a": "b"}),))), "Which?", "import-text"),
        (ImportState("asking", 1, asked=Asked("when?", (), "zone")), "Europe/Berlin", "'place': 0"),
        (ImportState("shown", 1, understood=understood()), "Publish 1 events", "import-choose"),
        (ImportState("shown", 1, understood=understood(obstacles=("no rate",))), "no rate", "Publish 1"),
        (ImportState("shown", 1, understood=understood(events=0)), "no order", "Publish 0"),
        (ImportState("publishing", 1), "You may leave", "drop"),
        (ImportState("done", 1, published=Published(3, "a", "x.toml", "")), "x.toml", "import-entry"),
        (ImportState("done", 1, published=Published(3, "a", "", "[imports.a]")), "[imports.a]", "from now on"),
        (ImportState("failed", 1, problem="no table"), "no table", "publish"),
    ],
)
def test_every_stage_says_what_to_do(state, there, missing):
    shown = str(body(state, ROOM))
    assert there in shown
    assert missing not in shown


def test_what_a_file_says_is_shown_as_it_is_printable():
    state = ImportState("failed", 1, (Upload(HOSTILE, 3),), problem=f"{HOSTILE}: is empty")
    assert "\u202e" not in str(body(state, ROOM))
    assert "\u202e" not in str(progress(Step(f"reading {HOSTILE}", 1)))


def test_without_a_deployment_nothing_is_asked_for():
    assert "import-choose" not in str(body(ImportState(), 0))


def test_corrections_are_answers_or_refused():
    assert set(answers_of("separator", "Tab").values()) == {"\t"}
    assert answers_of("cancelled", "none") == {"cancelled": ""}
    assert answers_of("set.currency", "EUR") == {"set.currency": "EUR"}
    assert choices_of("map.quantity", ("a", "b")) == ("a", "b")
    assert all(choices_of(what, ("a",)) for what in WHAT)
    for what, value in (("decimal", "tab"), ("map.quantity", " "), ("prefix", "x")):
        with pytest.raises(ImportRefusedError):
            answers_of(what, value)
