"""Endpoints of the settings, signatures, what is tried when: without any server."""

import base64
import json
import random
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from consumer.clock import wall_micros
from contracts.documents import AudienceChange, SegmentChange, SegmentEvent
from contracts.times import SECOND, from_micros
from livesegments.parts import endpoints, retry_policy
from livesegments.redaction import Redaction
from livesegments.settings import Settings
from livesegments.sources import SettingsError, load_settings, shown
from livesegments.webhooks.endpoints import Endpoint
from livesegments.webhooks.lanes import Item, Lanes
from livesegments.webhooks.messages import TYPES, Message, body_of, read_message
from livesegments.webhooks.retrying import Gate, RetryPolicy
from livesegments.webhooks.signing import SecretError, keys_of, new_secret, read_secret, secret_texts, signed
from livesegments.webhooks.window import Window
from tests.webhook_receiver import SECRET, change

URL = "https://crm.example/hooks?token=s3cret-token"


def endpoint(**table):
    tables = {"crm": {"url": URL, "secrets": ["env:CRM"], **table}}
    return endpoints(load_settings(flags={"webhooks": json.dumps(tables)}).settings)["crm"]


# ---- settings ----


def test_an_endpoint_from_the_settings():
    found = endpoint(
        kinds=["moved"], segments=[3, "Champions"], audiences=["Bulk buyers"], max_changes=9, max_requests=2
    )
    assert found == Endpoint(
        "crm", URL, ("env:CRM",), frozenset({"moved"}), (3, "Champions"), frozenset({"Bulk buyers"}), 9, 2
    )
    assert endpoint().kinds == set(TYPES)
    assert found.shown_url == "https://crm.example"


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"url": "http://crm.example/x"}, "webhook_plain_http"),
        ({"url": "ftp://crm.example/x"}, "https://host/path"),
        ({"url": "https://crm.example:99999/"}, "65535"),
        ({"url": "https:///path"}, "https://host/path"),
        ({"url": "https://me:pass@crm.example/"}, "log-in"),
        ({"url": "https://crm.example/\r\nHost: x"}, "https://host/path"),
        ({"url": "https://crm.example/#x"}, "#"),
        ({"url": None}, "https://host/path"),
        ({"url": "https://xn--/"}, "name of a machine"),
        ({"url": "https://xn--a.example/h"}, "name of a machine"),
        ({"url": "https://a..example/"}, "name of a machine"),
        ({"url": f"https://{'x' * 64}.example/"}, "name of a machine"),
        ({"secrets": []}, "at least one"),
        ({"secrets": "env:CRM"}, "list of texts"),
        ({"secrets": [SECRET]}, "not secrets"),
        ({"kinds": ["renamed"]}, "'renamed' is not one of moved"),
        ({"kinds": []}, "none would be sent"),
        ({"segments": [True]}, "ids and names"),
        ({"audiences": ["Nobody"]}, "'Nobody' is not among audiences"),
        ({"max_changes": 0}, "from 1 to 1,000"),
        ({"max_requests": 1000}, "from 1 to 256"),
        ({"retries": 3}, "'retries' is not known"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_secret_is(table, told):
    with pytest.raises(SettingsError) as caught:
        endpoint(**table)
    assert told in str(caught.value)
    assert "webhooks.crm" in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("name", ["", "a b", "-a", "x" * 65, "{x}", "a/b"])
def test_a_name_is_of_letters_and_digits(name):
    tables = {name: {"url": URL, "secrets": ["env:CRM"]}}
    with pytest.raises(SettingsError, match="is no name"):
        load_settings(flags={"webhooks": json.dumps(tables)})


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "[::1]"])
def test_this_machine_needs_no_encryption(host):
    assert endpoint(url=f"http://{host}:1/x").url == f"http://{host}:1/x"


@pytest.mark.parametrize("url", ["https://bücher.example/h", "https://xn--bcher-kva.example./h", "https://127.0.0.1/"])
def test_a_host_may_be_written_in_any_letters(url):
    assert endpoint(url=url).url == url


def test_plain_http_is_allowed_where_a_setting_says_so():
    tables = json.dumps({"crm": {"url": "http://crm.example/", "secrets": ["env:CRM"]}})
    assert endpoints(load_settings(flags={"webhooks": tables, "webhook_plain_http": "true"}).settings)


