from consumer.arrivals import Arrivals
from contracts.times import DAY

START = 19_000 * DAY


def test_purchases_are_lately_for_two_review_intervals():
    arrivals = Arrivals(DAY)
    arrivals.note(10, START, None)
    arrivals.note(11, START + DAY, START)
    assert arrivals.lately(START + 3 * DAY)
    assert not arrivals.lately(START + 3 * DAY + 1)


def test_looking_again_is_no_arrival():
    arrivals = Arrivals(DAY)
    for day in range(5):
        arrivals.note(10, START + day * DAY, START)
    assert not arrivals.lately(START + 4 * DAY)
    arrivals.note(11, START + 120 * DAY, START)
    assert arrivals.lately(START + 120 * DAY)


def test_a_new_leader_in_a_silence_knows_of_no_arrival():
    arrivals = Arrivals(DAY)
    arrivals.note(10, START + 50 * DAY, START)
    assert not arrivals.lately(START + 50 * DAY)
    arrivals.note(11, START + 51 * DAY, START)
    assert arrivals.lately(START + 51 * DAY)
    arrivals.take_over()
    arrivals.note(12, START + 60 * DAY, START + 51 * DAY)
    assert not arrivals.lately(START + 60 * DAY)


def test_purchases_that_went_to_nobody_are_no_arrival():
    """The figures of a partition that changes hands may be missing for a while."""
    arrivals = Arrivals(DAY)
    arrivals.note(10, START, START)
    arrivals.note(4, START + 9 * DAY, START)
    assert not arrivals.lately(START + 9 * DAY)
