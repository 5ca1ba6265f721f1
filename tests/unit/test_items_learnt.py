"""What goes with what: learnt by the leader, known to every worker, seen in views, lists and readers."""

import random
from datetime import timedelta

from consumer.catalogue_entry import Entry
from contracts.catalog import CatalogItem
from contracts.documents import PopularItems, SimilarItems
from contracts.events import Erase, Line, Purchase
from contracts.times import DAY, EPOCH, HOUR, from_micros
from recommender.item_model import ItemModel
from recommender.settings import RecommenderSettings
from tests.in_process import START, InProcess, step_until

KINDS = {"tea": ["tea", "cup", "pot", "milk"], "garden": ["spade", "seeds", "gloves", "hose"]}


def order(who, at, *items, number=0):
    return Purchase(
        event_id=f"{who}-{at}-{number}",
        customer_id=who,
        occurred_at=EPOCH + timedelta(microseconds=at),
        order_id=f"{who}-{at}",
        lines=tuple(Line(item_id=item, quantity=1, unit_price=5.0) for item in items),
        currency="GBP",
    )


def two_tastes(customers=120, seed=0):
    """Everybody has either tea or garden things, two or three of the four."""
    chance = random.Random(seed)
    for number in range(customers):
        kind = KINDS["tea" if number % 2 else "garden"]
        yield order(f"c{number}", START + number * HOUR, *chance.sample(kind, chance.choice((2, 3))))


def kind_of(item):
    return next(kind for kind, items in KINDS.items() if item in items)


def test_views_say_because_of_which_own_item():
    shop = InProcess()
    shop.publish(*two_tastes())
    shop.run()
    reader = shop.reader()
    for number in range(20):
        found = reader.get(f"c{number}")
        own = {item.item_id for item in found.items if item.reason == "again"}
        because = [(item.item_id, item.reason.removeprefix("because:")) for item in found.items if ":" in item.reason]
        assert because, "nothing goes with what they have"
        assert all(source in own and item not in own for item, source in because)
        assert all(kind_of(item) == kind_of(source) for item, source in because[:1])


def test_a_purchase_changes_what_goes_with_it_before_the_next_review():
    shop = InProcess()
    shop.publish(*two_tastes())
    worker = shop.worker()
    shop.run(worker)
    version = shop.state.item_model_version()
    now = START + 121 * HOUR
    shop.publish(order("newcomer", now, "spade"))
    shop.run(worker)
    assert shop.state.item_model_version() == version
    first = shop.reader().get("newcomer", shelf="discover").items[0]
    assert kind_of(first.item_id) == "garden"
    assert first.reason == "because:spade"
    worker.close()


def test_lists_of_similar_and_popular_items_are_shown():
    shop = InProcess()
    shop.publish(*two_tastes())
    shop.run()
    similar = SimilarItems.model_validate_json(shop.views.get(shop.keys.similar("tea")))
    assert {kind_of(item) for item, _ in similar.items[:3]} == {"tea"}
    popular = PopularItems.model_validate_json(shop.views.get(shop.keys.popular()))
    assert len(popular.items) == 8
    assert [score for _, score, _ in popular.items] == sorted((score for _, score, _ in popular.items), reverse=True)


def test_popular_items_of_a_category_come_and_go_with_the_catalogue():
    shop = InProcess()
    worker = shop.worker()
    items = worker.memory.item_sums.items
    catalogue = {item: CatalogItem(item_id=item, category=kind) for kind, own in KINDS.items() for item in own}
    put(items, catalogue)
    shop.publish(*two_tastes())
    shop.run(worker)
    garden = PopularItems.model_validate_json(shop.views.get(shop.keys.popular("garden")))
    assert {item for item, _, _ in garden.items} == set(KINDS["garden"])
    assert garden.category == "garden"
    put(items, {item: CatalogItem(item_id=item, category="tea") for item in catalogue})
    shop.publish(order("c1", START + 130 * HOUR, "tea"))
    shop.run(worker)
    assert shop.views.get(shop.keys.popular("garden")) is None
    worker.close()


