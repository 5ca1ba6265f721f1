"""The gate of the pages, over real HTTP: who is let in, from where, and what a browser is told."""

import asyncio
import re
from http import HTTPStatus

import httpx
import pytest
from starlette.responses import PlainTextResponse

from dashboard.pages.gate import _within
from dashboard.pages.static_files import MOST_KEPT, StaticFiles
from tests.web_shop import SECONDS, WebShop, key, keys_of, page_parts, served


@pytest.fixture(scope="module")
def url():
    shop = WebShop()
    parts = shop.parts(keys=keys_of(anna="viewer", root="admin"))
    with served(parts, page_parts(shop, parts)) as url:
        yield url


@pytest.fixture(scope="module")
def open_url():
    shop = WebShop()
    parts = shop.parts()
    with served(parts, page_parts(shop, parts)) as url:
        yield url


@pytest.fixture
def client(url):
    with httpx.Client(base_url=url, timeout=SECONDS, headers={"Origin": url}) as client:
        yield client


def log_in(client, name="anna", **form):
    return client.post("/app/login", data={"key": key(name), **form})


HTML = {"Accept": "text/html"}


def test_a_page_leads_to_the_log_in_and_from_there_back(client):
    answer = client.get("/app/segments?x=1", headers=HTML)
    assert answer.status_code == HTTPStatus.SEE_OTHER
    assert answer.headers["location"] == "/app/login?next=%2Fapp%2Fsegments%3Fx%3D1"
    assert 'value="/app/segments?x=1"' in client.get(answer.headers["location"]).text
    answer = log_in(client, next="/app/segments?x=1")
    assert answer.headers["location"] == "/app/segments?x=1"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert "path=/app/" in cookie.lower()
    assert client.get("/app/segments", headers=HTML).status_code == HTTPStatus.OK


@pytest.mark.parametrize(
    "path", ["_dash-layout", "_dash-dependencies", "download/export/customers.csv", "nowhere", "_reload-hash"]
)
def test_nothing_else_is_answered_without_a_log_in(client, path):
    assert client.get(f"/app/{path}").status_code == HTTPStatus.UNAUTHORIZED


@pytest.mark.parametrize("shown", ["", "lsk_wrong", "x" * 5000])
def test_a_key_that_is_not_known_opens_nothing(client, shown):
    answer = client.post("/app/login", data={"key": shown})
    assert answer.status_code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.REQUEST_ENTITY_TOO_LARGE}
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("path", ["login", "logout", "_dash-update-component"])
@pytest.mark.parametrize("origin", ["http://evil.example", "null", None])
def test_nothing_that_changes_anything_comes_from_elsewhere(client, path, origin):
    log_in(client)
    headers = {} if origin is None else {"Origin": origin}
    if origin is None:
        del client.headers["Origin"]
    answer = client.post(f"/app/{path}", data={"key": key("anna")}, headers=headers)
    assert answer.status_code == HTTPStatus.FORBIDDEN


def test_the_log_in_leads_to_our_own_pages_only():
    for address in (
        "//evil.example/app/",
        "https://evil.example/app/",
        "/other",
        "/app/login",
        "/app/\\evil",
        "",
        "/app/\n",
    ):
        assert _within(address) == "/app/"
    assert _within("/app/customer?id=%3C1") == "/app/customer?id=%3C1"


def test_a_download_is_the_apis_answer_for_whoever_has_logged_in(client):
    log_in(client)
    assert client.get("/app/download/export/customers.csv").status_code == HTTPStatus.FORBIDDEN
    log_in(client, "root")
    answer = client.get("/app/download/export/customers.csv")
    assert answer.status_code == HTTPStatus.OK
    assert answer.text.startswith('"customer_id"')
    assert client.get("/export/customers.csv").status_code == HTTPStatus.UNAUTHORIZED  # the API itself takes keys only


def test_nobody_says_of_themselves_who_they_are(client):
    assert client.get("/segments", headers={"livesegments.caller": "root"}).status_code == HTTPStatus.UNAUTHORIZED