def test_settings_are_shown_without_what_only_the_receiver_should_know():
    settings = Settings(webhooks={"crm": {"url": URL, "secrets": ["env:CRM"]}})
    for text in (shown("webhooks", settings.webhooks), repr(settings), repr(endpoints(settings)["crm"])):
        assert "s3cret" not in text
    assert "https://crm.example" in shown("webhooks", settings.webhooks)


def test_how_patient_we_are_arrives():
    assert retry_policy(load_settings(flags={"webhook_retry_for": "2h"}).settings).retry_for == 7200


# ---- secrets and signatures ----


def test_secrets_from_a_variable_and_a_file(monkeypatch, tmp_path):
    file = tmp_path / "crm"
    newer, older = new_secret(), new_secret()
    file.write_text(f"{newer}\n{older}\n")
    monkeypatch.setenv("CRM", SECRET)
    assert secret_texts(endpoint(secrets=["env:CRM", f"file:{file}"])) == [SECRET, newer, older]


@pytest.mark.parametrize(
    ("text", "told"),
    [(None, "not set"), ("", "is empty"), ("hunter2-hunter2", "whsec_"), ("whsec_c2hvcnQ=", "24 to 64 bytes")],
)
def test_a_secret_that_is_none_is_said_and_not_shown(monkeypatch, text, told):
    monkeypatch.delenv("CRM", raising=False)
    if text is not None:
        monkeypatch.setenv("CRM", text)
    with pytest.raises(SecretError, match="crm") as caught:
        secret_texts(endpoint())
    assert told in str(caught.value)
    assert not text or text not in str(caught.value)


def test_a_file_that_is_not_there_is_said():
    with pytest.raises(SecretError, match="No such file"):
        secret_texts(endpoint(secrets=["file:/nowhere/at/all"]))


secrets = st.binary(min_size=24, max_size=64).map(lambda key: "whsec_" + base64.b64encode(key).decode())