def test_a_category_that_ceased_while_nobody_worked_has_no_list():
    shop = InProcess()
    worker = shop.worker()
    put(worker.memory.item_sums.items, {item: CatalogItem(item_id=item, category="garden") for item in KINDS["garden"]})
    shop.publish(*two_tastes())
    shop.run(worker)
    popular = PopularItems.model_validate_json(shop.views.get(shop.keys.popular()))
    assert popular.categories == ("garden",)
    worker.close()
    worker = shop.worker()
    shop.run(worker)
    assert shop.views.get(shop.keys.popular("garden")) is None
    assert PopularItems.model_validate_json(shop.views.get(shop.keys.popular())).categories == ()
    worker.close()


def put(items, catalogue):
    for item_id, item in catalogue.items():
        items.put(item_id, Entry.of(item))


def test_every_worker_ranks_by_what_the_leader_learnt():
    shop = InProcess(figures_interval=0.0)
    leader = shop.worker()
    step_until(leader, lambda: leader.memory.holds_all)
    other = shop.worker()
    step_until(leader, lambda: bool(leader.memory.held) and bool(other.memory.held), other)
    shop.publish(*two_tastes())
    step_until(
        leader,
        lambda: leader.memory.item_version == other.memory.item_version > 0 and leader.idle and other.idle,
        other,
    )
    assert leader.memory.item_model.ids == other.memory.item_model.ids
    reader = shop.reader()
    for number in range(0, 120, 10):
        assert any(":" in item.reason for item in reader.get(f"c{number}").items)
    leader.close()
    other.close()


def test_what_is_learnt_outlives_its_worker():
    shop = InProcess()
    shop.publish(*two_tastes())
    shop.run()
    version = shop.state.item_model_version()
    worker = shop.worker()
    shop.run(worker)
    assert (worker.memory.item_version, shop.state.item_model_version()) == (version, version)
    assert worker.memory.item_model is not None
    worker.close()


def test_an_erased_customer_leaves_no_pair_after_the_next_review():
    shop = InProcess()
    shop.publish(*two_tastes(), order("odd", START, "tea", "anvil"))
    shop.run()
    assert "anvil" in ItemModel.decode(shop.state.item_model()).ids
    erase = Erase(event_id="e", customer_id="odd", occurred_at=EPOCH + timedelta(microseconds=START + DAY))
    shop.publish(erase, *(order(f"c{n}", START + 10 * DAY + n, "tea", "cup", number=1) for n in range(1, 40, 2)))
    shop.run()
    learnt = ItemModel.decode(shop.state.item_model())
    assert "anvil" not in learnt.ids
    assert not any("anvil" in pair for item in learnt.ids for pair in learnt.similar(item))
    assert shop.views.get(shop.keys.similar("anvil")) is None


def test_a_frozen_leader_learns_in_vain():
    shop = InProcess()
    shop.publish(*two_tastes())
    worker = shop.worker()
    step_until(worker, lambda: worker.memory.holds_all)
    assert shop.state.publish_item_model(10, 7, b"a later leader's")
    worker.memory.item_version = 7  # as if it had been read
    shop.run(worker)
    assert shop.state.item_model() == b"a later leader's"
    worker.close()


def test_three_customers_in_all_get_answers():
    shop = InProcess(recommender=RecommenderSettings())
    shop.publish(order("ann", START, "tea"), order("bob", START + 1, "tea", "cup"), order("cy", START + 2, "pot"))
    shop.run()
    reader = shop.reader()
    for who in ("ann", "bob", "cy", "nobody"):
        assert reader.get(who).items
    assert reader.get("ann", shelf="discover").items


def test_items_new_in_the_catalogue_are_tried_out_and_those_of_the_first_days_are_not_new():
    shop = InProcess()
    worker = shop.worker()
    shop.publish(*two_tastes())
    shop.run(worker)
    now = START + 100 * DAY
    since = from_micros(now - DAY)
    put(worker.memory.item_sums.items, {"lamp": CatalogItem(item_id="lamp", since=since)})
    shop.publish(*(order(f"c{n}", now + n, *KINDS["tea" if n % 2 else "garden"][:1], number=9) for n in range(120)))
    shop.run(worker)
    reader = shop.reader()
    tried = [tuple(i.item_id for i in reader.get(f"c{n}").items if i.reason == "new") for n in range(120)]
    assert set(tried) == {("lamp",), ()}
    assert 10 < tried.count(("lamp",)) < 80  # a twentieth of nine places: two customers in five, drawn by their ids
    worker.close()
