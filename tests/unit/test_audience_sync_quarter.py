"""A simulated quarter of a shop: whoever follows the files knows the audience on each day."""

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from contracts.events import Erase, Line, Profile, Purchase, Return
from contracts.times import DAY, EPOCH
from livesegments.audience_sync.contacts import LeftOut, NobodyThereError, Roll, RowsMovingError
from livesegments.audience_sync.folder import FolderTarget
from livesegments.audience_sync.ledger import SyncLedger
from livesegments.audience_sync.shapes import PRESETS, shape_of
from livesegments.audience_sync.syncing import sync
from livesegments.campaigns.consent import Consent
from livesegments.row_lists import audience_members
from online_model.rules import audiences
from tests.audience_receiver import FolderReceiver, rows_of
from tests.in_process import NO_RULES, START, InProcess, step_until
from tests.unit.test_audience_sync import Fuse, Killed, folder_in_memory

DAYS = 90
ONE_REVIEW = replace(NO_RULES, review_interval=1_000 * DAY, k_interval=1_000 * DAY)
"""Segments are not what this is about."""
BIG = "net_spend > 60 and recency_days <= 30"


def moment(day: float):
    return EPOCH + timedelta(microseconds=int(START + day * DAY))


def order(kind, who, day, number, price):
    return kind(
        event_id=f"{kind.__name__}-{who}-{number}",
        customer_id=who,
        occurred_at=moment(day),
        order_id=f"{who}-{number}",
        lines=(Line(item_id="tea", quantity=1, unit_price=price),),
        currency="GBP",
    )


def profile(who, day, number, **attributes):
    return Profile(event_id=f"p-{who}-{number}", customer_id=who, occurred_at=moment(day), attributes=attributes)


def roll_of(shop, name, shape, consent=None):
    number = shop.state.number_audiences(())[name]
    return Roll(shop.state, number, name, shape, lambda segment: f"Segment {segment}", consent)


def one_day(shop, draw, day):
    """What happens on a day: orders, returns, changed addresses, consent given and taken back, an erasure."""
    number = day * 1_000
    for _ in range(draw.randint(3, 12)):
        number += 1
        who = f"c{draw.randint(0, 60)}"
        at = day + draw.random() * 0.9
        shop.publish(order(Purchase, who, at, number, draw.choice([5.0, 25.0, 70.0])))
        if draw.random() < 0.2:
            shop.publish(order(Return, who, at, number, draw.choice([5.0, 60.0])))
        if draw.random() < 0.3:
            shop.publish(profile(who, at, number, email=f"{who}{draw.choice(['', '.new'])}@example.org"))
        if draw.random() < 0.3:
            shop.publish(profile(who, at, number + 500, marketing_consent=draw.random() < 0.7))
    if draw.random() < 0.3:
        who = f"c{draw.randint(0, 60)}"
        shop.publish(Erase(event_id=f"x-{day}", customer_id=who, occurred_at=moment(day + 0.95)))
        return who
    return None


def test_files_replayed_in_order_give_the_audience_on_each_day_of_a_quarter():
    draw = random.Random(1)
    shop = InProcess(2, audiences=audiences({"Other": "spend >= 0", "Big": BIG}), forecasts=False, model=ONE_REVIEW)
    syncs = {"Big": (PRESETS["generic"], None), "Mail": (PRESETS["mailchimp"], Consent())}
    changed = withdrew = 0
    agreed = set()
    with folder_in_memory() as folder:
        receivers = {name: FolderReceiver(folder, name) for name in syncs}
        worker = shop.worker()
        for day in range(DAYS):
            erased = one_day(shop, draw, day)
            step_until(worker, lambda: worker.idle)
            for name, (shape, consent) in syncs.items():
                roll = roll_of(shop, "Big", shape, consent)
                target = FolderTarget(folder, name, {})
                with SyncLedger(folder / f"{name}.sqlite") as ledger:
                    fuse = Fuse(draw.randint(0, 8) if draw.random() < 0.2 else None)
                    for again in (fuse, Fuse(None)):
                        ledger.settle = again.around(SyncLedger.settle.__get__(ledger))
                        try:
                            done = sync(ledger, target, shape, roll.read, now=int(START + day * DAY), part_rows=9)
                            break
                        except Killed:
                            continue
                receivers[name].follow()
                changed += done.delivery is not None and done.delivery.kind == "delta"
            members = set(audience_members(shop.state, "Big"))
            assert receivers["Big"].members == members
            told = {who: row["attributes"] for who, row in shop.rows().items() if who in members}
            withdrew += len(agreed & {who for who, one in told.items() if one.get("marketing_consent") is False})
            agreed = {who for who, one in told.items() if one.get("marketing_consent")}
            assert receivers["Mail"].members == {told[who].get("email") for who in agreed} - {None}
            assert erased is None or erased not in members
        worker.close()
        assert changed > DAYS / 2
        assert withdrew, "somebody took consent back and stayed in the audience"
        assert not list(folder.glob(".*.part"))


