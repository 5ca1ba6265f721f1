"""Times read all at once are what Python's own reading of each makes of them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from consumer.plain_times import micros_of, micros_of_plain, plain_time
from contracts.times import EPOCH, to_micros

MANY = 70
quick = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
digits = st.integers(0, 6)
moments = st.datetimes(
    datetime.fromisoformat("1900-01-01"), datetime.fromisoformat("2199-12-31T23:59:59.999999"), timezones=st.just(UTC)
)


def written(moment, fraction, zone="Z"):
    """With so many digits of fraction."""
    text = moment.isoformat(timespec="microseconds")
    return text[: 19 + (1 + fraction if fraction else 0)] + zone


@given(st.lists(moments, min_size=MANY, max_size=MANY), digits)
@example(
    [datetime(y, m, d, tzinfo=UTC) for y, m, d in ((2024, 2, 29), (1900, 2, 28), (2000, 2, 29), (2199, 12, 31))] * MANY,
    0,
)
@quick
def test_all_at_once_is_as_one_by_one(times, fraction):
    texts = [written(one, fraction) for one in times]
    expected = [to_micros(datetime.fromisoformat(text)) for text in texts]
    assert micros_of_plain(texts) == expected
    assert [micros_of(text) for text in texts] == expected


@given(
    st.lists(moments, min_size=1, max_size=MANY),
    st.lists(digits, min_size=1),
    st.lists(st.sampled_from(["Z", "+00:00", "-11:30"])),
)
@quick
def test_of_different_forms(times, fractions, zones):
    zones = ["Z", *zones]
    texts = [written(one, fractions[i % len(fractions)], zones[i % len(zones)]) for i, one in enumerate(times)]
    assert micros_of_plain(texts) == [to_micros(datetime.fromisoformat(text)) for text in texts]


# Of the same length as the others: at every place of a time each character that might be mistaken for a plain one.
@given(st.integers(0, 26), st.sampled_from("09/:;-+.,TtZz ٣€\x00{"), st.sampled_from([0, 3, 6]))
@quick
def test_what_is_not_plain_or_out_of_range_is_refused_alone_and_among_others(place, other, fraction):
    good = written(datetime(2024, 12, 28, 10, 20, 30, 456789, UTC), fraction)
    odd = good[: place % len(good)] + other + good[place % len(good) + 1 :]
    texts = [good] * MANY + [odd] + [good]
    try:
        expected = [micros_of(text) for text in texts] if plain_time(odd) else None
    except ValueError:
        expected = None
    if expected is None:
        with pytest.raises(ValueError):
            micros_of_plain(texts)
    else:
        assert micros_of_plain(texts) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("1899-12-31T23:59:59Z", "2200-01-01T00:00:00Z", "2023-02-29T00:00:00Z", "1900-02-29T00:00:00Z"),
        *("2024-00-10T00:00:00Z", "2024-13-10T00:00:00Z", "2024-01-00T00:00:00Z", "2024-04-31T00:00:00Z"),
        *("2024-01-01T24:00:00Z", "2024-01-01T00:60:00Z", "2024-01-01T00:00:60Z", "2024-01-01T00:00:00.Z"),
    ],
)
def test_times_that_are_none_or_of_other_centuries(text):
    for texts in ([text], [text] * MANY):
        with pytest.raises(ValueError):
            micros_of_plain(texts)


def test_of_none_there_are_none():
    assert micros_of_plain([]) == []


def test_an_offset_counts():
    zone = timezone(timedelta(hours=2))
    text = datetime(2024, 5, 1, 1, tzinfo=zone).isoformat()
    assert (
        micros_of_plain([text] * MANY)
        == [(datetime(2024, 4, 30, 23, tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)] * MANY
    )
