"""Sums equal a batch pass over the rows after any history of a worker's memory, and everybody is where the model says.

A state machine drives one Memory: events of all kinds, sweeps in slices, new models in the middle, partitions given up
and loaded again. The batch pass is done anew after every step, in plain Python where it can be.
"""

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from consumer.clock import Clock
from consumer.columns import Columns
from consumer.currency import Rates
from consumer.decoding import Decoder
from consumer.figures import figures_of, merged
from consumer.held import checkpoint_of, claim, load, next_rows, noted, quiet_rows
from consumer.layout import HEAD, HEADER, LINE, Limits
from consumer.memory import Memory
from consumer.memory_state import MemoryState
from consumer.settings import WorkerSettings
from contracts.documents import NO_SEGMENT
from contracts.events import Erase, Line, Profile, Purchase, Return, encode_event
from contracts.partitioning import partition_of
from contracts.times import DAY, EPOCH, HOUR
from logs.base import Batch, LogInfo
from online_model.features import DEFAULT_FEATURES, FeatureSet, bought
from online_model.metric import Metric
from online_model.model import FIRST_SEGMENT_ID, LAPSED, NO_PURCHASES, NOT_ENOUGH_DATA, Segment, SegmentModel
from online_model.rules import audiences
from online_model.sums import ClusterSums, Votes
from recommender.store import MemoryViews

PARTITIONS = 3
START = 19_000 * DAY
CUSTOMERS = [f"c{n}" for n in range(14)]
LOG = LogInfo("events", "id", PARTITIONS)
HALF_LIFE = 7 * DAY
LAPSE_DAYS = 20
FEATURES = FeatureSet.of(DEFAULT_FEATURES)
AUDIENCES = audiences({"Big": "spend >= 50", "Away": "recency_days > 10"})
SLICE = 3
"""Rows of one slice of a sweep."""


@dataclass(frozen=True)
class Evaluated:
    """Under which model a row was evaluated last, and when."""

    model: SegmentModel
    order_value: float
    now: int


