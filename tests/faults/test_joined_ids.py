"""Workers killed anywhere while ids are joined and split: rows equal a batch join, on real Kafka and Redis."""

import json
import random
import time
from contextlib import ExitStack, closing
from datetime import timedelta

import pytest

from contracts.events import Alias, Erase, Line, Profile, Purchase, Return, encode_event, parse_event
from contracts.times import DAY, EPOCH, MINUTE
from tests.against_oracle import wrong_changes
from tests.batch_join import customers, members_of, newest_aliases, wrong_customers
from tests.deployment import Deployment
from tests.faults.doomed_worker import PLACES
from tests.faults.processes import WorkerProcess, wait_for
from tests.oracle import Oracle

PARTITIONS = 4
START = 19_000 * DAY
CUSTOMERS = 40
EVENTS = 1_000
KILLS = 6
PLACES_HERE = [place for place in PLACES if place != "after model"]
"""Whoever dies by a model version may never: there are few buyers here."""


def drawn(rng):
    """A shop whose customers have several ids each; aliases join and split them, some in circles, some by mistake."""
    ids = [f"{who}-{device}" for who in range(CUSTOMERS) for device in ("account", "phone", "cookie")]
    events = []
    for n in range(EVENTS):
        who = rng.choice(ids)
        head = {"event_id": f"e{n}", "customer_id": who, "occurred_at": moment(rng.randrange(n, n + 3_000) * MINUTE)}
        if rng.random() < 0.25:
            of_same = [one for one in ids if one.split("-")[0] == who.split("-")[0]]
            events.append(Alias(**head, alias_of=rng.choice([None, *of_same, *of_same, rng.choice(ids)])))
        elif rng.random() < 0.1:
            events.append(Profile(**head, attributes={"age": rng.randrange(90)}))
        else:
            line = Line(item_id=rng.choice("abcdef"), quantity=rng.randint(1, 3), unit_price=2.55)
            kind = rng.choice([Purchase, Purchase, Purchase, Return])
            events.append(kind(**head, order_id=f"o{n}", lines=(line,), currency="GBP"))
    return events


def moment(micros):
    return EPOCH + timedelta(microseconds=START + micros)


@pytest.mark.timeout(420)
def test_rows_equal_a_batch_join_whatever_is_killed(kafka_bootstrap, redis_url, unique, fault_report):
    deployment = Deployment(f"kafka://{kafka_bootstrap}", redis_url, unique, PARTITIONS)
    rng = random.Random(34)
    events = drawn(rng)
    published = iter([*events, *rng.sample(events, EVENTS // 10)])
    workers: list[WorkerProcess] = []
    kills = 0
    with ExitStack() as stack, deployment.writer() as writer:

        def begin():
            doom = {"place": rng.choice(PLACES_HERE), "checkpoints": rng.randint(2, 12)}
            workers.append(stack.enter_context(WorkerProcess(deployment, **doom)))

        begin()
        begin()
        deadline = time.monotonic() + 200
        while kills < KILLS:
            assert time.monotonic() < deadline, f"{kills} kills, {[one.said for one in workers]}"
            for event in [event for _, event in zip(range(5), published, strict=False)]:
                writer.append(deployment.names.events, event.customer_id.encode(), encode_event(event))
            for dead in [one for one in workers if one.exitcode is not None]:
                assert dead.exitcode == -9
                workers.remove(dead)
                kills += 1
                begin()
            time.sleep(0.1)
        for event in published:
            writer.append(deployment.names.events, event.customer_id.encode(), encode_event(event))
        writer.flush(30)
    # Who died while joining counts as a member until its session is over; the last worker may hold nothing before.
    deployment.run(until_idle=deployment.session_timeout + 1.5)
    edges = newest_aliases(events)
    assert wrong_customers(deployment.rows(), customers(own_rows(deployment), edges)) == []
    rows = deployment.rows()
    assert not wrong_changes(deployment.changes(), {who: row["segment"] for who, row in rows.items()})
    joined = [who for who in edges if who not in rows]
    assert len(joined) > CUSTOMERS // 2
    with deployment.reader() as reader:
        for who, answer in reader.get_many([*rows, *joined]).items():
            assert (answer.joined_to is None) is (who in rows), who

    # Erasing one customer erases everything that was joined; nothing else goes.
    biggest = max(rows, key=lambda who: len(members_of(who, edges)))
    gone = members_of(biggest, edges)
    erase = Erase(event_id="gone", customer_id=biggest, occurred_at=moment(30 * DAY))
    with deployment.writer() as writer:
        writer.append(deployment.names.events, biggest.encode(), encode_event(erase)).result()
    deployment.run(until_idle=1.5)
    left = {who: edge for who, edge in edges.items() if who not in gone}
    expected = customers(own_rows(deployment, without=gone), left)
    assert wrong_customers(deployment.rows(), expected) == []
    wait_for(lambda: not any(deployment.redis.exists(deployment.keys.customer(who)) for who in gone), "no view", 10)
    fault_report(
        f"{KILLS} SIGKILLs of two workers, each before or after any of its writes, amid purchases and ids that are"
        " joined to others and split off again; then a customer of several ids erased",
        f"{len(rows)} rows equal a batch join, {len(joined)} joined ids lead to theirs; of the erased one's"
        f" {len(gone)} ids nothing is left, and everybody else is as before",
    )


def own_rows(deployment, without=()):
    """What each id did by itself, from the log."""
    oracle = Oracle()
    with closing(deployment.logs()) as logs:
        for batch in logs.read_all(deployment.names.events):
            for value in batch.values:
                if json.loads(value)["type"] == "hand-over":
                    continue
                event = parse_event(value)
                if event.customer_id not in without and not isinstance(event, Alias | Erase):
                    oracle.apply(event)
    return oracle
