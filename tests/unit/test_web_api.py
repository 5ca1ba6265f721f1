"""The HTTP API, asked over real HTTP: what each route answers, to whom, and what it says when something is wrong."""

import csv
import io
import itertools
import json
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx
import pyarrow.parquet
import pytest

from contracts.events import MAX_ID_LENGTH
from contracts.times import DAY, rfc3339
from dashboard.access import SCOPES
from dashboard.api.changes import Listeners
from dashboard.audit import AT_A_TIME, AuditTrail
from dashboard.masking import Masks
from livesegments.app import Deployment
from livesegments.settings import Settings
from livesegments.web.opening import likest
from logs.base import LogUnavailableError
from online_model.rules import Audience, parse
from recommender.reader_async import AsyncCustomerReader
from tests.in_process import START, fixed_model
from tests.web_shop import SECONDS, WebShop, asking, key, keys_of, served

HOSTILE = (
    *("a/b", "..", "a/../b", "%2F", "a b", "ä", "日本", "<script>alert(1)</script>", "'; DROP TABLE", '"', "\\"),
    *("a?b=c#d", "similar", "x/similar", ":batchGet", "*", "{p0}", "=1+1", "a,b", "🛒", "x" * MAX_ID_LENGTH),
)


def purchase(customer, n=0, item="mug", **more):
    return {
        "type": "purchase",
        "event_id": f"{customer[:40]}-{n}",
        "customer_id": customer,
        "occurred_at": rfc3339(START + n * DAY),
        "order_id": f"o{n}",
        "lines": [{"item_id": item, "quantity": 1, "unit_price": 2.5}],
        "currency": "GBP",
        **more,
    }


@pytest.fixture(scope="module")
def shop():
    shop = WebShop()
    for who in (*HOSTILE, *(f"c{n}" for n in range(30))):
        shop.publish(json.dumps(purchase(who)).encode())
    shop.publish(json.dumps({**purchase("c1", 1), "type": "profile", "attributes": {"age": 41}}).encode())
    shop.run()
    return shop


@pytest.fixture(scope="module")
def client(shop):
    with asking(shop.parts()) as client:
        yield client


def quoted(text: str) -> str:
    """One segment of a path, dots too: clients take /../ for a way up."""
    return "".join(f"%{byte:02X}" for byte in text.encode())


def problem(answer, status) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == status
    assert document["type"].startswith("urn:livesegments:")
    assert document["title"]
    assert document["detail"]
    return document


# ---- customers and recommendations ----


@pytest.mark.parametrize("who", HOSTILE)
def test_a_customer_is_found_under_whatever_id(client, shop, who):
    answer = client.get(f"/customers/{quoted(who)}")
    assert answer.status_code == 200
    found, view = answer.json(), json.loads(shop.views.get(shop.keys.customer(who)))
    assert found["customer_id"] == who
    assert found["known"]
    for name in ("segment", "items", "as_of", "model_version", "v"):
        expected = view[name] if name != "segment" else {"previous": None, "by_rule": False, **view[name]}
        assert found[name] == expected


def test_an_answer_is_not_to_be_kept_or_guessed_at(client):
    headers = client.get("/customers/c1").headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"


def test_somebody_unknown_is_not_found_and_gets_what_everybody_buys(client):
    assert "recommendations" in problem(client.get("/customers/nobody"), 404)["detail"]
    answer = client.get("/recommendations/nobody").json()
    assert answer["known"] is False
    assert answer["items"][0][0] == "mug"
    assert client.get("/recommendations/nobody?exclude=mug").json()["items"] == []


def test_recommendations_are_cut_as_asked(client):
    assert client.get("/recommendations/c1?shelf=discover").json()["items"] == []
    assert [item for item, _, _ in client.get("/recommendations/c1?n=1").json()["items"]] == ["mug"]
    problem(client.get("/recommendations/c1?n=0"), 422)
    problem(client.get("/recommendations/c1?shelf=top"), 422)
    problem(client.get("/recommendations/c1?exclude=" + "x" * 200), 422)


def test_what_goes_with_an_item(client):
    assert client.get("/items/a%2Fb/similar").json() == {"item_id": "a/b", "items": [], "as_of": None, "stale": False}


