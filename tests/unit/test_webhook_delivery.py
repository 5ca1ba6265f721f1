"""Changes on a log in memory, told to a real HTTP server."""

import asyncio
import contextlib
import random
import ssl
import threading
import time
from collections import Counter

import pytest

from consumer.clock import wall_micros
from consumer.state import StateUnavailableError
from contracts.times import DAY, SECOND
from livesegments.app import Deployment
from livesegments.settings import Settings
from livesegments.webhooks.delivery import Delivery, Pace, Source
from livesegments.webhooks.dispatching import Dispatcher
from livesegments.webhooks.endpoints import Endpoint
from livesegments.webhooks.filtering import Filter, SegmentNames
from livesegments.webhooks.ledger import Step
from livesegments.webhooks.memory_ledger import MemoryLedger
from livesegments.webhooks.retrying import Meaning, RetryPolicy
from livesegments.webhooks.running import deliver
from livesegments.webhooks.sending import Sender
from livesegments.webhooks.signing import keys_of
from logs.base import LogSpec
from logs.memory import MemoryLogs
from recommender.answers import NewerDocumentError
from recommender.store import MemoryViews
from tests.webhook_receiver import SECONDS, SECRET, Receiver, Reply, change

LOG = "segment-changes"
HASTY = RetryPolicy(first=0.02, longest=0.1)
PACE = Pace(poll=0.02, write=0.02, sign_of_life=0.05, retry=0.05)


def identity_of(logs) -> str:
    reader = logs.reader(LOG, "identity")
    try:
        return reader.info.identity
    finally:
        reader.close()


class Told:
    """A deployment in memory with one endpoint, delivering in a thread."""

    def __init__(self, receiver, *, policy=HASTY, timeout=5.0, logs=None, ledger=None, names=None, **endpoint):
        self.logs = logs or MemoryLogs()
        if logs is None:
            self.logs.create(LogSpec(LOG, 2))
        self.ledger = ledger or MemoryLedger()
        self.endpoint = Endpoint("crm", receiver.url, (), **endpoint)
        self.policy, self.timeout = policy, timeout
        self.names = SegmentNames(lambda: names or {})
        self.writer = self.logs.writer()

    def publish(self, *values: bytes, key: bytes | None = b"k", partition=None) -> None:
        for value in values:
            self.writer.append(LOG, key, value, partition=partition).result()

    @contextlib.contextmanager
    def delivering(self):
        started = threading.Event()

        async def work():
            self.sender = sender = Sender(
                self.endpoint, keys_of([SECRET]), ssl.create_default_context(), self.timeout, now=wall_micros
            )
            dispatcher = Dispatcher(self.endpoint, sender, self.policy, wall_micros, random.Random(1))
            source = Source(self.logs, LOG, "g-webhook-crm")
            self.delivery = Delivery(
                "crm", source, self.ledger, dispatcher, Filter(self.endpoint, self.names), now=wall_micros, pace=PACE
            )
            self.loop = asyncio.get_running_loop()
            started.set()
            await self.delivery.run()
            await sender.close()

        failed = []

        def run():
            try:
                asyncio.run(work())
            except BaseException as error:  # noqa: BLE001 - raised below
                failed.append(error)
                started.set()

        thread = threading.Thread(target=run)
        thread.start()
        assert started.wait(SECONDS)
        try:
            # New endpoints are told what comes from now on: wait until it is known where now is.
            self.wait_for(lambda kept: len(kept.positions) == 2)
            yield self
        finally:
            if not failed:
                self.loop.call_soon_threadsafe(self.delivery.stop)
            thread.join(SECONDS)
            assert not thread.is_alive()
        if failed:
            raise failed[0]

    def wait_for(self, wanted):
        deadline = time.monotonic() + SECONDS
        while not wanted(kept := self.ledger.kept("crm")):
            assert time.monotonic() < deadline, kept
            time.sleep(0.005)
        return kept


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        yield receiver