def test_columns_are_what_rows_say(tmp_path):
    shop = InProcess(1, audiences=audiences({"All": "spend >= 0"}))
    shop.publish(order(Purchase, "=evil()", 0, 1, 70.129), order(Return, "=evil()", 1, 2, 70.13))
    shop.publish(
        profile("=evil()", 1, 3, email=" Evil@Example.org", first_name="@home", vip=True, visits=3, height=1.5)
    )
    shop.publish(order(Purchase, "plain", 0, 4, 10.0), profile("plain", 1, 5, email="=cmd|'/C calc'!A0@x.org"))
    shop.run()
    columns = {
        one: one for one in ("segment", "orders", "net_spend", "first_order_at", "last_order_at", "audience")
    } | {f"a {one}": f"attributes.{one}" for one in ("first_name", "vip", "visits", "height", "none")}
    for name, shape in {"generic": shape_of("generic", columns=columns), "brevo": PRESETS["brevo"]}.items():
        roll = roll_of(shop, "All", shape)
        with SyncLedger(tmp_path / f"{name}.sqlite") as ledger:
            sync(ledger, FolderTarget(tmp_path, name, {}), shape, roll.read, now=0, part_rows=9)
        assert roll.left_out == LeftOut(no_contact=name == "brevo")
    raw = (tmp_path / "generic-000001-full.csv").read_text().splitlines()
    assert raw[1].startswith("'=evil(),")
    assert "'@home" in raw[1]
    evil, other = rows_of(tmp_path / "generic-000001-full.csv")
    assert evil == {
        "customer_id": "=evil()",
        "segment": evil["segment"],
        "orders": "1",
        "net_spend": "0.00",
        "first_order_at": "2022-01-08T00:00:00Z",
        "last_order_at": "2022-01-08T00:00:00Z",
        "audience": "All",
        "a first_name": "@home",
        "a vip": "true",
        "a visits": "3",
        "a height": "1.5",
        "a none": "",
    }
    assert evil["segment"].startswith("Segment ")
    assert other["customer_id"] == "plain"
    assert rows_of(tmp_path / "brevo-000001-full.csv") == [
        {"EMAIL": "evil@example.org", "FIRSTNAME": "@home", "LASTNAME": "", "EXT_ID": "=evil()"}
    ]


def test_rows_that_are_gone_or_being_moved_are_no_audience_of_nobody(tmp_path, monkeypatch):
    shop = InProcess(2, audiences=audiences({"All": "spend >= 0"}))
    with pytest.raises(NobodyThereError, match="nothing is handed on"):
        list(Roll(shop.state, 0, "All", PRESETS["generic"], str, None).read())
    shop.publish(*(order(Purchase, f"c{n}", 0, n, 5.0) for n in range(8)))
    shop.run()
    roll = roll_of(shop, "All", PRESETS["generic"])
    assert len(list(roll.read())) == 8
    token = shop.state.meta(1)
    with monkeypatch.context() as patched:
        patched.setattr(type(shop.state), "meta", lambda _, number: replace(token, layout=1_000_000))
        with pytest.raises(RowsMovingError, match="written whole"):
            list(roll.read())
    metas = iter([token, token, replace(token, seq=token.seq - 1)])
    with monkeypatch.context() as patched:
        patched.setattr(type(shop.state), "meta", lambda *_: next(metas))
        with pytest.raises(RowsMovingError, match="replaced while"):
            list(roll.read())