def test_a_browser_loads_nothing_from_elsewhere_and_runs_no_script_of_a_page(client):
    log_in(client)
    headers = client.get("/app/", headers=HTML).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    scripts = next(part for part in policy.split(";") if part.strip().startswith("script-src"))
    assert "unsafe" not in scripts
    assert "http" not in scripts
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


def scripts(client) -> list[str]:
    return re.findall(r'<script src="(/app/[^"]+)"', client.get("/app/", headers=HTML).text)


def test_files_are_sent_gzipped_and_kept_by_browsers(client):
    log_in(client)
    found = scripts(client)
    assert len(found) > 5
    packed = unpacked = 0
    for path in found:
        answer = client.get(path)
        as_it_is = client.get(path, headers={"Accept-Encoding": "identity"})
        assert answer.status_code == as_it_is.status_code == HTTPStatus.OK
        assert answer.headers["content-encoding"] == "gzip"
        assert "content-encoding" not in as_it_is.headers
        assert answer.content == as_it_is.content
        assert "script-src" in answer.headers["content-security-policy"]
        packed += int(answer.headers["content-length"])
        unpacked += len(as_it_is.content)
        for_good = "/_dash-component-suites/" in path
        assert ("immutable" in answer.headers["cache-control"]) == for_good
        again = client.get(path, headers={"If-None-Match": answer.headers["etag"]})
        assert again.status_code == HTTPStatus.NOT_MODIFIED
        assert again.content == b""
    assert packed < unpacked / 2


def test_what_one_visitor_alone_may_see_is_never_compressed(client):
    log_in(client)
    assert client.headers["accept-encoding"].startswith("gzip")
    for path in ("", "_dash-layout", "_dash-dependencies", "assets/../_dash-layout"):
        answer = client.get(f"/app/{path}", headers=HTML)
        assert answer.status_code == HTTPStatus.OK
        assert "content-encoding" not in answer.headers
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "path",
    [
        "assets/none.js",
        "_dash-component-suites/dash/none.js",
        "_dash-component-suites/none/none.js",
        "assets/%2E%2E/%2E%2E/pages/gate.py",
    ],
)
def test_no_other_files_are_sent(client, path):
    answer = client.get(f"/app/{path}")
    assert answer.status_code == HTTPStatus.NOT_FOUND
    assert "Gate" not in answer.text


def test_a_file_has_one_name():
    """Other spellings of it would each be kept, for whoever asks."""
    asked = []

    async def files(scope, receive, send):
        asked.append(scope["path"])
        await PlainTextResponse("body")(scope, receive, send)

    async def ask():
        transport = httpx.ASGITransport(StaticFiles(files))
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            for path in ("assets/%2E/theme.css", "assets//theme.css", "assets/zzz/%2E%2E/theme.css", "assets/%00"):
                assert (await client.get(f"/app/{path}")).status_code == HTTPStatus.NOT_FOUND
            assert asked == []
            for number in range(MOST_KEPT + 2):
                assert (await client.get(f"/app/assets/{number}")).text == "body"
            asked.clear()
            assert (await client.get("/app/assets/0")).headers["content-encoding"] == "gzip"
            assert asked == []
            assert "content-encoding" not in (await client.get(f"/app/assets/{MOST_KEPT}")).headers

    asyncio.run(ask())


def test_without_keys_nobody_logs_in_and_only_this_machine_is_answered(open_url):
    with httpx.Client(base_url=open_url, timeout=SECONDS) as client:
        page = client.get("/app/", headers=HTML)
        assert page.status_code == HTTPStatus.OK
        assert client.get("/", headers=HTML).headers["location"] == "/app/"
        assert client.get("/app", headers=HTML).headers["location"] == "/app/"
        assert client.get("/app/login", headers=HTML).headers["location"] == "/app/"
        elsewhere = client.get("/app/", headers={**HTML, "Host": "evil.example"})
        assert elsewhere.status_code == HTTPStatus.FORBIDDEN
        assert "web_keys" in elsewhere.text


def test_the_api_beside_it_stays_as_it_is(client):
    assert client.get("/healthz").text == "ok\n"
    assert client.get("/nowhere").headers["content-type"] == "application/problem+json"