def test_a_change_arrives_signed_with_its_own_id_and_nothing_but_the_change(receiver):
    told = Told(receiver)
    told.publish(change("ann", 0))  # before the endpoint was there: not its business
    with told.delivering():
        told.publish(change("ann", 1, to=5, before=2))
        receiver.wait_for(lambda r: r.taken)
    (request,) = receiver.taken
    assert not receiver.forged
    assert request.id == "0-token-1"
    assert request.payload["type"] == "customer.moved"
    assert request.payload["timestamp"] == "2026-11-22T01:02:03Z"
    assert request.data["customer_id"] == "ann"
    assert (request.data["from"], request.data["to"]) == (2, 5)
    assert set(request.payload) == {"type", "timestamp", "data"}
    assert request.headers["user-agent"].startswith("livesegments/")
    kept = told.ledger.kept("crm")
    assert (kept.delivered, kept.failing_since, kept.error) == (1, None, "")
    assert sum(kept.positions.values()) == 2


def test_nothing_is_told_twice_after_a_clean_stop(receiver):
    told = Told(receiver)
    for round_ in range(3):
        with told.delivering():
            told.publish(*(change(f"c{n % 5}", 100 * round_ + n) for n in range(50)))
            receiver.wait_for(lambda r, round_=round_: len(r.taken) >= 50 * (round_ + 1))
    assert sorted(receiver.ids()) == sorted(f"0-token-{100 * round_ + n}" for round_ in range(3) for n in range(50))


def test_each_customers_changes_come_in_order_over_a_few_connections(receiver):
    told = Told(receiver, max_requests=4)
    with told.delivering():
        for number in range(300):
            told.publish(change(f"c{number % 7}", number), key=b"%d" % (number % 7))
        receiver.wait_for(lambda r: len(r.taken) == 300)
    for customer in range(7):
        assert receiver.numbers(f"c{customer}") == list(range(customer, 300, 7))
    assert receiver.connections <= 4


def test_several_changes_in_one_request(receiver):
    held = threading.Event()
    receiver.answer = lambda _: Reply(wait=held)
    told = Told(receiver, max_changes=10, max_requests=1)
    with told.delivering():
        told.publish(change("first", 0))
        told.wait_for(lambda _: receiver.connections == 1)
        told.publish(*(change(f"c{n % 3}", n) for n in range(1, 26)))
        told.wait_for(lambda _: told.delivery.waiting == 26)
        held.set()
        receiver.wait_for(lambda r: sum(len(one.payload["data"]) for one in r.taken) == 26)
    assert [len(one.payload["data"]) for one in receiver.taken] == [1, 10, 10, 5]
    assert {one.payload["type"] for one in receiver.taken} == {"changes"}
    entries = [entry for one in receiver.taken for entry in one.payload["data"]]
    assert set(entries[0]) == {"id", "type", "timestamp", "data"}
    for customer in ("c0", "c1", "c2"):
        of_one = [int(entry["id"].rpartition("-")[2]) for entry in entries if entry["data"]["customer_id"] == customer]
        assert of_one == sorted(of_one)


def test_an_endpoint_that_is_down_is_waited_for_and_then_told_everything(receiver):
    told = Told(receiver)
    receiver.stop()
    with told.delivering():
        told.publish(*(change(f"c{n % 9}", n) for n in range(90)))
        kept = told.wait_for(lambda kept: kept.failing_since is not None)
        assert kept.error.startswith("not connected: ")
        assert kept.delivered == 0
        receiver.start()
        receiver.wait_for(lambda r: len(r.taken) == 90)
        told.wait_for(lambda kept: kept.failing_since is None and kept.delivered == 90)
    for customer in range(9):
        assert receiver.numbers(f"c{customer}") == list(range(customer, 90, 9))
    assert told.ledger.kept("crm").letters == 0


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_what_may_pass_is_tried_again_under_the_same_id(receiver, status):
    tries = []
    receiver.answer = lambda request: Reply(status if tries.append(request.id) is None and len(tries) < 4 else 200)
    told = Told(receiver)
    with told.delivering():
        told.publish(change("ann", 1))
        receiver.wait_for(lambda r: r.taken)
    assert tries == ["0-token-1"] * 4
    assert {one.headers["webhook-timestamp"].isdigit() for one in receiver.turned_away} == {True}