def test_many_customers_at_once(client):
    wanted = ["c2", "nobody", "c1", "c2"]
    found = client.post("/customers:batchGet", json={"customer_ids": wanted}).json()["customers"]
    assert [one["customer_id"] for one in found] == wanted
    assert [one["known"] for one in found] == [True, False, True, True]
    assert found[2] == client.get("/customers/c1").json()


@pytest.mark.parametrize(
    "body",
    [
        {"customer_ids": []},
        {"customer_ids": [""]},
        {"customer_ids": ["a\x00"]},
        {"customer_ids": ["a"] * 1001},
        {"customer_ids": "a"},
        {"customer_ids": ["a"], "limit": 3},
        {},
        [],
    ],
)
def test_a_wrong_question_about_many_is_told_what_is_wrong(client, body):
    assert problem(client.post("/customers:batchGet", json=body), 422)["errors"][0]["where"].startswith("body")


def test_bad_json_is_told(client):
    headers = {"Content-Type": "application/json"}
    problem(client.post("/customers:batchGet", content=b'{"customer_ids": [', headers=headers), 400)


@pytest.mark.parametrize(
    "path", ["/customers/%FF", "/customers/a%00", "/customers/a%0Ab", "/customers/" + "x" * 129, "/customers/"]
)
def test_ids_that_can_not_be_are_refused(client, path):
    problem(client.get(path), 400 if "FF" in path else 422)
    problem(client.delete(path), 400 if "FF" in path else 422)


# ---- events ----


def test_events_stand_on_the_log_as_they_were_sent_when_it_answers(shop, client):
    before = len(shop.all_events())
    sent = [purchase("new", 0, extra="kept"), purchase("a/b", 1)]
    answer = client.post("/events", json=sent)
    assert answer.json() == {
        "accepted": 2,
        "refused": 0,
        "failed": 0,
        "verdicts": [{"place": n, "status": "accepted", "event_id": one["event_id"]} for n, one in enumerate(sent)],
    }
    assert len(shop.all_events()) == before + 2
    on_the_log = [json.loads(value) for value in shop.all_events()]
    assert all(one in on_the_log for one in sent)


def test_one_event_and_events_on_lines(client):
    assert client.post("/events", json=purchase("one")).json()["accepted"] == 1
    lines = "\n".join(json.dumps(purchase(f"l{n}")) for n in range(3)) + "\r\n\n"
    answer = client.post("/events", content=lines, headers={"Content-Type": "application/x-ndjson; charset=utf-8"})
    assert answer.json()["accepted"] == 3


def test_each_event_has_a_verdict_of_its_own(shop, client):
    before = len(shop.all_events())
    events = [
        purchase("good"),
        purchase("", 1),
        {**purchase("v"), "v": 99},
        {**purchase("f"), "occurred_at": "2999-01-01T00:00:00Z"},
        purchase("c", currency="XXX"),
        {"type": "wish"},
        17,
        None,
    ]
    found = client.post("/events", json=events).json()
    assert (found["accepted"], found["refused"]) == (1, 7)
    assert [one.get("reason") for one in found["verdicts"]] == [
        *(None, "invalid", "newer-version", "future", "currency", "unknown-type"),
        *("invalid", "invalid"),
    ]
    assert all(one["message"] for one in found["verdicts"][1:])
    assert len(shop.all_events()) == before + 1


def test_a_request_of_which_nothing_can_be_used_is_refused_with_the_verdicts(client):
    assert problem(client.post("/events", json=purchase("")), 422)["verdicts"][0]["reason"] == "invalid"
    assert problem(client.post("/events", json=[]), 422)["detail"] == "there is no event in the body"
    headers = {"Content-Type": "application/json"}
    problem(client.post("/events", content=b"[1,", headers=headers), 400)
    assert (
        problem(client.post("/events", content=b"nonsense", headers=headers), 422)["verdicts"][0]["reason"]
        == "not-json"
    )
    problem(client.post("/events", content=b"[" * 5000 + b"]" * 5000, headers=headers), 400)


def test_what_is_too_much_is_refused(client, monkeypatch):
    headers = {"Content-Type": "application/json"}
    problem(client.post("/events", content=b" " * 100_001, headers=headers), 413)
    problem(client.post("/events", content=(b" " * 1000 for _ in range(200)), headers=headers), 413)
    monkeypatch.setattr("dashboard.api.events.MAX_EVENTS", 2)
    problem(client.post("/events", json=[1, 2, 3]), 413)


