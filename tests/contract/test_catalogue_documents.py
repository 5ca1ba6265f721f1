"""The public documents of the catalogue follow it, whatever befalls leader or Redis: one suite over both states."""

import random
import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumer.catalogue_documents import CHECK_SECONDS, CatalogueDocuments, encoded
from consumer.catalogue_entry import Entry
from consumer.items import Items
from consumer.memory_state import MemoryState
from consumer.redis_state import RedisState
from consumer.state import MAX_ENTRIES, CatalogueStep, StateUnavailableError
from contracts.documents import CatalogueEntry, Withdrawn
from contracts.keys import Keys
from recommender.redis_open import open_redis

WALL = 1_800_000_000_000_000


@pytest.fixture(params=["memory", "redis"])
def new_state(request):
    """Makes one state after the other, each with nothing in it."""
    if request.param == "memory":
        return MemoryState
    url, unique = request.getfixturevalue("redis_url"), request.getfixturevalue("unique")
    numbers = iter(range(10_000))
    client = open_redis(url)
    return lambda: RedisState(client, Keys(f"{unique}-{next(numbers)}"))


@pytest.fixture
def state(new_state):
    return new_state()


class Turns:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Catalogue:
    """A follower's entries, put by hand."""

    def __init__(self, items):
        self.entries = {}
        self.items = items
        self.news = set()

    def put(self, **entries):
        for item, entry in entries.items():
            self.items.put(item, entry)
            self.news.add(item)
            if entry is None:
                self.entries.pop(item, None)
            else:
                self.entries[item] = entry

    def take_news(self):
        news, self.news = self.news, set()
        return news


class Leader:
    """One worker that leads."""

    def __init__(self, state, number=1, entries=()):
        self.number = number
        self.turns = Turns()
        self.items = Items(["post(age)?"])
        self.catalogue = Catalogue(self.items)
        self.catalogue.put(**dict(entries))
        self.documents = CatalogueDocuments(state, self.catalogue, self.items, self.turns)

    def write(self, wall=WALL):
        self.turns.now += CHECK_SECONDS
        self.documents.write(self.number, wall)
        for _ in range(1000):
            if not self.documents.pending:
                return
            self.documents.write(self.number, wall)
        pytest.fail("it never ends")


def shown(state):
    """What readers see: entries, withdrawn, version; the document is of that version."""
    entries = {
        item: CatalogueEntry.model_validate_json(one) for part in state.catalogue() for item, one in part.items()
    }
    document = state.withdrawn()
    if document is None:
        return entries, (), state.catalogue_version()
    withdrawn = Withdrawn.model_validate_json(document)
    assert withdrawn.version == state.catalogue_version()
    return entries, withdrawn.items, withdrawn.version


def agrees(state, leader):
    entries, withdrawn, _ = shown(state)
    wanted = {
        item: CatalogueEntry(name=one.name, category=one.category, offered=one.offered)
        for item, one in leader.catalogue.entries.items()
    }
    return entries == wanted and list(withdrawn) == leader.items.withdrawn


def test_entries_and_what_is_withdrawn_are_shown_and_follow(state):
    leader = Leader(state, entries={"cup": Entry("Cup", "Kitchen"), "old": Entry(offered=False)})
    leader.items.number(["cup", "POST", "pot"])
    leader.write()
    entries, withdrawn, version = shown(state)
    assert entries["cup"] == CatalogueEntry(name="Cup", category="Kitchen")
    assert withdrawn == ("POST", "old")
    leader.catalogue.put(cup=Entry("Cup", "Kitchen", offered=False), old=None)
    leader.write()
    assert shown(state)[1] == ("POST", "cup")
    assert shown(state)[2] > version
    assert agrees(state, leader)


def test_a_pattern_withdraws_an_item_of_the_catalogue_that_was_never_sold(state):
    leader = Leader(state, entries={"postage": Entry("Postage"), "Postage": Entry(since=5)})
    leader.write()
    assert shown(state)[1] == ("Postage", "postage")


def test_without_a_catalogue_there_is_an_empty_document(state):
    leader = Leader(state)
    leader.write()
    entries, withdrawn, version = shown(state)
    assert (entries, withdrawn) == ({}, ())
    assert state.withdrawn() is not None
    assert version > 0


def test_where_nothing_changes_nothing_is_written(state):
    leader = Leader(state, entries={"a": Entry("A")})
    leader.write()
    _, _, version = shown(state)
    leader.catalogue.put(a=Entry("A"))
    leader.catalogue.take_news()
    leader.write(WALL + 10**9)
    Leader(state, 2, {"a": Entry("A")}).write(WALL + 2 * 10**9)
    assert shown(state)[2] == version