def test_retry_after_is_heeded(receiver):
    times = []

    def answer(_):
        times.append(time.monotonic())
        return Reply(503, {"Retry-After": "1"}) if len(times) == 1 else Reply()

    receiver.answer = answer
    told = Told(receiver)
    with told.delivering():
        told.publish(change("ann", 1), change("bob", 2))
        receiver.wait_for(lambda r: len(r.taken) == 2)
    assert times[-1] - times[0] >= 1.0


@pytest.mark.parametrize(("status", "tries"), [(400, 3), (302, 3), (410, 1)])
def test_what_is_refused_is_given_up_soon_and_others_go_on(receiver, status, tries):
    receiver.answer = lambda request: Reply(
        status if request.data["customer_id"] == "bad" else 200, {"Location": "http://127.0.0.1:1/elsewhere"}
    )
    told = Told(receiver)
    with told.delivering():
        told.publish(*(change(customer, n) for n, customer in enumerate(["bad", "good", "bad", "good"])))
        told.wait_for(lambda kept: kept.letters == 2)
        told.wait_for(lambda kept: kept.delivered == 2)
    letters = told.ledger.letters("crm", 0, 10)
    assert [(one.tries, one.status, one.error) for one in letters] == [(tries, status, f"answered {status}")] * 2
    assert len(receiver.turned_away) == 2 * tries
    assert sum(told.ledger.kept("crm").positions.values()) == 4


@pytest.mark.parametrize("leads_to", ["mailto:x", "foo:bar", "https:a/b", "//", "https://[::1", ""])
def test_an_answer_that_leads_to_what_is_no_address_is_a_refusal(receiver, leads_to):
    receiver.answer = lambda request: Reply(
        302 if request.data["customer_id"] == "bad" else 200, {"Location": leads_to}
    )
    told = Told(receiver)
    with told.delivering():
        told.publish(change("bad", 0), change("good", 1))
        told.wait_for(lambda kept: kept.letters == 1 and kept.delivered == 1)
    assert [(one.status, one.error) for one in told.ledger.letters("crm", 0, 10)] == [(302, "answered 302")]


def test_whatever_a_request_fails_with_is_a_failure_of_the_endpoint():
    async def send():
        endpoint = Endpoint("crm", "https://xn--/?token=s3cret", ())
        sender = Sender(endpoint, keys_of([SECRET]), ssl.create_default_context(), 5.0)
        answer = await sender.send("m", b"{}")
        await sender.close()
        return answer.outcome

    outcome = asyncio.run(send())
    assert outcome.meaning is Meaning.FAILED
    assert "Error" in outcome.error
    assert "s3cret" not in outcome.error


def test_a_dead_letter_that_is_tried_again_is_delivered_and_gone(receiver):
    receiver.answer = lambda _: Reply(400)
    told = Told(receiver)
    with told.delivering():
        told.publish(*(change("ann", n) for n in range(3)))
        told.wait_for(lambda kept: kept.letters == 3)
        assert told.ledger.ask_again("crm", ["0:0", "1:0", "9:9"]) == 1
        told.wait_for(lambda kept: kept.letters == 3 and kept.again == 0)  # refused again
        receiver.answer = lambda _: Reply()
        assert told.ledger.ask_again("crm", None) == 3
        receiver.wait_for(lambda r: len(r.taken) == 3)
        kept = told.wait_for(lambda kept: kept.letters == kept.again == 0)
    assert kept.given_up == 3, "given up once each, however often they were tried again"
    assert receiver.numbers("ann") == [0, 1, 2]


def test_one_change_that_the_endpoint_fails_on_holds_up_nobody_for_long(receiver):
    receiver.answer = lambda request: Reply(500 if request.data["customer_id"] == "poison" else 200)
    told = Told(receiver)
    with told.delivering():
        told.publish(change("poison", 0))
        for n in range(1, 60):
            told.publish(change(f"c{n}", n))
        told.wait_for(lambda kept: kept.letters == 1 and kept.delivered == 59)
    (letter,) = told.ledger.letters("crm", 0, 10)
    assert letter.tries == HASTY.failed_tries


