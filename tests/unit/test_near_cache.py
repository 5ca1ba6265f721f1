"""The near-cache never keeps what has changed, whatever the order in which reads and invalidations arrive."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.answers import Recommendations
from recommender.choosing import Choice
from recommender.near_cache import NearCache

KEYS = ["a", "b"]
OPS = ["read 0", "read 1"] * 4 + ["write", "hear"] * 2 + ["hit", "break off", "flush", "fail 0"]
"""By how often each should happen."""


class Race:
    """A server that answers reads and tells of writes, both under way for as long as it takes; two threads."""

    def __init__(self) -> None:
        self.cache = NearCache(limit=2)
        self.cache.connected()
        self.server = dict.fromkeys(KEYS, 0)
        self.untold: list[str] = []
        """Invalidations on their way, in order."""
        self.reads: dict[str, dict] = {"0": {}, "1": {}}

    def read(self, thread: str, keys: set[str]) -> None:
        """One step further: announced, answered by the server, kept."""
        read = self.reads[thread]
        if not read:
            read |= {"keys": keys, "token": self.cache.begin(keys)}
        elif "found" not in read:
            read["found"] = {key: self.server[key] for key in read["keys"]}
        else:
            self.cache.commit(read["token"], read["found"])
            self.reads[thread] = {}

    def fail(self, thread: str, _: set[str]) -> None:
        if read := self.reads[thread]:
            self.cache.give_up(read["token"], read["keys"])
            self.reads[thread] = {}

    def write(self, keys: set[str]) -> None:
        for key in sorted(keys):
            self.server[key] += 1
            self.untold.append(key)

    def hear(self, keys: set[str]) -> None:
        told, self.untold = self.untold[: len(keys)], self.untold[len(keys) :]
        self.cache.invalidate(told)

    def flush(self, _: set[str]) -> None:
        self.server = {key: value + 1 for key, value in self.server.items()}
        self.untold.clear()
        self.cache.invalidate(None)

    def break_off(self, keys: set[str]) -> None:
        """Writes are missed, and with them what was on its way."""
        self.cache.disconnected()
        assert self.cache.entries == {}
        self.write(keys)
        self.untold.clear()
        self.cache.connected()

    def hit(self, keys: set[str]) -> None:
        for key in keys & set(self.cache.entries):
            self.cache.entries[key].used = True


@settings(max_examples=500, deadline=None)
@given(
    ops=st.lists(st.tuples(st.sampled_from(OPS), st.sets(st.sampled_from(KEYS), min_size=1)), min_size=10, max_size=60)
)
def test_what_is_kept_is_what_stands_there_unless_word_is_on_its_way(ops):
    race = Race()
    for op, keys in ops:
        name, *thread = op.rsplit(" ", 1) if op[-1].isdigit() else (op,)
        getattr(race, name.replace(" ", "_"))(*thread, keys)
        for key, entry in race.cache.entries.items():
            assert entry.value == race.server[key] or key in race.untold
        assert len(race.cache.entries) <= 2


@pytest.fixture
def cache() -> NearCache:
    made = NearCache(limit=2)
    made.connected()
    return made


def keep(cache: NearCache, **found: Recommendations | None) -> None:
    cache.commit(cache.begin(list(found)), found)


def test_what_was_used_gets_a_second_chance(cache):
    keep(cache, a=None)
    keep(cache, b=None)
    cache.entries["a"].used = True
    keep(cache, c=None)
    assert set(cache.entries) == {"a", "c"}
    keep(cache, d=None)
    assert "a" not in cache.entries, "one chance for one use"


def test_where_everything_was_used_the_oldest_goes(cache):
    keep(cache, a=None, b=None)
    for entry in cache.entries.values():
        entry.used = True
    keep(cache, c=None)
    assert set(cache.entries) == {"b", "c"}


def test_out_of_touch_nothing_is_announced(cache):
    cache.disconnected()
    assert cache.begin(["a"]) is None
    keep(cache, a=None)
    assert cache.entries == {}


def test_after_a_fork_it_is_empty_and_not_locked_by_who_is_not_there(cache):
    keep(cache, a=None)
    with cache._lock:
        cache.after_fork()
    assert not cache.live
    cache.connected()
    keep(cache, a=None)
    assert set(cache.entries) == {"a"}


@given(n=st.none() | st.integers(-1, 3))
def test_a_choice_of_an_empty_answer_is_empty(n):
    assert Choice(n=n).of(Recommendations("anna", ())) == ()
