"""Reviews that fail end no worker: they are told of, and the next one is tried when it is due."""

from concurrent.futures import Future

import pytest
from structlog.testing import capture_logs

from consumer.reviews import ProcessReviews, Reviewers
from consumer.spent import Spent


class Process:
    """A process that has done the work by the time it is asked about it."""

    def submit(self, work):
        future = Future()
        try:
            future.set_result((work(), 3.0))
        except ValueError as error:
            future.set_exception(error)
        return future


def singular():
    raise ValueError("a matrix of no rank")


def none_more():
    raise OSError("no process more")


@pytest.mark.parametrize("work", [singular, none_more])
def test_what_a_review_fails_at_is_told_and_ends_nobody(work):
    now, spent = [0.0], Spent()
    reviews = ProcessReviews(Process(), spent, lambda: now[0])
    reviews.ask(work)
    now[0] = 5.0
    with capture_logs() as said:
        assert reviews.take() is None
    [line] = said
    assert line["log_level"] == "error"
    assert line["exc_info"]
    assert (reviews.failed, reviews.running, reviews.free) == (True, False, False)
    now[0] = 55.0
    assert reviews.free
    reviews.ask(lambda: "learnt")
    assert reviews.take() == "learnt"
    assert (reviews.failed, spent.times) == (False, 1)


def test_in_a_process():
    reviewers = Reviewers(inline=False)
    reviews = reviewers.one_kind(Spent())
    reviews.ask(singular)
    future = reviews._future
    assert isinstance(future.exception(timeout=120), ValueError)
    assert reviews.take() is None
    assert reviews.failed
    reviewers.close()
