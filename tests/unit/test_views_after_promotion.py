"""Another server takes over and lacks the last views: they are written, and deleted, again."""

from datetime import timedelta
from decimal import Decimal

from contracts.events import Erase, Line, Purchase
from contracts.times import EPOCH
from recommender.store import MemoryViews
from tests.in_process import LOG_TIME, START, InProcess, step_until

AT = EPOCH + timedelta(microseconds=START)


class ForgetfulViews(MemoryViews):
    """Loses what it is told to, as a replica that was behind."""

    def __init__(self):
        super().__init__(lambda: LOG_TIME)
        self.taken_over = 0

    @property
    def promotions(self) -> int:
        return self.taken_over


def purchase(who: str) -> Purchase:
    return Purchase(
        event_id=who,
        customer_id=who,
        occurred_at=AT,
        order_id=who,
        currency="GBP",
        lines=[Line(item_id="tea", quantity=1, unit_price=Decimal(3))],
    )


def test_views_written_just_before_are_written_again():
    views = ForgetfulViews()
    shop = InProcess(views=views)
    shop.publish(purchase("ann"), purchase("bob"))
    worker = shop.worker()
    shop.run(worker)
    keys = [shop.keys.customer("ann"), shop.keys.customer("bob")]
    before = views.get_many(keys)
    assert all(before)

    views.delete_many(keys)
    step_until(worker, lambda: worker.idle)
    assert views.get_many(keys) == [None, None], "nobody knows yet"
    views.taken_over += 1
    step_until(worker, lambda: all(views.get_many(keys)))
    worker.close()


def test_views_deleted_just_before_are_deleted_again():
    views = ForgetfulViews()
    shop = InProcess(views=views)
    shop.publish(purchase("ann"))
    worker = shop.worker()
    shop.run(worker)
    key = shop.keys.customer("ann")
    old = views.get(key)
    shop.publish(Erase(event_id="e", customer_id="ann", occurred_at=AT))
    step_until(worker, lambda: views.get(key) is None and worker.idle)

    views.set_many({key: old})
    views.taken_over += 1
    step_until(worker, lambda: views.get(key) is None)
    worker.close()
