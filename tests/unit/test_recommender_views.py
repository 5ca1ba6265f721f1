"""The hand-joined bytes of a view are the contract's document, within their limits."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from contracts.documents import CAUSES, MAX_VIEW_BYTES, NO_SEGMENT, SHORT_VIEW_BYTES, CustomerView, Membership
from contracts.events import MAX_ID_LENGTH
from contracts.times import DAY, from_micros
from recommender.popularity import Popular
from recommender.ranking import Ranked, Reason
from recommender.views import ItemTexts, Members, Stamp, cold_start, customer_views, lifted_items

ids = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=16)
long_ids = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=MAX_ID_LENGTH)
times = st.integers(0, 30_000 * DAY)
STAMP = Stamp(as_of=15_000 * DAY, model_version=7, sequence=42, token="5f0c9a")


def views_of(customer_ids, segments, ranked, item_ids, names=None, stamp=STAMP, since=0, previous=NO_SEGMENT, cause=0):
    n = len(customer_ids)
    members = Members(
        customer_ids,
        np.array(segments, np.int32),
        np.full(n, since, np.int64),
        np.full(n, previous, np.int32),
        np.full(n, cause, np.uint8),
    )
    return customer_views(members, ranked, ItemTexts(item_ids), names or {}, [(stamp, n)])


def full_list(n: int, customers: int = 1) -> Ranked:
    items = np.tile(np.arange(n, dtype=np.int32), (customers, 1))
    scores = np.tile(np.linspace(0.9, 0.1, n, dtype=np.float32), (customers, 1))
    nobody = np.full((customers, n), -1, np.int32)
    return Ranked(items, scores, np.full((customers, n), Reason.POPULAR, np.uint8), nobody)


def reason_text(reason, because, item_ids):
    return f"because:{item_ids[because]}" if reason == Reason.BECAUSE else reason.name.lower()


@given(
    st.lists(st.tuples(ids, st.sampled_from([NO_SEGMENT, -104, 0, 1, 2]), st.integers(0, 6)), min_size=1, max_size=5),
    st.lists(ids, min_size=6, max_size=6, unique=True),
    st.tuples(times, times, st.sampled_from([NO_SEGMENT, -1, 0, 9]), st.sampled_from(range(len(CAUSES)))),
    st.lists(st.floats(0, 1, width=32), min_size=6, max_size=6),
    st.lists(st.tuples(st.sampled_from(list(Reason)), st.integers(0, 5)), min_size=6, max_size=6),
    st.lists(st.text(st.characters(exclude_categories=("Cs",)), max_size=20), min_size=3, max_size=3),
)
def test_bytes_equal_the_contract(customers, item_ids, moment, scores, reasons, names):
    as_of, since, previous, cause = moment
    stamp = Stamp(as_of, 3, 12, 'tok"en')
    lists = np.array([[*range(n), *[-1] * (6 - n)] for _, _, n in customers], np.int32)
    ranked = Ranked(
        lists,
        np.tile(np.array(scores, np.float32), (len(customers), 1)),
        np.tile(np.array([reason for reason, _ in reasons], np.uint8), (len(customers), 1)),
        np.tile([own if reason == Reason.BECAUSE else -1 for reason, own in reasons], (len(customers), 1)),
    )
    called = {**dict(enumerate(names)), -104: names[0]}
    views = views_of(
        [c for c, _, _ in customers],
        [s for _, s, _ in customers],
        ranked,
        item_ids,
        called,
        stamp,
        since,
        previous,
        cause,
    )
    for view, (customer_id, segment, n) in zip(views, customers, strict=True):
        expected = CustomerView(
            customer_id=customer_id,
            segment=None
            if segment == NO_SEGMENT
            else Membership(
                id=segment,
                name=called[segment],
                by_rule=segment == -104,
                since=from_micros(since),
                previous=None if previous == NO_SEGMENT else previous,
                cause=CAUSES[cause],
            ),
            items=tuple((item_ids[i], scores[i], reason_text(*reasons[i], item_ids)) for i in range(n)),
            as_of=from_micros(as_of),
            model_version=3,
            written_by=(12, 'tok"en'),
        )
        found = CustomerView.model_validate_json(view)
        assert [(i, r) for i, _, r in found.items] == [(i, r) for i, _, r in expected.items]
        assert all(abs(a[1] - b[1]) < 0.501e-3 for a, b in zip(found.items, expected.items, strict=True))
        assert found.model_copy(update={"items": ()}) == expected.model_copy(update={"items": ()})
        assert found.encode() == CustomerView.model_validate_json(found.encode()).encode()
        assert (b'"by_rule":true' in view) == (b'"by_rule":' in found.encode()) == (segment == -104)


def test_twenty_items_of_everyday_ids_fit_into_900_bytes():
    names = {0: "Hibernating big spenders"}
    (view,) = views_of(["1234567890"], [0], full_list(20), [f"{i:010}" for i in range(20)], names, previous=3)
    assert len(CustomerView.model_validate_json(view).items) == 20
    assert len(view) <= SHORT_VIEW_BYTES


def test_ten_items_known_and_ten_that_go_with_them_fit_as_well():
    ranked = full_list(20)
    mixed = Ranked(
        ranked.items,
        ranked.scores,
        np.array([[Reason.AGAIN, Reason.BECAUSE] * 10], np.uint8),
        np.array([[-1, 0] * 10], np.int32),
    )
    names = {0: "Hibernating big spenders"}
    (view,) = views_of(["12345"], [0], mixed, [f"{i:06}" for i in range(20)], names, Stamp(0, 99, 99_999, "f" * 32))
    assert len(CustomerView.model_validate_json(view).items) == 20
    assert len(view) <= SHORT_VIEW_BYTES


def mixed_list():
    """Known items first, then those that go with them: twenty."""
    items = np.arange(20, dtype=np.int32)[np.newaxis]
    reasons = np.array([[Reason.AGAIN] * 10 + [Reason.BECAUSE] * 10], np.uint8)
    because = np.where(reasons == Reason.BECAUSE, 3, -1).astype(np.int32)
    return Ranked(items, np.linspace(0.9, 0.1, 20, dtype=np.float32)[np.newaxis], reasons, because)


def test_long_ids_cost_the_sources_first_and_ten_new_items_stay_as_long_as_ten_items_do():
    names = {0: "At risk (slipping)"}
    for length, expected in ((6, 20), (10, 20), (13, 19), (16, 15)):
        item_ids = [f"{'x' * (length - 3)}{n:03}" for n in range(20)]
        (view,) = views_of(["1234567890"], [0], mixed_list(), item_ids, names, Stamp(0, 99, 99_999, "f" * 16))
        found = CustomerView.model_validate_json(view).items
        assert len(view) <= SHORT_VIEW_BYTES
        assert len(found) >= expected
        assert sum(reason != "again" for _, _, reason in found) >= 20 - 10 - (20 - len(found))
        sources = [reason for _, _, reason in found if reason.startswith("because")]
        assert sources == sorted(sources, reverse=True), "the best keep theirs"


def test_an_id_may_look_like_a_reason():
    item_ids = [f'"because:{n:03}"]' for n in range(20)]
    (view,) = views_of(["1"], [0], mixed_list(), item_ids, {0: "S"}, previous=3)
    found = CustomerView.model_validate_json(view).items
    assert [item for item, _, _ in found] == [
        item_ids[place] for place in range(20) if item_ids[place] in dict.fromkeys(i for i, _, _ in found)
    ]
    assert {reason for _, _, reason in found} <= {"again", "because", f"because:{item_ids[3]}"}


@given(ids, st.lists(ids, min_size=20, max_size=20, unique=True))
def test_short_ids_never_make_more_than_900_bytes_and_the_best_items_stay(customer_id, item_ids):
    (view,) = views_of([customer_id], [0], full_list(20), item_ids, {0: "Recent big spenders"}, previous=3)
    kept = [item for item, _, _ in CustomerView.model_validate_json(view).items]
    assert len(view) <= SHORT_VIEW_BYTES
    assert kept == item_ids[: len(kept)]


@given(long_ids, st.lists(long_ids, min_size=20, max_size=20, unique=True), st.text("äx€𝄞", max_size=60))
def test_no_view_is_above_four_kibibytes_and_none_is_cut_needlessly(customer_id, item_ids, name):
    (view,) = views_of([customer_id], [0], full_list(20), item_ids, {0: name})
    found = CustomerView.model_validate_json(view)
    kept = [item for item, _, _ in found.items]
    assert len(view) <= MAX_VIEW_BYTES
    assert kept == item_ids[: len(kept)]
    if len(kept) < 20:
        longest = max(map(len, [customer_id, *item_ids]))
        limit = SHORT_VIEW_BYTES if longest <= 16 else MAX_VIEW_BYTES
        uncut = found.model_copy(update={"items": (*found.items, (item_ids[len(kept)], 0.1234, "popular"))})
        assert len(uncut.encode()) > limit - 8


def test_every_customer_of_a_batch_gets_their_own_view():
    lists = Ranked(
        np.array([[0, -1], [-1, -1], [1, 0]], np.int32),
        np.array([[0.5, 0], [0, 0], [0.25, 0.00004]], np.float32),
        np.array([[1, 0], [0, 0], [0, 2]], np.uint8),
        np.array([[-1, -1], [-1, -1], [-1, 1]], np.int32),
    )
    views = [
        CustomerView.model_validate_json(v)
        for v in views_of(["a", "b", "c"], [0, NO_SEGMENT, 0], lists, "xy", {0: "S"})
    ]
    assert [view.customer_id for view in views] == ["a", "b", "c"]
    assert [view.items for view in views] == [
        (("x", 0.5, "popular"),),
        (),
        (("y", 0.25, "again"), ("x", 0.0, "because:y")),
    ]


def test_ids_that_look_like_json_are_told_apart():
    customer_ids = ['x",', ',"y', '","', "\\", ",", "z"]
    for some in (customer_ids, customer_ids[4:]):
        views = views_of(some, [0] * len(some), full_list(1, len(some)), "x", {0: "S"})
        assert [CustomerView.model_validate_json(view).customer_id for view in views] == some


def test_cold_start_and_lift_name_items_by_their_ids():
    popular = Popular(np.array([[0.25, 0.75], [0.5, 0.5]], np.float32), np.array([[1, 0], [0, 1]], np.int32))
    items = ItemTexts(["x", "y"])
    assert cold_start(popular, items, STAMP, 5).items == (("x", 0.5, "popular"), ("y", 0.5, "popular"))
    assert lifted_items(popular, 0, items, 5) == (("y", 1.5),)
