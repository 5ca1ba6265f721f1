"""What the first page says in words: outages, and what is held back."""

from dataclasses import replace

import pytest

from contracts.documents import SegmentList, SegmentSize, WorkerStatus
from contracts.times import MINUTE, SECOND, from_micros
from dashboard.pages import audience_counts
from dashboard.pages.audiences import facts, missing
from dashboard.pages.live import Moment, Snapshot
from dashboard.pages.now import banner, counted, numbers, troubles

NOW = 1_790_000_000_000_000
SEGMENTS = SegmentList(
    segments=(
        SegmentSize(id=1, name="Loyal", size=30),
        SegmentSize(id=2, name="Lapsed", size=0),
        SegmentSize(id=0, name="No purchases yet", size=2),
        SegmentSize(id=-1, name="Not enough data", size=0),
    ),
    as_of=from_micros(NOW),
    model_version=3,
)


def worker(name="w1", silent=0.0):
    return WorkerStatus(
        worker=name,
        started_at=from_micros(NOW - MINUTE),
        at=from_micros(NOW - round(silent * SECOND)),
        interval_s=1.0,
        records=100,
        events_per_s=1.0,
        lag=0,
        partitions=1,
        customers=32,
        model_version=3,
        oldest_dirty_view_s=0.0,
        moves={},
    )


WELL = Snapshot(at=NOW, looked_at=NOW, segments=SEGMENTS, workers=(worker(),), lag=0, events_per_s=1.0)


def moment(ago, lag):
    return Moment(NOW - ago, {}, lag, {}, {})


def test_where_all_is_well_nothing_is_said():
    assert troubles(WELL) == []
    assert banner(WELL) == []


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (replace(WELL, problem="Redis does not answer"), "Redis does not answer"),
        (replace(WELL, workers=()), "No worker is at work"),
        (replace(WELL, workers=(worker(silent=30),)), "has said nothing for 30 s: nobody works now"),
        (replace(WELL, workers=(worker(silent=30), worker("w2"))), "the others go on"),
        (
            replace(WELL, segments=SEGMENTS.model_copy(update={"quiet_since": from_micros(NOW)})),
            "nobody moves because of time alone",
        ),
        (replace(WELL, lag=5000, moments=(moment(MINUTE, 2000),)), "5,000 wait, 3,000 more than a minute ago"),
    ],
)
def test_each_outage_is_said_in_words(seen, words):
    told = troubles(seen)
    assert len(told) == 1
    assert words in told[0]


def test_a_backlog_that_shrinks_is_no_outage():
    assert troubles(replace(WELL, lag=5000, moments=(moment(MINUTE, 9000),))) == []


def test_moves_that_are_held_back_are_said():
    held = replace(WELL, segments=SEGMENTS.model_copy(update={"held_back": 7}))
    assert "7 customers are nearer to another segment and stay" in str(banner(held))


def test_sizes_of_what_is_told_are_everybody():
    assert sum(one.size for one in counted(WELL)) == WELL.customers == 32


def test_a_trend_is_of_as_long_as_is_known_and_there_is_none_of_the_present():
    def known(ago):
        then = Moment(NOW - ago, {1: 20, 0: 2}, 0, {"Big": 9}, {})
        return replace(WELL, audiences={"Big": 7}, moments=(then, moment(0, 0)))

    assert "+10 in 20 seconds" in str(numbers(known(20 * SECOND)))
    assert "+10 in 15 minutes" in str(numbers(known(15 * MINUTE)))
    assert "−2 in 20 seconds" in str(facts("Big", known(20 * SECOND)))
    at_first = replace(known(0), moments=(moment(0, 0),))
    assert " in " not in str(numbers(at_first)[0])
    assert "seconds" not in str(facts("Big", at_first))


@pytest.mark.parametrize(
    ("fate", "said"), [("missing", "missing below"), ("kept", "as it counted them last"), ("moved", None)]
)
def test_what_became_of_the_customers_of_a_worker_that_is_gone_is_said(fate, said):
    then = Moment(NOW - MINUTE, {}, 0, {"Big": 9}, {})
    seen = replace(WELL, audiences={"Big": 4}, moments=(then,), fates={"w2": fate})
    assert (said or "[]") in str(missing(seen))
    assert ("minute" in str(facts("Big", seen))) == (fate == "moved")
    assert missing(WELL) == []


@pytest.mark.parametrize(
    ("working", "gone", "partitions", "size", "fate"),
    [
        (1, 1, 2, 2, "kept"),  # nobody has its partition yet
        (2, 1, 2, 1, "moved"),
        (3, 2, 4, 1, "missing"),  # somebody has one of the two
        (1, 1, None, 1, "missing"),
        (2, 0, 4, 1, "moved"),  # it had none
    ],
)
def test_sizes_of_audiences_hold_a_gone_workers_customers_until_others_count_them(
    working, gone, partitions, size, fate
):
    there, away = (
        worker(name).model_copy(update={"partitions": count, "audiences": {"Big": 1}})
        for name, count in (("w1", working), ("w2", gone))
    )
    assert audience_counts.counted([there], [away], partitions) == ({"Big": size}, {"w2": fate})