def test_the_next_leader_writes_what_differs_and_the_former_is_refused(state):
    frozen = Leader(state, 1, {"a": Entry("A"), "b": Entry("B")})
    frozen.write()
    leader = Leader(state, 2, {"a": Entry("new"), "c": Entry(offered=False)})
    leader.write()
    frozen.catalogue.put(a=Entry("stale"), d=Entry())
    frozen.turns.now += 2 * CHECK_SECONDS
    for _ in range(5):
        frozen.turns.now += 2 * CHECK_SECONDS
        frozen.documents.write(frozen.number, WALL + 10**12)
    assert agrees(state, leader)


def test_a_large_catalogue_is_written_in_steps_with_what_is_withdrawn_in_the_first(state):
    entries = {f"i{n}": Entry(f"Item {n}", offered=n > 0) for n in range(MAX_ENTRIES * 12 + 1)}
    leader = Leader(state, entries=entries)
    leader.documents.write(1, WALL)
    some, withdrawn, first = shown(state)
    assert 0 < len(some) < len(entries)
    assert withdrawn == ("i0",)
    leader.catalogue.put(i1=Entry(offered=False))  # more urgent than the rest
    leader.documents.write(1, WALL)
    assert shown(state)[1] == ("i0", "i1")
    leader.write()
    assert agrees(state, leader)
    assert shown(state)[2] > first


@pytest.mark.parametrize("forgotten", [0, 1])
def test_what_redis_has_forgotten_is_written_again_under_a_version_never_seen(new_state, forgotten):
    """The server comes back with nothing, or with what another had written."""
    states = [new_state(), new_state()]
    if forgotten:
        Leader(states[1], 1, {"x": Entry("X")}).write(WALL - 10**9)
    leader = Leader(states[0], 1, {"a": Entry("A", offered=False)})
    leader.write()
    _, _, version = shown(states[0])
    leader.documents._state = states[1]
    leader.write(WALL + 10**6)
    assert agrees(states[1], leader)
    assert shown(states[1])[2] > version


class Faulty:
    """A state some of whose answers are lost, and some of whose calls do not get there."""

    def __init__(self, state, chances):
        self._state = state
        self._chances = chances

    def __getattr__(self, name):
        call = getattr(self._state, name)

        def maybe(*arguments):
            fate = next(self._chances, 0)
            if fate == 1:
                raise StateUnavailableError("not sent")
            answer = call(*arguments)
            if fate == 2:
                raise StateUnavailableError("reply lost")
            return answer

        return maybe


names = st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
made = st.builds(Entry, name=names, category=names, offered=st.booleans(), since=st.none())


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_in_the_end_readers_see_the_catalogue(new_state, data):
    state = new_state()
    chances = iter(data.draw(st.lists(st.sampled_from([0, 0, 1, 2]), max_size=40)))
    number = 1
    leader = Leader(Faulty(state, chances), number)
    changes = data.draw(
        st.lists(st.tuples(st.sampled_from("abcde"), st.one_of(st.none(), made), st.booleans()), max_size=20)
    )
    for item, entry, replaced in changes:
        leader.catalogue.put(**{item: entry})
        if replaced:
            number += 1
            leader = Leader(Faulty(state, chances), number, leader.catalogue.entries)
        try:
            leader.write()
        except StateUnavailableError:
            continue
    for _ in range(50):
        try:
            leader.write()
        except StateUnavailableError:
            continue
        break
    assert agrees(state, leader)


def test_entries_of_items_are_told_by_id(state):
    Leader(state, entries={"a": Entry("A"), "b": Entry("B")}).write()
    found = state.catalogue_entries(["b", "none", "a"])
    assert [one and CatalogueEntry.model_validate_json(one).name for one in found] == ["B", None, "A"]
    assert state.catalogue_entries([]) == []


def test_a_step_of_the_largest_size_passes(state):
    letters = random.Random(1).choices(string.ascii_letters, k=200)
    entry = encoded(Entry("".join(letters), "c"))
    full = {f"i{n}": entry for n in range(MAX_ENTRIES)}
    assert state.publish_catalogue(CatalogueStep(leader=1, before=0, version=1, entries=full, withdrawn=b"{}"))
    gone = dict.fromkeys(full)
    assert state.publish_catalogue(CatalogueStep(leader=1, before=1, version=2, entries=gone, withdrawn=b"{}"))
    assert not any(state.catalogue())
    assert not state.publish_catalogue(CatalogueStep(leader=1, before=1, version=3))


@given(made)
def test_a_public_entry_is_what_the_contract_says(entry):
    wanted = CatalogueEntry(name=entry.name, category=entry.category, offered=entry.offered)
    assert CatalogueEntry.model_validate_json(encoded(entry)) == wanted
    assert encoded(entry) == wanted.model_dump_json().encode()