def test_a_content_type_that_pages_from_elsewhere_could_send_is_refused(client):
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        problem(client.post("/events", content=json.dumps(purchase("x")), headers={"Content-Type": kind}), 415)


class BrokenWriter:
    """A log that takes nothing."""

    def append_all(self, _log, records, _timeout):
        return dict.fromkeys(range(len(records)), LogUnavailableError("the log sleeps"))


def test_events_that_may_not_stand_on_the_log_are_told(shop):
    parts = shop.parts()
    parts.intake._writer = BrokenWriter()
    with asking(parts) as client:
        answer = client.post("/events", json=[purchase("x"), purchase("")])
        found = problem(answer, 503)
        assert [one["status"] for one in found["verdicts"]] == ["failed", "refused"]
        assert answer.headers["retry-after"]
        problem(client.delete("/customers/c1"), 503)


def test_who_sends_slowly_is_let_go(shop, monkeypatch):
    monkeypatch.setattr("dashboard.api.gate.BODY_SECONDS", 0.2)
    with served(shop.parts()) as url, socket.create_connection(("127.0.0.1", httpx.URL(url).port)) as slow:
        slow.settimeout(SECONDS)
        slow.sendall(
            b"POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n["
        )
        answer = slow.recv(65536)
        assert b" 408 " in answer.partition(b"\r\n")[0]
        assert b"did not come" in answer or b"did not come" in slow.recv(65536)


# ---- erasing ----


def test_erasing_publishes_the_event_and_is_written_down_without_the_id():
    shop = WebShop()
    shop.publish(json.dumps(purchase("who/ever")).encode())
    shop.run()
    with asking(shop.parts(keys=keys_of(anna="admin")), "anna") as client:
        answer = client.delete("/customers/who%2Fever")
        assert answer.status_code == 202
        event = json.loads(shop.all_events()[-1])
        assert (event["type"], event["customer_id"]) == ("erase", "who/ever")
        assert (event["event_id"], event["occurred_at"]) == (answer.json()["event_id"], answer.json()["at"])
        (audited,) = shop.audited()
        assert json.loads(audited)["by"] == "anna"
        assert json.loads(audited)["act"] == "erase"
        assert b"who" not in audited
        shop.run()
        problem(client.get("/customers/who%2Fever"), 404)


def test_an_erase_event_takes_the_scope_of_erasing_and_is_written_down():
    shop = WebShop()
    event = {"type": "erase", "event_id": "x", "customer_id": "who", "occurred_at": rfc3339(START)}
    keys = keys_of(feed=["events:write"], both=["events:write", "customers:erase"])
    with served(shop.parts(keys=keys)) as url:
        found = ask(url, "POST", "/events", "feed", json=[event, purchase("c")]).json()
        assert [one.get("reason") for one in found["verdicts"]] == ["scope", None]
        assert shop.audited() == []
        assert ask(url, "POST", "/events", "both", json=event).json()["accepted"] == 1
    assert [json.loads(one)["what"] for one in shop.audited()] == ["POST /events"]
    assert [json.loads(one)["type"] for one in shop.all_events()] == ["purchase", "erase"]


# ---- segments ----


def test_segments_and_cards_are_the_public_documents(shop, client):
    found = client.get("/segments").json()
    assert found == json.loads(shop.views.get(shop.keys.segments()))
    for one in found["segments"]:
        assert client.get(f"/segments/{one['id']}").json()["size"] == one["size"]
    problem(client.get("/segments/77"), 404)
    problem(client.get("/segments/77/customers"), 404)
    problem(client.get("/segments/77/customers.csv"), 404)
    problem(client.get("/segments/seven"), 422)
    problem(client.get(f"/segments/{2**40}"), 422)


def members(client, segment, limit) -> list[dict]:
    found, cursor = [], None
    while True:
        params = {"limit": limit, **({} if cursor is None else {"cursor": cursor})}
        page = client.get(f"/segments/{segment}/customers", params=params).json()
        found += page["customers"]
        cursor = page["next"]
        if cursor is None:
            return found