def test_a_change_that_only_has_bad_luck_is_not_given_up(receiver):
    """The endpoint fails on many: then nothing says that it is this change."""
    tries = Counter()

    def answer(request):
        tries[request.id] += 1
        return Reply(503 if tries[request.id] <= (12 if request.id == "0-token-0" else 1) else 200)

    receiver.answer = answer
    told = Told(receiver)
    with told.delivering():
        told.publish(*(change(f"c{n}", n) for n in range(60)))
        kept = told.wait_for(lambda kept: kept.delivered == 60)
    assert kept.letters == kept.given_up == 0
    assert tries["0-token-0"] == 13


def test_after_failing_for_too_long_each_is_tried_once_until_one_is_taken_in(receiver):
    receiver.answer = lambda _: Reply(500)
    told = Told(receiver, policy=RetryPolicy(first=0.02, longest=0.05, retry_for=0.3))
    with told.delivering():
        told.publish(change("ann", 0))
        told.wait_for(lambda kept: kept.letters == 1)
        # Counted where they are sent: on a machine that is busy enough not every request reaches the receiver.
        tried = told.sender.requests.count[Meaning.FAILED]
        told.publish(*(change(f"c{n}", n) for n in range(1, 21)))
        told.wait_for(lambda kept: kept.letters == 21)
        assert told.sender.requests.count[Meaning.FAILED] == tried + 20
        receiver.answer = lambda _: Reply()
        told.publish(change("ann", 30))
        receiver.wait_for(lambda r: r.taken)
        receiver.answer = lambda _: Reply(500)
        told.publish(change("ann", 31))
        receiver.wait_for(lambda r: sum(one.id == "0-token-31" for one in r.turned_away) > 2)


def test_how_long_it_has_failed_is_remembered_by_the_next_process(receiver):
    receiver.answer = lambda _: Reply(500)
    told = Told(receiver, policy=RetryPolicy(first=0.02, longest=0.05, retry_for=0.5))
    with told.delivering():
        told.publish(change("ann", 0))
        since = told.wait_for(lambda kept: kept.failing_since is not None).failing_since
    with told.delivering():
        kept = told.wait_for(lambda kept: kept.letters == 1)
    assert kept.failing_since > since - 100_000
    assert sum(kept.positions.values()) == 1


@pytest.mark.parametrize(("failed_for", "tries"), [(90_000, 1), (60, 4)])
def test_time_in_which_nobody_sent_is_no_time_of_failing(receiver, failed_for, tries):
    told, two_days_ago = Told(receiver), wall_micros() - 2 * DAY
    ledger, identity = told.ledger, identity_of(told.logs)
    ledger.begin("crm", identity, {0: 0, 1: 0})
    ledger.advance("crm", Step("call", identity, two_days_ago, failing_since=two_days_ago - failed_for * SECOND))
    receiver.answer = lambda _: Reply(503)
    with told.delivering():
        told.publish(change("ann", 0))
        receiver.wait_for(lambda r: len(r.turned_away) >= tries)
        if tries == 1:
            told.wait_for(lambda kept: kept.letters == 1)
        else:
            told.wait_for(lambda kept: kept.status == 503)
            assert ledger.kept("crm").letters == 0


def test_names_that_only_a_newer_version_can_read_are_waited_for(receiver):
    told, found = Told(receiver, segments=("Champions",)), []

    def names():
        if not found:
            raise NewerDocumentError("of a newer version")
        return {1: "Champions"}

    told.names = SegmentNames(names)
    with told.delivering():
        told.publish(change("ann", 0))
        deadline = time.monotonic() + SECONDS
        while not told.delivery.error:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        found.append(True)
        receiver.wait_for(lambda r: r.taken)