@settings(deadline=None)
@given(st.lists(secrets, min_size=1, max_size=3), st.text(st.characters(codec="utf-8"), max_size=200))
def test_anybody_with_one_of_the_secrets_can_verify_it_and_nobody_else(texts, text):
    body = json.dumps({"type": "customer.moved", "data": text}).encode()
    headers = signed(keys_of(texts), "0-token-1", wall_micros() // SECOND, body)
    for one in texts:
        assert Webhook(one).verify(body, headers)["data"] == text
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + base64.b64encode(b"another" * 5).decode()).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(texts[0]).verify(body + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(texts[0]).verify(body, headers | {"webhook-id": "0-token-2"})


def test_a_log_line_loses_a_secret():
    line = Redaction([SECRET])(None, "", f"sent with {SECRET}")
    assert SECRET not in line
    assert read_secret(SECRET)


# ---- messages ----


def documents():
    at = from_micros(1_700_000_000 * SECOND)
    shared = {"at": at, "model_version": 3}
    yield "moved", SegmentChange(change_id="a-1", customer_id="c", from_segment=1, to_segment=2, cause="time", **shared)
    for kind in ("entered", "left"):
        yield kind, AudienceChange(kind=kind, change_id="a-2", customer_id="c", audience="Big", cause="time", **shared)
    for kind in ("born", "split", "restored", "merged", "gone"):
        origins = {"from_segments": ((1, 0.5), (4, 0.5))}
        yield kind, SegmentEvent(kind=kind, change_id="m-1", segment_id=9, name="New", **origins, **shared)


@pytest.mark.parametrize(("kind", "document"), list(documents()))
def test_every_document_of_the_log_is_a_message(kind, document):
    message = read_message(document.encode())
    assert message.type == TYPES[kind]
    assert message.id == document.change_id
    assert message.audience == getattr(document, "audience", None)
    segments = {"moved": {1, 2}, "entered": set(), "left": set()}.get(kind, {1, 4, 9})
    assert message.segments == segments
    request_id, body = body_of([message], several=False)
    told = json.loads(body)
    assert (request_id, told["type"]) == (document.change_id, TYPES[kind])
    assert told["data"] == json.loads(document.encode())
    assert told["timestamp"] == told["data"]["at"]


@settings(deadline=None)
@given(st.binary(max_size=100) | st.text(max_size=50).map(lambda text: change(text, 1)))
def test_whatever_stands_on_the_log_is_a_message_or_none(value):
    message = read_message(value)
    if message is not None:
        _, body = body_of([message, message], several=True)
        assert json.loads(body)["data"][0]["data"] == json.loads(value)


# ---- what goes when ----


@settings(deadline=None)
@given(st.lists(st.integers(0, 60), unique=True).map(sorted), st.data())
def test_a_partition_is_as_far_as_what_was_not_ticked_off(positions, data):
    window = Window(0)
    wanted = [position for position in positions if data.draw(st.booleans())]
    for position in positions:
        (window.await_ if position in wanted else window.pass_over)(position)
    open_ = list(wanted)
    for position in data.draw(st.permutations(wanted)):
        window.tick(position)
        open_.remove(position)
        assert window.reached == (min(open_) if open_ else positions[-1] + 1)
    assert len(window) == 0


def item(whom, position, window):
    return Item(Message(f"{position}", "customer.moved", "", b"{}", whom, frozenset(), None), 0, position, window)


@settings(deadline=None)
@given(st.lists(st.sampled_from("abcd"), max_size=40), st.integers(1, 5), st.randoms(use_true_random=False))
def test_each_customers_changes_go_one_after_the_other_whatever_fails(whose, most, draw):
    lanes, window, now = Lanes(), Window(0), 0.0
    waiting = list(enumerate(whose))
    under_way, delivered = [], defaultdict(list)
    while waiting or under_way or lanes.next_at(now) is not None:
        now += 1.0
        if waiting and draw.random() < 0.7:
            position, whom = waiting.pop(0)
            lanes.add(item(whom, position, window))
        if taken := lanes.take(now, most):
            assert len(taken) <= most
            assert not any(one.tries for one in taken) or len(taken) == 1
            busy = {one.message.whom for request in under_way for one in request}
            assert busy.isdisjoint({one.message.whom for one in taken})
            under_way.append(taken)
        if under_way and draw.random() < 0.6:
            request = under_way.pop(draw.randrange(len(under_way)))
            if draw.random() < 0.5 and all(one.tries < 5 for one in request):
                for one in request:
                    one.tries += 1
                lanes.again(request, now + draw.random() * 3)
            else:
                lanes.done(request)
                for one in request:
                    delivered[one.message.whom].append(one.position)
    assert sum(map(len, delivered.values())) == len(whose)
    assert all(positions == sorted(positions) for positions in delivered.values())
    assert len(lanes) == 0


def test_what_is_of_a_partition_that_was_taken_away_is_dropped():
    lanes, ours, lost = Lanes(), Window(0), Window(0)
    lanes.add(item("a", 1, lost))
    lanes.add(item("a", 2, ours))
    lanes.add(item("b", 3, lost))
    lost.closed = True
    (taken,) = lanes.take(0.0, 9)
    assert taken.position == 2
    lanes.done([taken])
    assert lanes.next_at(0.0) is None


POLICY = RetryPolicy(retry_for=1000.0)


def test_while_an_endpoint_fails_one_request_at_a_time_goes_further_and_further_apart():
    gate, now, gaps = Gate(RetryPolicy(retry_for=1e9), 8, random.Random(1)), 0.0, []
    assert gate.opens_at(now, 7) == now
    assert gate.opens_at(now, 8) is None
    for _ in range(40):
        gate.failed(now, 0.0)
        assert gate.opens_at(now, 1) is None
        opens = gate.opens_at(now, 0)
        gaps.append(opens - now)
        now = opens
    assert max(gaps[:3]) <= 4.0
    assert max(gaps) > 100.0
    assert max(gaps) <= POLICY.longest
    for room in (1, 2, 4, 8):
        assert gate.opens_at(now, room) is None
        assert gate.opens_at(now, room - 1) == now
        gate.answered()
    assert gate.failing_since is None
    assert gate.opens_at(now, 7) == now


@settings(deadline=None)
@given(st.integers(1, 200), st.integers(0, 2**32))
def test_a_pause_is_drawn_from_nothing_to_twice_as_much_each_time(tries, seed):
    assert 0 <= POLICY.delay(tries, random.Random(seed)) <= min(POLICY.longest, 2.0 ** (tries - 1))


def test_after_too_long_nothing_waits_any_more_but_for_what_the_endpoint_asks():
    gate = Gate(POLICY, 8, random.Random(1), failing_since=-2000.0)
    assert gate.exhausted(0.0)
    gate.failed(0.0, 0.0)
    assert gate.opens_at(0.0, 7) == 0.0
    gate.failed(0.0, 30.0)
    assert gate.opens_at(0.0, 0) == 30.0
    gate.answered()
    assert gate.opens_at(0.0, 0) == 30.0, "an answer to what was under way is no invitation"
    assert not gate.exhausted(0.0)