def test_members_page_by_page_are_all_members(shop, client):
    sizes = {one["id"]: one["size"] for one in client.get("/segments").json()["segments"]}
    everybody = [one for segment in sizes for one in members(client, segment, 7)]
    assert len(everybody) >= len(HOSTILE) + 30
    rows = shop.rows()
    assert {one["customer_id"]: one["segment_id"] for one in everybody} == {
        who: row["segment"] for who, row in rows.items()
    }
    (one,) = [one for one in everybody if one["customer_id"] == "c1"]
    assert one["attributes"] == {"age": 41}
    assert one["spend"] == 2.5
    assert one["last_purchase_at"] == rfc3339(START)
    problem(client.get(f"/segments/{one['segment_id']}/customers?cursor=nonsense"), 422)
    problem(client.get(f"/segments/{one['segment_id']}/customers?limit=1001"), 422)


def test_tables_hold_everybody_with_date_and_version(shop, client):
    rows = list(csv.DictReader(io.StringIO(client.get("/export/customers.csv").text, newline="")))
    assert {row["customer_id"] for row in rows} == set(shop.rows())
    assert {row["exported_at"] for row in rows} == {rfc3339(shop.parts().now()).replace("Z", ".000000Z")}
    answer = client.get("/export/customers.parquet")
    assert "attachment" in answer.headers["content-disposition"]
    table = pyarrow.parquet.read_table(io.BytesIO(answer.content))
    assert sorted(table.column("customer_id").to_pylist()) == sorted(shop.rows())
    assert set(table.column("model_version").to_pylist()) == {
        json.loads(shop.views.get(shop.keys.segments()))["model_version"]
    }
    segment = table.column("segment_id")[0].as_py()
    part = pyarrow.parquet.read_table(io.BytesIO(client.get(f"/segments/{segment}/customers.parquet").content))
    assert set(part.column("segment_id").to_pylist()) == {segment}


def test_flows_are_the_moves_of_the_history(shop, client):
    text = client.get("/export/flows.csv?days=400").text
    rows = list(csv.DictReader(io.StringIO(text)))
    moves = [move for day in shop.history(400) for move in day.moves]
    assert len(rows) == len(moves) > 0
    assert sum(int(row["customers"]) for row in rows) == sum(move.customers for move in moves)
    assert {row["cause"] for row in rows} == {move.cause for move in moves}


def test_who_exports_is_written_down_first(shop, client):
    before = len(shop.audited())
    client.get("/export/customers.csv")
    client.get("/export/flows.csv")
    assert [json.loads(one)["what"] for one in shop.audited()[before:]] == [
        "/export/customers.csv",
        "/export/flows.csv",
    ]

    class Broken:
        def append(self, *_):
            raise LogUnavailableError("the log sleeps")

    with asking(shop.parts(audit=AuditTrail(Broken(), "audit"))) as other:
        problem(other.get("/export/customers.csv"), 503)
        problem(other.delete("/customers/c1"), 503)


# ---- changes ----