def test_a_fault_of_ours_ends_what_one_endpoint_is_told_and_that_begins_anew(receiver):
    logs, faults = MemoryLogs(), []
    logs.create(LogSpec(LOG, 2))

    class Faulty(MemoryLedger):
        def kept(self, name):
            if name == "bad" and len(faults) < 2:
                faults.append(name)
                raise RuntimeError("nobody has thought of this")
            return super().kept(name)

    ledger, writer = Faulty(), logs.writer()
    told = {name: Endpoint(name, receiver.url, ()) for name in ("bad", "good")}
    looks = []

    async def work():
        stopping = asyncio.Event()
        deployment = Deployment(Settings(), logs, None, MemoryViews(wall_micros))
        task = asyncio.create_task(
            deliver(
                deployment,
                ledger,
                told,
                {name: [SECRET] for name in told},
                stopping=stopping,
                on_look=lambda running: looks.append([one.delivery.error for one in running]),
                again_seconds=0.01,
            )
        )
        async with asyncio.timeout(SECONDS):
            while not all(len(MemoryLedger.kept(ledger, name).positions) == 2 for name in told):
                assert not task.done()
                await asyncio.sleep(0.01)
            writer.append(LOG, b"k", change("ann", 0)).result()
            while not all(ledger.kept(name).delivered == 1 for name in told):
                assert not task.done()
                await asyncio.sleep(0.01)
            stopping.set()
            await task

    asyncio.run(work())
    assert len(receiver.taken) == 2
    assert looks[-1] == ["", ""]


def test_a_slow_endpoint_is_let_go_of_and_tried_again(receiver):
    held = threading.Event()
    receiver.answer = lambda _: Reply(wait=held)
    told = Told(receiver, timeout=0.3)
    with told.delivering():
        told.publish(change("ann", 0))
        kept = told.wait_for(lambda kept: kept.error)
        assert kept.error == "no answer within 0.3 s"
        receiver.answer = lambda _: Reply()
        receiver.wait_for(lambda r: r.taken)
        held.set()


def test_only_what_is_wanted_is_told(receiver):
    names = {1: "Champions", 2: "Lost"}
    told = Told(
        receiver,
        kinds=frozenset({"moved", "entered", "born"}),
        segments=("Champions", 7),
        audiences=frozenset({"Big"}),
        names=names,
    )
    segment = {"kind": "born", "segment_id": 7, "name": "New", "from": [[1, 0.5]], "customer_id": None}
    with told.delivering():
        told.publish(
            change("into", 0, to=1, before=2),
            change("out", 1, to=2, before=1),
            change("no", 2, to=3, before=2),
            change("by-id", 3, to=7),
            change("x", 4, to=None, kind="entered", audience="Big"),
            change("x", 5, to=None, kind="entered", audience="Small"),
            change("x", 6, to=None, kind="left", audience="Big"),
            change("x", 7, **segment),
            change("x", 8, kind="renamed"),
            b"not json",
        )
        receiver.wait_for(lambda r: len(r.taken) >= 5)
        told.wait_for(lambda kept: sum(kept.positions.values()) == 10)
    assert sorted(one.id for one in receiver.taken) == [f"0-token-{n}" for n in (0, 1, 3, 4, 7)]
    assert told.delivery.unreadable == 2


def test_hostile_ids_are_data(receiver):
    customers = ['"}, "x": 1', "\u2028 ' <script>", "a\\u0000b", "café\N{SNOWMAN}", "{webhook-crm}:kept"]
    ids = ["a.b", "x\r\nevil: 1", "ü", "", "y" * 500]
    told = Told(receiver)
    with told.delivering():
        told.publish(*(change(one, n) for n, one in enumerate(customers)))
        told.publish(*(change("ann", n, change_id=one) for n, one in enumerate(ids)))
        receiver.wait_for(lambda r: len(r.taken) == 10)
    assert not receiver.forged
    assert {one.data["customer_id"] for one in receiver.taken} == {*customers, "ann"}
    shown = [one.id for one in receiver.taken if one.data["customer_id"] == "ann"]
    assert all(one.startswith("change-") for one in shown)
    assert len(set(shown)) == 5
    assert not any("evil" in one.headers for one in receiver.taken)


