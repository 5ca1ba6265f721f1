"""Saving a deployment while a worker writes, and restoring it: rows and positions belong together, bit for bit."""

import random
import threading
import zipfile
from contextlib import closing
from dataclasses import replace

import pandas as pd
import pytest

from consumer import snapshot
from consumer.layout import UNFINISHED
from consumer.redis_images import RedisImages
from consumer.redis_state import RedisState
from consumer.snapshot import SnapshotRefusedError
from consumer.snapshot_file import SnapshotFileError, open_snapshot
from consumer.state import StateError, StateLayoutError
from contracts.events import Erase, Line, Profile, Purchase, parse_event
from contracts.keys import Keys
from contracts.times import HOUR, from_micros
from recommender.redis_open import open_redis
from tests.deployment import plain_rows
from tests.dying_images import DyingImages, Killed
from tests.in_process import START, InProcess, comparable, fixed_model, step_until
from tests.oracle import Oracle

CUSTOMERS = 40


def event(number: int):
    draw = random.Random(number)
    who = f"customer-{draw.randrange(CUSTOMERS)}"
    about = {"event_id": f"e{number}", "customer_id": who, "occurred_at": from_micros(START + number * HOUR // 10)}
    if draw.random() < 0.02:
        return Erase(**about)
    if draw.random() < 0.2:
        return Profile(**about, attributes={"age": draw.randrange(90), "city": "Zürich"})
    line = Line(item_id=f"item-{draw.randrange(12)}", quantity=draw.randrange(1, 5), unit_price=2.5)
    return Purchase(**about, order_id=f"o{number}", lines=(line,), currency="GBP")


@pytest.fixture
def client(redis_url):
    with open_redis(redis_url) as client:
        yield client


@pytest.fixture
def shop(client, unique):
    shop = InProcess(2, state=RedisState(client, Keys(unique)), prefix=unique)
    shop.adopt(fixed_model())
    shop.publish(*map(event, range(300)))
    return shop


def log_of(shop):
    return shop.logs.describe(shop.names.events)


def save(shop, client, path):
    images = RedisImages(client, shop.keys)
    return snapshot.save(path, images, log_of(shop), prefix=shop.keys.prefix, version="test", now=START)


def elsewhere(shop, client, prefix):
    """The same shop and log under another prefix."""
    other = InProcess(2, state=RedisState(client, Keys(prefix)), prefix=prefix)
    other.logs, other._writer = shop.logs, shop._writer
    return other


def fields_under(client, keys, partitions=2):
    """All hashes and sets of the partitions but meta, by the name of the key behind the prefix."""
    found = {}
    for partition in range(partitions):
        for key in client.scan_iter(f"{keys.prefix}:{{p{partition}}}:*"):
            if not key.endswith(b":meta"):
                is_set = client.type(key) == b"set"
                found[key.decode().removeprefix(keys.prefix)] = client.smembers(key) if is_set else client.hgetall(key)
    return found


def test_what_is_restored_is_what_was_saved_to_the_byte(shop, client, unique, tmp_path):
    shop.run()
    shop.state.put_segment_name(1, b'{"name": "Ours"}')
    shop.state.number_audiences(["near", "far"])
    shop.state.put_note("pin", b"1")
    shop.state.put_review(b"{}")
    shop.state.publish_item_model(3, 7, b"model")
    shop.state.publish_forecast(3, 900, b"forecast", b"memory")
    saved = save(shop, client, tmp_path / "shop.snapshot")
    assert saved.customers == len(shop.rows()) > 30
    copy = Keys(f"{unique}-copy")
    snapshot.restore(tmp_path / "shop.snapshot", RedisImages(client, copy), log_of(shop))

    assert fields_under(client, copy) == fields_under(client, shop.keys)
    state = RedisState(client, copy)
    for partition in range(2):
        before, after = shop.state.meta(partition), state.meta(partition)
        assert replace(before, views_seq=0, claims=after.claims, owner="") == after
        assert after.claims >= before.claims
    assert RedisImages(client, copy).read_shared() == RedisImages(client, shop.keys).read_shared()
    assert state.model() == shop.state.model()


def test_a_worker_goes_on_from_a_snapshot_as_if_nothing_had_happened(shop, client, unique, tmp_path):
    shop.run()
    save(shop, client, tmp_path / "shop.snapshot")
    shop.publish(*map(event, range(300, 500)))
    shop.run()
    other = elsewhere(shop, client, f"{unique}-other")
    snapshot.restore(tmp_path / "shop.snapshot", RedisImages(client, other.keys), log_of(shop))
    worker = other.run()
    assert comparable(other.rows()) == comparable(shop.rows())
    assert worker.memory.views.figures.written >= len(other.rows()), "every view counts as unwritten"
    # A leader under the restored fences may publish the next version.
    claims = other.state.meta(0).claims
    assert other.state.publish_model(claims, 2, b"{}")


def test_partitions_that_are_saved_while_a_worker_writes_are_of_one_moment(shop, client, unique, tmp_path):
    """Against the rules in plain Python: rows are exactly those of the events before the position."""
    for number in range(1, 8):
        shop.publish(*map(event, range(300 * number, 300 * (number + 1))))
    positions = []
    with closing(shop.worker(batch_events=20)) as worker:
        step_until(worker, lambda: all((meta := shop.state.meta(number)) and meta.seq for number in range(2)))
        working = threading.Thread(target=lambda: step_until(worker, lambda: worker.idle))
        working.start()
        while working.is_alive() and len(positions) < 40:
            saved = save(shop, client, tmp_path / f"{len(positions)}.snapshot")
            positions.append([saved.partitions[number].position for number in saved.partitions])
        working.join()
    different = [number for number, one in enumerate(positions) if one not in positions[:number]]
    assert len(different) > 2, "the worker was too fast: nothing was saved meanwhile"
    batches = shop.logs.read_all(shop.names.events)
    for number in different[:: 1 + len(different) // 8]:
        keys = Keys(f"{unique}-{number}")
        manifest = snapshot.restore(tmp_path / f"{number}.snapshot", RedisImages(client, keys), log_of(shop))
        oracle = Oracle()
        for batch in batches:
            before = manifest.partitions[batch.partition].position
            values = [value for at, value in zip(batch.positions, batch.values, strict=True) if at < before]
            oracle.replay(parse_event(value) for value in values)
        rows = plain_rows(RedisState(client, keys), 2)
        names = ("orders", "spend", "units", "first_at", "newest_at", "seen_at", "erase_floor")
        assert {who: [row[name] for name in names] for who, row in rows.items()} == {
            who: [getattr(row, name) for name in names] for who, row in oracle.rows.items()
        }


def test_pandas_reads_what_is_inside(shop, client, tmp_path):
    shop.run()
    save(shop, client, tmp_path / "shop.snapshot")
    with zipfile.ZipFile(tmp_path / "shop.snapshot") as archive:
        frames = [pd.read_parquet(archive.open(f"rows/{number}.parquet")) for number in range(2)]
    frame = pd.concat(frames).set_index("customer_id")
    rows = shop.rows()
    assert set(frame.index) == set(rows)
    assert frame.spend.to_dict() == {who: row["spend"] for who, row in rows.items()}
    assert frame.seen_at.dt.tz is not None
    assert frame.attributes.str.contains("Zürich").any()


def test_a_damaged_file_is_refused_before_anything_is_written(shop, client, unique, tmp_path):
    shop.run()
    path = tmp_path / "shop.snapshot"
    save(shop, client, path)
    copy = Keys(f"{unique}-copy")
    whole = path.read_bytes()
    place = whole.index(b"rows/1.parquet") + 200
    for damaged in (whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :], whole[:-100], whole[:1000], b""):
        path.write_bytes(damaged)
        with pytest.raises(SnapshotFileError):
            snapshot.restore(path, RedisImages(client, copy), log_of(shop))
    with pytest.raises(SnapshotFileError, match="there is no file"):
        snapshot.restore(tmp_path / "other", RedisImages(client, copy), log_of(shop))
    assert not list(client.scan_iter(f"{copy.prefix}:*"))


def test_another_log_is_refused_unless_it_is_said_to_be_a_copy(shop, client, unique, tmp_path):
    shop.run()
    path = tmp_path / "shop.snapshot"
    save(shop, client, path)
    images = RedisImages(client, Keys(f"{unique}-copy"))
    other = replace(log_of(shop), identity="another")
    with pytest.raises(SnapshotRefusedError, match="--accept-log"):
        snapshot.restore(path, images, other)
    with pytest.raises(SnapshotRefusedError, match="repartition"):
        snapshot.restore(path, images, replace(other, partitions=3), accept_log=True)
    assert images.read(0) is None
    snapshot.restore(path, images, other, accept_log=True)
    assert images.read(0).meta.log_identity == "another"


def test_rows_of_another_layout_are_refused(shop, client, unique, tmp_path, monkeypatch):
    shop.run()
    monkeypatch.setattr(snapshot, "LAYOUT", 99)
    save(shop, client, tmp_path / "shop.snapshot")
    with pytest.raises(SnapshotRefusedError, match="layout 99"):
        snapshot.restore(tmp_path / "shop.snapshot", RedisImages(client, Keys(f"{unique}-copy")), log_of(shop))


def test_a_restore_that_was_killed_can_be_done_again_and_no_worker_takes_the_half_of_it(shop, client, unique, tmp_path):
    shop.run()
    save(shop, client, tmp_path / "shop.snapshot")
    expected = fields_under(client, shop.keys)
    # Over another state of the same deployment, as after an accident.
    shop.publish(*map(event, range(300, 400)))
    shop.run()
    died = 0
    while True:
        try:
            snapshot.restore(tmp_path / "shop.snapshot", DyingImages(client, shop.keys, [died]), log_of(shop))
            break
        except Killed:
            died += 1
        closed = [one for one in range(2) if shop.state.meta(one).layout == UNFINISHED]
        for partition in closed:
            with pytest.raises(StateLayoutError, match="again"):
                shop.state.claim(partition, "token", shop.state.meta(partition).claims)
            with pytest.raises(StateError, match="not whole"):
                RedisImages(client, shop.keys).read(partition)
    assert died > 8
    assert fields_under(client, shop.keys) == expected
    shop.run()


def test_an_empty_prefix_is_not_saved(client, unique, tmp_path):
    shop = InProcess(2, state=RedisState(client, Keys(unique)), prefix=unique)
    with pytest.raises(SnapshotRefusedError, match="nothing to save"):
        save(shop, client, tmp_path / "shop.snapshot")
    assert not list(tmp_path.iterdir())


def test_a_manifest_says_what_there_is(shop, client, tmp_path):
    shop.run()
    saved = save(shop, client, tmp_path / "shop.snapshot")
    with closing(open_snapshot(tmp_path / "shop.snapshot")) as read:
        assert read.manifest == saved
        read.check()
