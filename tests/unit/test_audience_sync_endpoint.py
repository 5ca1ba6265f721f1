"""Audiences handed on as signed requests: in parts, each until it is taken in, under ids that stay."""

import random

import pytest

from contracts.times import DAY
from livesegments.audience_sync.endpoint import TRIES, EndpointTarget, NotTakenInError
from livesegments.audience_sync.ledger import SyncLedger
from livesegments.audience_sync.shapes import PRESETS
from livesegments.audience_sync.syncing import sync
from livesegments.webhooks.endpoints import Endpoint
from livesegments.webhooks.sending import trusted
from livesegments.webhooks.signing import keys_of
from tests.unit.test_audience_sync import Fuse, Killed, contacts, folder_in_memory, people
from tests.webhook_receiver import SECRET, Receiver, Reply


class Follower:
    """What a receiver makes of the requests: ids it knows are dropped."""

    def __init__(self):
        self.members: set[str] = set()
        self.full: set[str] = set()
        self.seen: dict[str, dict] = {}

    def take(self, request) -> None:
        known = self.seen.setdefault(request.id, request.payload)
        assert known == request.payload, "another content under the same id"
        if known is not request.payload:
            return
        data = request.data
        if data["kind"] == "full":
            self.full = self.full if data["part"] > 1 else set()
            self.full |= {one["customer_id"] for one in data["members"]}
            if data["part"] == data["parts"]:
                self.members = self.full
            return
        entered = {one["customer_id"] for one in data["entered"]}
        left = {one["customer_id"] for one in data["left"]}
        assert not entered & self.members
        assert left <= self.members
        self.members = self.members - left | entered


class Hook:
    def __init__(self, folder, receiver):
        self.path = folder / "one.sqlite"
        self.receiver = receiver
        self.context = trusted(None)
        self.endpoint = Endpoint("crm", receiver.url, ("env:CRM",))
        self.now = 0
        self.waited: list[float] = []

    async def wait(self, seconds):
        self.waited.append(seconds)

    def sync(self, members, fuse=None, **more):
        self.now += DAY
        fuse = fuse or Fuse(None)
        with SyncLedger(self.path) as ledger:
            for name in ("decide", "settle", "part_done"):
                setattr(ledger, name, fuse.around(getattr(ledger, name)))
            target = EndpointTarget(
                self.endpoint, keys_of([SECRET]), self.context, 5.0, {"audience": "Big"}, wait=self.wait
            )
            read = lambda: contacts(members)  # noqa: E731
            return sync(ledger, target, PRESETS["generic"], read, now=self.now, part_rows=3, **more)


@pytest.fixture
def hook():
    with folder_in_memory() as folder, Receiver() as receiver:
        yield Hook(folder, receiver)


def test_a_full_list_in_parts_then_the_difference(hook):
    hook.sync(people("a", "b", "c", "d"))
    hook.sync(people("b", "c", "d", "e"))
    assert hook.sync(people("b", "c", "d", "e")).delivery is None
    first, second, third = (one.payload for one in hook.receiver.taken)
    assert hook.receiver.forged == []
    assert (first["type"], first["timestamp"]) == ("audience.sync", "1970-01-02T00:00:00Z")
    data = {name: first["data"][name] for name in ("v", "sync", "audience", "sequence", "kind", "part", "parts")}
    assert data == {"v": 1, "sync": "crm", "audience": "Big", "sequence": 1, "kind": "full", "part": 1, "parts": 2}
    assert first["data"]["members"][0] == {
        "customer_id": "a",
        "segment": "s",
        "orders": "1",
        "net_spend": "2.00",
        "last_order_at": "a",
    }
    assert [one["customer_id"] for one in second["data"]["members"]] == ["d"]
    assert third["data"]["left"] == [{"customer_id": "a"}]
    assert [one["customer_id"] for one in third["data"]["entered"]] == ["e"]
    assert len(set(hook.receiver.ids())) == 3


def test_an_endpoint_that_fails_is_tried_again_and_what_is_due_goes_on_where_it_stood(hook):
    hook.sync(people("a"))
    calls = iter([Reply(503), Reply(204), Reply(503), Reply(503), Reply(503), Reply(503)])
    hook.receiver.answer = lambda _: next(calls)
    with pytest.raises(NotTakenInError, match=r"answered 503; what is due stays"):
        hook.sync(people(*"abcdefg"))
    assert len(hook.waited) == 1 + TRIES - 1
    before = len(hook.receiver.taken)
    hook.receiver.answer = lambda _: Reply()
    done = hook.sync(people(*"abcdefg", "z"))
    assert (done.finished.sequence, done.delivery.counts) == (2, {"entered": 1})
    parts = [(one.data["sequence"], one.data["part"]) for one in hook.receiver.taken]
    assert parts[before - 1 :] == [(2, 1), (2, 2), (3, 1)]
    follower = Follower()
    for one in hook.receiver.taken:
        follower.take(one)
    assert follower.members == set("abcdefgz")


@pytest.mark.parametrize("reply", [Reply(400), Reply(410), Reply(302), Reply(429, {"Retry-After": "3000"})])
def test_what_is_refused_or_asks_for_long_is_not_tried_again_now(hook, reply):
    hook.receiver.answer = lambda _: reply
    with pytest.raises(NotTakenInError, match=f"answered {reply.status}"):
        hook.sync(people("a"))
    assert len(hook.receiver.turned_away) == 1
    assert hook.waited == []


def test_a_restart_forgets_what_is_due_and_begins_another_stream(hook):
    hook.sync(people("a"))
    hook.receiver.answer = lambda _: Reply(400)
    with pytest.raises(NotTakenInError):
        hook.sync(people("a", "b"))
    hook.receiver.answer = lambda _: Reply()
    with SyncLedger(hook.path) as ledger:
        ledger.restart()
    done = hook.sync(people("c"))
    assert (done.finished, done.delivery.kind) == (None, "full")
    streams = [one.data["stream"] for one in hook.receiver.taken]
    assert len(set(streams)) == 2
    assert len(set(hook.receiver.ids())) == 2


def test_whoever_drops_known_ids_knows_the_audience_wherever_syncs_are_killed(hook):
    draw = random.Random(5)
    follower, taken = Follower(), 0
    for _ in range(40):
        members = people(*draw.sample("abcdefghij", draw.randint(0, 9)))
        for fuse in (Fuse(draw.randint(0, 12)), None):
            try:
                hook.sync(members, fuse, full=draw.random() < 0.1)
                break
            except Killed:
                continue
        for one in hook.receiver.taken[taken:]:
            follower.take(one)
        taken = len(hook.receiver.taken)
        assert follower.members == set(members)
    assert len(set(hook.receiver.ids())) < taken, "some parts came twice, with their ids"