def test_records_that_the_log_let_go_of_are_counted(receiver):
    told = Told(receiver)
    with told.delivering():
        told.publish(change("ann", 0), partition=0)
        receiver.wait_for(lambda r: r.taken)
    told.publish(*(change("ann", n) for n in range(1, 11)), partition=0)
    told.logs.trim(LOG, 0, 8)
    with told.delivering():
        receiver.wait_for(lambda r: len(r.taken) == 4)
        kept = told.wait_for(lambda kept: kept.lost)
    assert kept.lost == told.delivery.lost == 7
    assert receiver.numbers("ann") == [0, 8, 9, 10]


def test_a_log_that_was_made_anew_is_told_from_its_beginning(receiver):
    told = Told(receiver)
    receiver.answer = lambda request: Reply(400 if request.id == "0-token-0" else 200)
    with told.delivering():
        told.publish(change("ann", 0))
        told.wait_for(lambda kept: kept.letters == 1)
    told.logs.delete(LOG)
    told.logs.create(LogSpec(LOG, 2))
    told.publish(change("ann", 50))
    with told.delivering():
        receiver.wait_for(lambda r: r.taken)
    kept = told.ledger.kept("crm")
    assert (kept.letters, kept.dropped) == (0, 1), "what the letter referred to is gone"
    assert receiver.numbers("ann") == [50]


def test_letters_on_their_way_across_a_log_that_was_made_anew_are_nothing_of_the_new_one(receiver):
    held, asked = threading.Event(), []

    def answer(request):
        asked.append(request.id)
        return Reply(400) if asked.count(request.id) == 1 else Reply(400, wait=held)

    receiver.answer = answer
    told = Told(receiver, policy=RetryPolicy(first=0.02, longest=0.1, refused_tries=1))
    with told.delivering():
        told.publish(change("ann", 0))
        told.wait_for(lambda kept: kept.letters == 1)
        told.ledger.ask_again("crm", None)
        receiver.wait_for(lambda _: len(asked) == 2)
        before = told.ledger.kept("crm").identity
        told.logs.delete(LOG)
        told.logs.create(LogSpec(LOG, 2))
        told.wait_for(lambda kept: kept.identity != before)
        held.set()
        receiver.answer = lambda _: Reply()
        told.publish(change("bob", 1))
        kept = told.wait_for(lambda kept: kept.delivered == 1)
        assert (kept.letters, kept.again, kept.given_up) == (0, 0, 1)
        assert told.delivery.dispatcher.trying_again == 0


def test_nothing_is_sent_while_nothing_can_be_written_down(receiver):
    class Failing(MemoryLedger):
        broken = False

        def advance(self, name, step):
            if self.broken:
                raise StateUnavailableError("no Redis")
            return super().advance(name, step)

    ledger = Failing()
    told = Told(receiver, ledger=ledger)
    with told.delivering():
        told.publish(change("ann", 0))
        told.wait_for(lambda kept: kept.delivered == 1)
        ledger.broken = True
        told.publish(change("ann", 1))
        told.wait_for(lambda _: told.delivery.error == "no Redis")
        told.publish(change("ann", 2))
        told.wait_for(lambda _: told.delivery.waiting)
        sent = len(receiver.taken)
        ledger.broken = False
        told.wait_for(lambda kept: kept.delivered == 3)
        assert told.delivery.error == ""
    assert sent <= 2
    assert receiver.ids() == ["0-token-0", "0-token-1", "0-token-2"]


def test_two_processes_share_the_work_and_one_goes_on_alone(receiver):
    one = Told(receiver)
    with one.delivering():
        other = Told(receiver, logs=one.logs, ledger=one.ledger)
        with other.delivering():
            one.publish(*(change(f"c{n}", n) for n in range(100)), partition=0)
            one.publish(*(change(f"d{n}", 100 + n) for n in range(100)), partition=1)
            receiver.wait_for(lambda r: len({one.id for one in r.taken}) == 200)
        one.publish(*(change(f"e{n}", 200 + n) for n in range(50)), partition=0)
        one.publish(*(change(f"f{n}", 250 + n) for n in range(50)), partition=1)
        receiver.wait_for(lambda r: len({one.id for one in r.taken}) == 300)
    assert set(receiver.ids()) == {f"0-token-{n}" for n in range(300)}
    assert sum(one.ledger.kept("crm").positions.values()) == 300