class MemoryMachine(RuleBasedStateMachine):
    @initialize()
    def begin(self):
        limits = Limits(lateness=30 * DAY, lines=5, ids=6)
        settings = WorkerSettings(clock="event", limits=limits, audiences=AUDIENCES)
        self.clock = Clock("event", wall=lambda: START)
        self.memory = Memory(settings, self.clock, PARTITIONS, MemoryViews(lambda: START), lambda: 0.0)
        self.memory.set_audiences({"Big": 0, "Away": 1})
        learner = self.memory.learner
        whole_slice = learner.sweep
        learner.sweep = lambda now: whole_slice(now, SLICE)
        self.state = MemoryState()
        self.decoder = Decoder(Rates("GBP"))
        self.events = 0
        self.at = START
        self.evaluated: dict[str, Evaluated] = {}
        self.behind: set[str] = set()
        """Who is behind the cursor of the sweep under way."""
        self.placed: dict[str, SegmentModel | None] = {}
        """Under which model an event or a sweep put the customer into a segment; missing where the row was loaded."""
        self.current: SegmentModel | None = None
        self.building: SegmentModel | None = None
        self.churn = defaultdict(float)
        """Everything that was ever added up into a popularity, by segment and item, as of START."""
        self.cells_churn = 1.0
        for partition in range(PARTITIONS):
            self._take_in(partition)

    # ---- what happens ----

    def _take_in(self, partition):
        held, _ = claim(self.state, partition, LOG, 0.0)
        rows = load(self.state, self.memory.store, held)
        self.memory.take_in(held, rows)
        for who, row in held.rows.index.items():
            self._note_evaluated(who, row)
            self.placed.pop(who, None)

    def _note_evaluated(self, who, row):
        behind = self.building is not None and row < self.memory.learner._cursor
        model = self.building if behind else self.current
        self.evaluated.pop(who, None)
        self.behind.discard(who)
        if model is not None:
            self.evaluated[who] = Evaluated(model, model.order_value, self.clock.now)
        if behind:
            self.behind.add(who)

    def _checkpoint(self, partition, must=()):
        held = self.memory.held[partition]
        rows = next_rows(self.memory.store, held, must)
        step = checkpoint_of(self.memory.store, held, rows, 0, {})
        self.state.checkpoint(partition, held.token, step)
        noted(held, step, rows, must, 0.0, quiet=quiet_rows(held))

    moments = st.one_of(st.integers(-40, 3).map(lambda days: days * DAY), st.integers(-48, 48).map(lambda h: h * HOUR))
    orders = st.lists(
        st.tuples(st.sampled_from("abcdefg"), st.integers(1, 3), st.sampled_from([0.0, 1.5, 20.0, 99.99])),
        min_size=1,
        max_size=4,
    )
    drawn = st.tuples(
        st.sampled_from(CUSTOMERS),
        st.sampled_from([Purchase, Purchase, Purchase, Purchase, Return, Profile, Erase]),
        moments,
        orders,
    )

    @rule(drawn=st.lists(drawn, min_size=1, max_size=12), ahead=st.integers(0, 5))
    def take_events(self, drawn, ahead):
        self.at += ahead * DAY
        by_partition = defaultdict(list)
        for who, kind, offset, lines in drawn:
            self.events += 1
            head = {
                "event_id": f"e{self.events}",
                "customer_id": who,
                "occurred_at": EPOCH + timedelta(microseconds=self.at + offset),
            }
            if kind in (Purchase, Return):
                head["lines"] = tuple(Line(item_id=i, quantity=q, unit_price=p) for i, q, p in lines)
                head |= {"order_id": "o", "currency": "GBP"}
            elif kind is Profile:
                head["attributes"] = {"age": self.events}
            by_partition[partition_of(who, PARTITIONS)].append(encode_event(kind(**head)))
        held = [partition for partition in by_partition if partition in self.memory.held]
        for partition in held:
            values = by_partition[partition]
            n = len(values)
            decoded = self.decoder.decode(Batch(partition, range(n), values, [None] * n, [4 * 10**15] * n))
            assert not decoded.refused
            assert not self.memory.applier.apply(decoded.events).foreign
        applied, _ = self.memory.settle()
        for _, who in applied.removed:
            self.placed.pop(who, None)
            self.evaluated.pop(who, None)
            self.behind.discard(who)
        for row in applied.causes:
            who = self.memory.store.ids[row]
            self._note_evaluated(who, row)
            self.placed[who] = self.evaluated[who].model if who in self.evaluated else None
        must = defaultdict(list)
        for row in applied.causes:
            must[int(self.memory.store.partition[row])].append(row)
        self._check_what_is_told(gone={who for _, who in applied.removed})
        for partition in held:
            self._checkpoint(partition, must[partition])

    @rule(
        k=st.integers(2, 4),
        seed=st.integers(0, 999),
        order_value=st.sampled_from([10.0, 10.0, 40.0]),
        new_ids=st.booleans(),
        promising=st.integers(0, 4),
    )
    def adopt(self, k, seed, order_value, new_ids, promising):
        """A version of any centroids: nothing here depends on their being good ones."""
        rng = np.random.default_rng(seed)
        newest = self.memory.learner.model
        version = newest.version + 1 if newest else 1
        first = 100 * version if new_ids else FIRST_SEGMENT_ID
        model = SegmentModel(
            version=version,
            features=FEATURES.names,
            order_value=order_value,
            metric=Metric(rng.uniform(0, 1, 3), rng.uniform(0.2, 2, 3)),
            centroids=rng.uniform(0, 2, (k, 3)),
            segments=tuple(Segment(first + c, f"S{first + c}", active=c < promising) for c in range(k)),
            seed=0,
            margin=0.1,
            dwell=HOUR,
            adopted_at=self.clock.now,
            reason="",
            gain=0.0,
            purchases=0,
            buyers=0,
            next_segment_id=first + k,
            sizes=(0,) * k,
            inertia=0.0,
            lapse_days=LAPSE_DAYS,
        )
        self._abandon()
        self.memory.adopt(model)
        self.building, self.behind = model, set()

    def _abandon(self):
        """Those behind the cursor of a sweep that is given up are put back under the model before, as they stand."""
        if self.building is None:
            return
        for who in self.behind:
            if self.current is None:
                del self.evaluated[who]
            else:
                self.evaluated[who] = replace(self.evaluated[who], model=self.current)

    @precondition(lambda self: self.memory.learner.model is not None)
    @rule(ahead=st.integers(0, 40))
    def begin_sweep(self, ahead):
        self.at += ahead * DAY
        self.clock.hear([self.at])
        self._abandon()
        self.memory.learner.begin_sweep(self.clock.now)
        self.building, self.behind = self.memory.learner.model, set()

    @precondition(lambda self: self.memory.learner.sweeping)
    @rule(slices=st.integers(1, 3))
    def sweep(self, slices):
        for _ in range(slices):
            if not self.memory.learner.sweeping:
                return
            done = self.memory.learner._cursor
            store = self.memory.store
            self.memory.sweep()
            for row in range(done, min(done + SLICE, store.used)):
                if store.partition[row] >= 0:
                    self.evaluated[store.ids[row]] = Evaluated(self.building, self.building.order_value, self.clock.now)
                    self.behind.add(store.ids[row])
                    self.placed[store.ids[row]] = self.building
            if not self.memory.learner.sweeping:
                self.current, self.building, self.behind = self.building, None, set()

    @rule(partition=st.integers(0, PARTITIONS - 1), noted_first=st.booleans())
    def give_up_or_claim(self, partition, noted_first):
        """What a sweep changed and no checkpoint wrote is lost with the memory, and must be: the state is the truth."""
        if partition in self.memory.held:
            if noted_first:
                self._checkpoint(partition)
            for who in list(self.memory.held[partition].rows.index):
                self.evaluated.pop(who, None)
                self.behind.discard(who)
            assert self.memory.drop(partition)
            assert not self.memory.drop(partition)
        else:
            self._take_in(partition)

    @rule()
    def free_rows_of_partitions_that_went(self):
        self.memory.let_go()

    # ---- what holds after every step ----

    def _rows(self, partition=None):
        """Customer, row number."""
        chosen = self.memory.held if partition is None else [partition]
        return [pair for number in chosen for pair in self.memory.store.partitions[number].index.items()]

    def _features(self, who, row):
        seen = self.evaluated[who]
        header = self.memory.store.header[[row]]
        return FEATURES.features(Columns(header), seen.now, seen.order_value)

    @invariant()
    def everybody_is_in_the_nearest_cluster(self):
        rows = self._rows()
        clusters = self.memory.learner.clusters(np.array([row for _, row in rows], np.int64))
        for (who, row), cluster in zip(rows, clusters.tolist(), strict=True):
            if who in self.evaluated:
                assert cluster == self.evaluated[who].model.assign(self._features(who, row))[0], who
            else:
                assert cluster == -1

    @invariant()
    def cluster_sums_equal_a_batch_pass(self):
        """Of the rows behind the cursor while a sweep builds its set; of all rows otherwise."""
        learner = self.memory.learner
        generation = learner._building or learner._current
        if generation is None:
            assert learner.sums(0) is None
            return
        assert learner.sweeping == (self.building is not None)
        batch = ClusterSums(PARTITIONS, generation.model.k, 3)
        magnitude = np.zeros_like(batch.merged().cells)
        for who, row in self._rows():
            if who not in self.evaluated or (self.building is not None and who not in self.behind):
                continue
            partition = np.array([partition_of(who, PARTITIONS)], np.int32)
            X = self._features(who, row)
            votes = Votes(partition, generation.model.assign(X), X)
            batch.revise(None, votes)
        for partition in range(PARTITIONS):
            magnitude = max(self.cells_churn, np.abs(batch.partition(partition).cells).max())
            self.cells_churn += np.abs(batch.partition(partition).cells).max(initial=0)
            found = generation.sums.partition(partition).cells
            np.testing.assert_allclose(found, batch.partition(partition).cells, rtol=0, atol=1e-9 * magnitude)
            np.testing.assert_array_equal(np.rint(found[:, 0]), batch.partition(partition).cells[:, 0])

    @invariant()
    def popularity_equals_a_batch_pass(self):
        """Once rows of partitions that went are let go of."""
        store, sums = self.memory.store, self.memory.item_sums
        expected = defaultdict(float)
        for who, row in self._rows():
            segment = int(store.header["segment"][row])
            names = store.partitions[partition_of(who, PARTITIONS)].items.names
            heads = np.frombuffer(store.heads[row], HEAD)
            lines = np.frombuffer(store.lines[row], LINE)
            for at, line in zip(np.repeat(heads["at"], heads["lines"]).tolist(), lines, strict=True):
                if line["quantity"] > 0:
                    key = (segment if segment >= FIRST_SEGMENT_ID else None, names[line["item"]])
                    expected[key] += 2.0 ** ((at - START) / HALF_LIFE)
        for key, value in expected.items():
            self.churn[key] += value
        if self.memory.letting_go:
            return
        found = defaultdict(float)
        weights, landmark = sums._sums.sums, sums._sums.landmark
        slots = {None: -1, **sums._slots}
        for segment, slot in slots.items():
            for item, name in enumerate(sums.items.texts.ids):
                if slot + 1 < weights.shape[0] and item < weights.shape[1]:
                    found[segment, name] = weights[slot + 1, item] * 2.0 ** ((landmark - START) / HALF_LIFE)
        assert set(expected) <= set(found)
        for key, value in found.items():
            assert abs(value - expected[key]) <= 1e-9 * self.churn[key] + 1e-12, key

    @invariant()
    def figures_count_every_customer_once(self):
        encoded = [figures_of(self.memory.store, self.memory.learner, held) for held in self.memory.held.values()]
        shop = merged(encoded, PARTITIONS)
        header = self.memory.store.header[np.array([row for _, row in self._rows()], np.int64)]
        assert sum(shop.sizes.values()) == np.count_nonzero(header["segment"] != NO_SEGMENT) == len(header)
        assert sum(shop.net_spend.values()) == int((header["spend"] - header["refunds"]).sum())
        assert shop.buyers == np.count_nonzero(header["orders"])
        if shop.sums is not None and not self.memory.learner.sweeping:
            assert shop.sums.total == sum(cluster >= 0 for cluster in self._clusters())

    def _clusters(self):
        return self.memory.learner.clusters(np.array([row for _, row in self._rows()], np.int64)).tolist()

    @invariant()
    def segments_are_of_the_model_that_placed_the_row_last(self):
        """Whoever never bought is in none of them; whoever was only loaded keeps the segment of before."""
        for who, row in self._rows():
            header = self.memory.store.header[[row]]
            segment = int(header["segment"][0])
            if not bought(Columns(header))[0]:
                assert segment == NO_PURCHASES
            elif self.placed.get(who) is None:
                assert segment == NOT_ENOUGH_DATA or who not in self.placed
            else:
                assert segment in [LAPSED, *self.placed[who].segment_ids.tolist()]

    @invariant()
    def nobody_who_lapsed_is_where_the_name_is_false(self):
        """And nobody else is put among the lapsed, nor anybody for whom there is another segment."""
        for who, row in self._rows():
            model, header = self.placed.get(who), self.memory.store.header[row]
            if model is None or who not in self.evaluated or not header["orders"]:
                continue
            lapsed = self.evaluated[who].now - int(header["last_at"]) > LAPSE_DAYS * DAY
            segment = int(header["segment"])
            false = {one.id for one in model.segments if one.active and lapsed}
            assert segment not in false
            assert (segment == LAPSED) == (len(false) == model.k)

    @invariant()
    def nothing_waits_for_rows_that_are_gone(self):
        for number, held in self.memory.held.items():
            rows = set(held.rows.index.values())
            for waiting in (held.dirty, held.asked, held.changed, held.changes):
                assert set(waiting) <= rows
            assert set(held.asked) <= set(held.dirty)
            assert all(self.memory.store.partition[row] == number for row in rows)
        assert len(self.memory.store) == len(self._rows())

    @invariant()
    def the_state_has_every_row_as_it_stands(self):
        """But for those that wait for a later checkpoint."""
        for number, held in self.memory.held.items():
            stored = {who: blob for ids, blobs in self.state.rows(number) for who, blob in zip(ids, blobs, strict=True)}
            assert set(stored) == set(held.rows.index)
            for who, row in held.rows.index.items():
                if row in held.changed:
                    continue
                seq = int(self.memory.store.header["changed_seq"][row])
                (blob,) = self.memory.store.pack(np.array([row], np.int64), seq)
                assert blob == stored[who]

    @invariant()
    def what_waits_to_be_told_leads_from_what_is_written_to_what_is(self):
        self._check_what_is_told(gone=set())

    def _check_what_is_told(self, gone):
        """Rows of customers who are `gone` are written still; if there is one in memory, it is another."""
        header, ids = self.memory.store.header, self.memory.store.ids
        for number, held in self.memory.held.items():
            written = dict(pair for part in self.state.rows(number) for pair in zip(*part, strict=True))
            for told, name, new in ((held.changes, "segment", NO_SEGMENT), (held.audience_changes, "audiences", 0)):
                for row, changes in told.items():
                    blob = written.get(ids[row]) if ids[row] not in gone else None
                    stands = np.frombuffer(blob, HEADER, 1)[name][0] if blob else new
                    for change in changes:
                        assert change.before == stands
                        stands = change.after
                    assert stands == header[name][row]


MemoryMachine.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestMemory = MemoryMachine.TestCase


def test_who_moves_twice_before_a_checkpoint_is_told_of_both():
    machine = MemoryMachine()
    machine.begin()
    machine.take_events([("c0", Purchase, 0, [("a", 1, 60.0)])], 0)
    machine.adopt(2, 0, 10.0, new_ids=False, promising=0)
    machine.begin_sweep(20)
    machine.sweep(3)
    (held,) = [held for held in machine.memory.held.values() if held.audience_changes]
    told = []
    machine._check_what_is_told = lambda gone: told.extend(held.audience_changes.values())
    machine.take_events([("c0", Purchase, 0, [("a", 1, 60.0)])], 0)
    assert [[(one.before, one.after) for one in changes] for changes in told] == [[(0b01, 0b11), (0b11, 0b01)]]
    assert not held.audience_changes
