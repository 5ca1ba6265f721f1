"""What is made one ahead of who asks for it."""

import threading

import pytest

from consumer.ahead import ahead


def test_the_next_one_is_made_while_the_last_is_worked_on():
    begun = [threading.Event() for _ in range(3)]

    def items():
        for number, one in enumerate(begun):
            one.set()
            yield number

    found = ahead(items())
    assert next(found) == 0
    assert begun[1].wait(10)
    assert not begun[2].is_set(), "one ahead, and no more"
    assert list(found) == [1, 2]


def test_an_error_comes_where_its_item_would():
    def items():
        yield 1
        raise ValueError("gone")

    found = ahead(items())
    assert next(found) == 1
    with pytest.raises(ValueError, match="gone"):
        next(found)


def test_who_stops_early_leaves_no_thread_behind():
    found = ahead(iter(range(10)))
    assert next(found) == 0
    found.close()
    assert not [one for one in threading.enumerate() if one.name.startswith("ahead")]


def test_nothing_is_nothing():
    assert list(ahead(iter(()))) == []
