"""Rows made anew from the log beside the live ones: compared, and put in their place without anybody noticing."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest

from consumer.bonds import read_bond
from consumer.clock import Clock
from consumer.layout import HEADER, LINE, UNFINISHED, Limits
from consumer.quiet_parts import QuietViews, QuietWriter
from consumer.rebuilding import RebuildError, compare, interrupted, spliced, switch
from consumer.redis_images import RedisImages
from consumer.redis_state import RedisState
from consumer.state import StateLayoutError
from consumer.worker import Parts, Worker
from contracts.events import Alias
from contracts.keys import Keys
from contracts.times import HOUR, from_micros
from recommender.redis_open import open_redis
from recommender.store import RedisViews
from tests.deployment import EXACT
from tests.dying_images import DyingImages, Killed
from tests.in_process import START, InProcess, comparable, fixed_model
from tests.integration.test_cli import Shell, table
from tests.integration.test_snapshot import event

PARTITIONS = 2


@pytest.fixture
def client(redis_url):
    with open_redis(redis_url) as client:
        yield client


class Shop(InProcess):
    """A live deployment, and what is rebuilt beside it."""

    def __init__(self, client, prefix):
        super().__init__(PARTITIONS, state=RedisState(client, Keys(prefix)), views=RedisViews(client), prefix=prefix)
        self.adopt(fixed_model())
        self.client = client
        self.live = RedisImages(client, self.keys)
        self.new_keys = Keys(f"{prefix}:rebuild")
        self.new = RedisImages(client, self.new_keys)
        self.new_state = RedisState(client, self.new_keys)

    def rebuild(self, **changed):
        parts = Parts(
            log=self.logs.describe(self.names.events),
            describe=lambda: self.logs.describe(self.names.events),
            reader=self.logs.reader(self.names.events, "rebuild"),
            writer=QuietWriter(),
            state=self.new_state,
            views=QuietViews(),
        )
        changed = {"keys": self.new_keys, "group": "rebuild", "known_as": self.keys.prefix, **changed}
        settings = replace(self.settings, **changed)
        worker = Worker(parts, settings, Clock("event"))
        self.run(worker)
        worker.close()

    def compared(self):
        return compare(self.live, self.new, PARTITIONS)

    def switch(self, live=None, new=None):
        return switch(self.state, live or self.live, self.new_state, new or self.new, PARTITIONS)

    def customer_views(self):
        keys = sorted(self.client.scan_iter(f"{self.keys.prefix}:customer:*"))
        return {key: self.client.get(key) for key in keys}

    def decided(self):
        found = {}
        for number in range(PARTITIONS):
            image = self.live.read_closed(number)
            for who, row in zip(image.customer_ids, image.rows, strict=True):
                header = np.frombuffer(row[: HEADER.itemsize], HEADER)[0]
                found[who] = [header[name].item() for name in ("segment", "since", "previous", "cause", "moves")]
        return found

    def spoil(self):
        """An aggregate is wrong in some live rows, as if it had been computed by an older rule."""
        image = self.live.read(0)
        rows = []
        for row in image.rows[:5]:
            header = np.frombuffer(row[: HEADER.itemsize], HEADER).copy()
            header["units"] += 1
            rows.append(header.tobytes() + row[HEADER.itemsize :])
        self.live.put_rows(0, (image.customer_ids[:5], rows))
        return image.customer_ids[:5]


@pytest.fixture
def shop(client, unique):
    shop = Shop(client, unique)
    shop.publish(*map(event, range(300)))
    shop.run()
    return shop


def test_rows_rebuilt_by_the_same_rules_are_equal(shop):
    shop.rebuild()
    found = shop.compared()
    assert found.exact
    assert found.customers == len(shop.rows())
    assert not found.different


def test_a_column_that_differs_is_named_with_examples_and_filled_in_by_the_switch(shop):
    right, decided, views = comparable(shop.rows()), shop.decided(), shop.customer_views()
    wrong = shop.spoil()
    shop.rebuild()
    found = shop.compared()
    assert not found.exact
    assert dict(found.different) == {"units": len(wrong)}
    who, live, rebuilt = found.examples["units"][0]
    assert who in wrong
    assert live == rebuilt + 1

    assert shop.switch() == len(right)
    assert comparable(shop.rows()) == right
    assert shop.decided() == decided, "nobody moves because rows are rebuilt"
    assert shop.customer_views() == views, "readers notice nothing"
    assert not list(shop.client.scan_iter(f"{shop.new_keys.prefix}:*"))
    changes = len(shop.changes())
    shop.run()
    assert len(shop.changes()) == changes
    shop.publish(*map(event, range(300, 350)))
    shop.run()
    straight = InProcess(PARTITIONS)
    straight.publish(*map(event, range(350)))
    straight.run()
    names = ("orders", "spend", "units", "lines", "attributes", "erase_floor")
    assert comparable(shop.rows(), names) == comparable(straight.rows(), names)


def test_partitions_that_have_not_come_equally_far_are_not_compared(shop):
    assert shop.compared().behind == [0, 1]
    shop.rebuild()
    shop.publish(*map(event, range(300, 350)))
    shop.run()
    assert shop.compared().behind == [0, 1]
    assert not shop.compared().exact
    shop.rebuild()
    assert shop.compared().exact


def test_a_switch_that_is_killed_anywhere_goes_on(client, unique):
    steps, ended = 0, False
    while not ended:
        shop = Shop(client, f"{unique}-{steps}")
        shop.publish(*map(event, range(60)))
        shop.run()
        shop.rebuild()
        right, decided = comparable(shop.rows()), shop.decided()
        left = [steps]
        try:
            shop.switch(DyingImages(client, shop.keys, left), DyingImages(client, shop.new_keys, left))
            ended = True
        except Killed:
            for number in range(PARTITIONS):
                meta = shop.state.meta(number)
                if meta.layout == UNFINISHED:
                    with pytest.raises(StateLayoutError, match="again"):
                        shop.state.claim(number, "token", meta.claims)
            assert interrupted(shop.new_state), "the command knows that it is to go on"
            shop.switch()
        assert comparable(shop.rows()) == right
        assert shop.decided() == decided
        steps += 1
    assert steps > 10


def test_nothing_is_switched_over_where_somebody_has_worked_since(shop):
    shop.rebuild()
    shop.publish(*map(event, range(300, 350)))
    shop.run()
    before = shop.rows()
    with pytest.raises(RebuildError, match="equally far"):
        shop.switch()
    assert comparable(shop.rows()) == comparable(before)
    shop.publish(*map(event, range(350, 400)))
    shop.run()
    shop.rebuild()
    assert shop.compared().exact
    assert shop.switch() == len(shop.rows())


def test_a_customer_without_a_live_row_keeps_the_rebuilt_one(shop):
    image = shop.live.read(0)
    row = image.rows[0]
    header = np.frombuffer(row[: HEADER.itemsize], HEADER).copy()
    header["changed_seq"] = 1
    assert spliced(row, None) == header.tobytes() + row[HEADER.itemsize :]
    assert spliced(row, row) == spliced(row, None)


def test_the_command_rebuilds_beside_a_worker_and_switches_over(
    kafka_bootstrap, redis_url, unique, tmp_path, one_redis_url
):
    settings = {
        "REDIS_URL": redis_url,
        "LOG_URL": f"kafka://{kafka_bootstrap}",
        "PARTITIONS": "2",
        "SESSION_TIMEOUT": "6s",
        "CLOCK": "event",
        "KEY_PREFIX": unique,
        "LOG_PREFIX": f"{unique}-",
        "GROUP": unique,
        "ALLOWED_LATENESS": "62d",
    }
    (tmp_path / "orders.csv").write_text(table())
    shell = Shell(tmp_path, {f"LIVESEGMENTS_{name}": value for name, value in settings.items()})
    shell.run("replay", "orders.csv")
    with shell.start("worker") as worker:
        worker.wait_for("partition claimed")
        assert "rebuild compare" in shell.run("rebuild", "run")
        assert "stop them first" in shell.run("rebuild", "switch", status=1)
        assert worker.end() == 0
    shell.run("worker", "--until-idle", "1s")
    shell.run("rebuild", "run")
    assert json.loads(shell.run("rebuild", "compare", "--json"))["customers"] == 80
    shown = json.loads(shell.run("show", "17", "--json"))
    assert "80 rebuilt rows are live" in shell.run("rebuild", "switch")
    assert json.loads(shell.run("show", "17", "--json"))["items"] == shown["items"]
    assert "not come equally far" in shell.run("rebuild", "switch", status=1)
    shell.run("worker", "--until-idle", "1s")
    again = json.loads(shell.run("show", "17", "--json"))
    assert (again["row"]["spend"], again["segment"]["id"]) == (shown["row"]["spend"], shown["segment"]["id"])
    assert "nothing is left" in shell.run("rebuild", "drop")
    assert "nothing to rebuild from" in shell.run("rebuild", "run", "--log-url", one_redis_url, status=1)
    assert "live prefix" in shell.run("rebuild", "run", "--into", unique, status=1)


def test_rows_of_joined_ids_are_rebuilt_with_what_the_live_workers_handed_over(client, unique):
    shop = Shop(client, unique)
    shop.publish(*map(event, range(200)))
    who = [f"customer-{n}" for n in range(12)]
    at = from_micros(START + 30 * HOUR)
    shop.publish(
        *(Alias(event_id=one, customer_id=one, occurred_at=at, alias_of=to) for one, to in itertools.pairwise(who[:8])),
        *(Alias(event_id=one, customer_id=one, occurred_at=at, alias_of="customer-20") for one in who[8:]),
    )
    shop.run()
    rows = shop.rows()
    assert who[7] in rows
    assert not {*who[:7], *who[8:]} & rows.keys()
    shop.rebuild(limits=Limits(lines=2))
    compared = shop.compared()
    assert (compared.missing, compared.extra, compared.behind, compared.exact) == (0, 0, [], True)
    shop.switch()
    shop.run()
    # Own rows were made by another rule: they are handed over again.
    again = shop.rows()
    assert comparable(again, EXACT) == comparable(rows, EXACT)
    bonds = [read_bond(bond) for number in range(PARTITIONS) for bond in shop.state.keep(number).bonds.values()]
    parts = [part for bond in bonds for handed in bond.joined.values() for part in handed.parts]
    assert max(len(part.row.lines) for part in parts) == 2 * LINE.itemsize