def frames(lines, count) -> list[dict]:
    """Events of a stream of server-sent events, comments and settings left out."""
    found, frame = [], {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            frame[name] = value.removeprefix(" ")
            continue
        if "data" in frame:
            found.append(frame)
        frame = {}
        if len(found) == count:
            return found
    raise AssertionError(found)


def test_changes_are_streamed_and_resumed(shop, client, monkeypatch):
    monkeypatch.setattr("dashboard.api.changes.ID_EVERY", 2)
    told = shop.changes("moved", "entered", "left", "born", "split", "restored", "merged", "gone")
    with client.stream("GET", "/changes?start=beginning") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        found = frames(answer.iter_lines(), len(told))
    assert sorted(json.loads(one["data"])["change_id"] for one in found) == sorted(one["change_id"] for one in told)
    assert all(one["event"] == json.loads(one["data"])["kind"] for one in found)
    assert "id" in found[-1]
    middle = next(place for place in range(len(found) // 3, len(found) - 1) if "id" in found[place])
    with client.stream("GET", "/changes", headers={"Last-Event-ID": found[middle]["id"]}) as answer:
        rest = frames(answer.iter_lines(), len(found) - middle - 1)
    ids = [json.loads(one["data"])["change_id"] for one in found]
    assert {json.loads(one["data"])["change_id"] for one in rest} == set(ids[middle + 1 :])


def test_a_change_is_told_while_somebody_listens_and_only_what_was_asked_for(shop):
    shop.run()
    with asking(shop.parts()) as client, client.stream("GET", "/changes?kind=moved") as answer:
        lines = answer.iter_lines()
        assert next(lines).startswith("retry:")
        shop.publish(json.dumps(purchase("somebody new")).encode())
        shop.run()
        (frame,) = frames(lines, 1)
    assert json.loads(frame["data"])["customer_id"] == "somebody new"


def test_a_wrong_id_of_an_event_is_refused(client):
    problem(client.get("/changes", headers={"Last-Event-ID": "nonsense"}), 422)
    problem(client.get("/changes", headers={"Last-Event-ID": "another.0-0"}), 410)
    problem(client.get("/changes?kind=fell"), 422)
    with client.stream("GET", "/changes") as answer:
        present = next(line for line in answer.iter_lines() if line.startswith("id: ")).removeprefix("id: ")
    identity, _, rest = present.rpartition(".")
    beyond = "-".join(f"{int(part, 16) + 1:x}" for part in rest.split("-"))
    found = problem(client.get("/changes", headers={"Last-Event-ID": f"{identity}.{beyond}"}), 410)
    assert "beyond the end" in found["detail"]


def test_all_listeners_share_what_was_made_of_a_record(shop):
    listeners = Listeners(shop.parts())
    moved = b'{"kind":"moved","customer_id":"ann","to":2}'
    assert listeners.event(moved, masked=False) == ("moved", b"event: moved\ndata: %b\n\n" % moved)
    assert b"ann" not in listeners.event(moved, masked=True)[1]
    made = listeners.event(moved, masked=True)
    assert listeners.event(bytes(bytearray(moved)), masked=True) is made


@pytest.mark.parametrize(
    "value", [b"", b"[]", b'{"kind":1}', b'{"kind":"moved","customer_id":"\xff"}', b'{"kind":"a\\nb"}', b'{"a":' * 5000]
)
def test_a_record_that_is_none_of_ours_ends_nobodys_stream(shop, value):
    assert Listeners(shop.parts()).event(value, masked=False)[1] == b""


def test_while_kafka_is_away_whatever_needs_no_audit_is_answered(shop, client):
    """The threads of all else are not those that wait for it."""
    away, waiting = threading.Event(), []

    class Away:
        def append(self, *_):
            waiting.append(1)
            return self

        def result(self, _seconds):
            assert away.wait(SECONDS)
            raise LogUnavailableError("away")

    segment = next(one["id"] for one in client.get("/segments").json()["segments"] if one["size"])
    # More than there are threads for everything.
    with asking(shop.parts(audit=AuditTrail(Away(), "audit"))) as other, ThreadPoolExecutor(50) as pool:
        erased = [pool.submit(other.delete, f"/customers/c{n}") for n in range(50)]
        try:
            deadline = time.monotonic() + SECONDS
            while len(waiting) < AT_A_TIME:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            assert other.get(f"/segments/{segment}/customers?limit=1").status_code == 200
            assert len(waiting) == AT_A_TIME
        finally:
            away.set()
        assert {one.result().status_code for one in erased} == {503}


def test_so_many_may_listen(shop, monkeypatch):
    monkeypatch.setattr("dashboard.api.changes.MAX_LISTENERS", 1)
    with asking(shop.parts()) as client, client.stream("GET", "/changes") as answer:
        lines = answer.iter_lines()
        assert next(lines).startswith("retry:")
        problem(client.get("/changes"), 503)


def test_who_leaves_makes_room_for_another(shop, monkeypatch):
    monkeypatch.setattr("dashboard.api.changes.MAX_LISTENERS", 1)
    monkeypatch.setattr("dashboard.api.changes.HEARTBEAT_SECONDS", 0.05)
    deadline = time.monotonic() + SECONDS
    with asking(shop.parts()) as client:
        for _ in range(3):
            while True:
                with client.stream("GET", "/changes") as answer:
                    if answer.status_code == 200:
                        lines = answer.iter_lines()
                        assert next(lines).startswith("retry:")
                        break
                assert time.monotonic() < deadline


# ---- who may ----

ASKED = {
    "events:write": ("POST", "/events"),
    "customers:read": ("GET", "/customers/c1"),
    "customers:erase": ("DELETE", "/customers/none"),
    "recommendations:read": ("GET", "/recommendations/c1"),
    "segments:read": ("GET", "/segments"),
    "members:read": ("GET", "/segments/0/customers"),
    "export": ("GET", "/export/flows.csv"),
}


@pytest.fixture(scope="module")
def keyed(shop):
    """The URL of an app with keys."""
    keys = keys_of(viewer="viewer", marketer="marketer", admin="admin")
    named = keys_of(**{one.replace(":", "-"): [one] for one in SCOPES})
    everybody = type(keys)({**keys.callers, **named.callers})
    with served(shop.parts(keys=everybody, masks=Masks(everybody.secret()))) as url:
        yield url


def ask(url, method, path, name=None, **more):
    headers = {} if name is None else {"Authorization": f"Bearer {key(name)}"}
    return httpx.request(method, url + path, headers=headers, timeout=SECONDS, **more)


@pytest.mark.parametrize("scope", ASKED)
def test_each_route_needs_its_scope_and_no_other(keyed, scope):
    method, path = ASKED[scope]
    assert ask(keyed, method, path, scope.replace(":", "-")).status_code not in {401, 403}
    for other in set(SCOPES) - {scope}:
        assert problem(ask(keyed, method, path, other.replace(":", "-")), 403)["needs"] == scope


def test_without_a_key_nothing_but_the_description_is_answered(keyed):
    paths = httpx.get(f"{keyed}/openapi.json").json()["paths"]
    for path, operations in paths.items():
        for method in operations:
            answer = ask(keyed, method, re.sub(r"\{\w+\}", "1", path))
            problem(answer, 401)
            assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("header", ["Bearer", "Bearer lsk_wrong", "Basic !!", "Basic Og==", "Digest x", "x"])
def test_what_is_no_key_is_refused(keyed, header):
    problem(httpx.get(f"{keyed}/segments", headers={"Authorization": header}), 401)


def test_a_key_may_come_as_a_password(keyed):
    assert httpx.get(f"{keyed}/segments", auth=("anything", key("viewer"))).status_code == 200


def test_viewers_see_no_ids(shop, keyed):
    sizes = {one["id"]: one["size"] for one in ask(keyed, "GET", "/segments", "viewer").json()["segments"]}
    segment = max(sizes, key=sizes.get)
    masked = ask(keyed, "GET", f"/segments/{segment}/customers?limit=1000", "viewer")
    clear = ask(keyed, "GET", f"/segments/{segment}/customers?limit=1000", "admin").json()
    assert masked.json()["masked"]
    assert not clear["masked"]
    shown = [one["customer_id"] for one in masked.json()["customers"]]
    assert len(set(shown)) == len(shown) == len(clear["customers"])
    assert all(one.startswith("masked-") for one in shown)
    assert "age" not in masked.text
    problem(ask(keyed, "GET", "/customers/c1", "viewer"), 403)
    problem(ask(keyed, "GET", "/export/customers.csv", "export"), 403)
    with httpx.stream(
        "GET", f"{keyed}/changes?start=beginning&kind=moved", headers={"Authorization": f"Bearer {key('viewer')}"}
    ) as answer:
        moved = [json.loads(one["data"])["customer_id"] for one in frames(answer.iter_lines(), 5)]
    assert all(one.startswith("masked-") for one in moved)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "localhost.evil.example", "[", ""])
def test_without_keys_a_page_that_has_its_name_point_here_gets_nothing(client, host):
    problem(client.get("/segments", headers={"Host": host}), 403)


def test_without_keys_pages_of_other_origins_get_nothing(client):
    problem(client.get("/segments", headers={"Origin": "https://evil.example"}), 403)
    assert client.get("/segments", headers={"Origin": str(client.base_url)}).status_code == 200


# ---- when something fails ----


def test_a_server_that_is_down_is_said(shop):
    gone = AsyncCustomerReader("redis://127.0.0.1:1/0", timeout=0.2)
    with asking(shop.parts(reader=gone)) as client:
        for path in ("/customers/c1", "/segments", "/segments/1", "/recommendations/c1", "/export/customers.csv"):
            answer = client.get(path)
            assert "Redis" in problem(answer, 503)["detail"]
            assert answer.headers["retry-after"]


def test_a_fault_of_ours_says_nothing_of_the_inside(shop):
    def broken(_):
        raise ZeroDivisionError("secret")

    with asking(shop.parts(history=broken)) as client:
        answer = client.get("/export/flows.csv")
        assert "secret" not in json.dumps(problem(answer, 500))


def test_paths_and_methods_that_are_not_there(client):
    problem(client.get("/"), 404)
    answer = client.put("/customers/c1")
    problem(answer, 405)
    assert answer.headers["allow"] == "DELETE, GET"
    assert client.get("/healthz").text == "ok\n"


# ---- audiences ----

RULES = {"Twice or more": "orders >= 2", 'A "quoted" / hostile <b>name</b>': "orders >= 1"}


@pytest.fixture(scope="module")
def with_audiences():
    shop = WebShop(audiences=tuple(Audience(name, parse(rule)) for name, rule in RULES.items()))
    for who, n in itertools.product(("c1", "c2", "c3"), range(2)):
        if (who, n) != ("c3", 1):
            shop.publish(json.dumps(purchase(who, n)).encode())
    shop.run()
    with asking(shop.parts(audiences=frozenset(RULES))) as client:
        yield shop, client


@pytest.mark.parametrize("name", RULES)
def test_an_audience_is_a_table_of_whom_its_rule_is_true_of(with_audiences, name):
    shop, client = with_audiences
    answer = client.get(f"/audiences/{quoted(name)}/customers.csv")
    assert answer.status_code == 200
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    inside = {who for who in ("c1", "c2", "c3") if name in shop.reader().get(who).audiences}
    assert {row["customer_id"] for row in rows} == inside
    assert len(inside) == {"Twice or more": 2}.get(name, 3)
    assert answer.headers["content-disposition"].isascii()
    assert len(
        pyarrow.parquet.read_table(io.BytesIO(client.get(f"/audiences/{quoted(name)}/customers.parquet").content))
    ) == len(inside)


def test_look_alikes_are_a_table_for_who_may_see_ids():
    shop = WebShop(audiences=(Audience("Twice", parse("orders >= 2")), Audience("Nobody", parse("orders > 99"))))
    shop.adopt(fixed_model())
    for n in range(90):
        shop.publish(*(json.dumps(purchase(f"c{n}", order)).encode() for order in range(1 + n % 2)))
    shop.run()
    deployment = Deployment(Settings(key_prefix=shop.keys.prefix), shop.logs, shop.state, shop.views)
    more = {"audiences": frozenset({"Twice", "Nobody"}), "look_alikes": partial(likest, deployment)}
    keys = keys_of(anna="marketer", vera="viewer", eva=["export"])
    with asking(shop.parts(keys=keys, **more), "anna") as client:
        answer = client.get("/audiences/Twice/look-alikes.csv?n=7")
        assert answer.status_code == 200
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        assert [int(row["rank"]) for row in rows] == list(range(1, 8))
        assert all(int(row["customer_id"][1:]) % 2 == 0 for row in rows), "members are not among them"
        table = pyarrow.parquet.read_table(io.BytesIO(client.get("/audiences/Twice/look-alikes.parquet").content))
        assert len(table) == 45
        assert table.column_names[-2:] == ["model_version", "exported_at"]
        assert "0 members" in problem(client.get("/audiences/Nobody/look-alikes.csv"), 409)["detail"]
        assert problem(client.get("/audiences/Else/look-alikes.csv"), 404)
        assert client.get("/audiences/Twice/look-alikes.csv?n=0").status_code == 422
        for who in ("vera", "eva"):
            refused = client.get("/audiences/Twice/look-alikes.csv", headers={"Authorization": f"Bearer {key(who)}"})
            assert refused.status_code == 403
    assert sum(b"look-alikes" in one for one in shop.audited()) == 2


def test_an_audience_that_nobody_named_is_none(with_audiences):
    _, client = with_audiences
    assert "Twice or more" in problem(client.get("/audiences/other/customers.csv"), 404)["detail"]
