"""Rows of many customers, put where a worker looks for them: copies of a small shop's customers, who buy other things.

A small shop's events go through a worker first, which learns from them what there is to learn. Its rows are then copied
under new ids; one line in ten names another item, so that all of the assortment is sold.
"""

import multiprocessing
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import redis

from benchmarks.loading import PARTITIONS, Servers, create_logs, of_shop, put, read_event
from benchmarks.one_worker import one_worker
from consumer.image import ROWS_AT_ONCE, Image
from consumer.layout import HEADER, LINE
from consumer.redis_images import RedisImages
from consumer.settings import WorkerSettings
from contracts.keys import Keys
from contracts.partitioning import partition_of
from producer.message import PURCHASE, Message
from recommender.settings import RecommenderSettings

MODELS: Final = 10_000
"""Customers of the small shop, at most."""
ORDERS: Final = 8
"""Of each who bought, on average; three lines in each."""
_OTHER: Final = 0.1
"""Share of the lines that name another item."""
_PATIENCE: Final = 600.0


def settings_of(servers: Servers) -> WorkerSettings:
    """Of every worker that works for this deployment.

    What goes with what is learnt, but no blend is tuned for it: that takes minutes of a process of its own, and changes
    nothing about how long a view takes.
    """
    return servers.settings(recommender=RecommenderSettings(tuning=False))


def fill(servers: Servers, customers: int, items: int, partitions: int = PARTITIONS) -> list[list[str]]:
    """Logs, rows and views of a deployment with so many customers; the views of copies are still to be written.

    The ids of all customers, by partition.
    """
    create_logs(servers, partitions)
    put(servers, _first_events(min(MODELS, customers), items))
    first = multiprocessing.get_context("spawn").Process(target=_work_off, args=(servers,))
    first.start()
    first.join(_PATIENCE)
    if first.exitcode != 0:
        first.kill()
        raise SystemExit("the worker that makes the first rows failed, or hangs")
    with redis.Redis.from_url(servers.redis_url) as client:
        return _copy(RedisImages(client, Keys(servers.tag)), customers, items, partitions)


def _first_events(models: int, items: int) -> Iterator[Message]:
    """A small shop's events until those who bought have so many orders each, on average."""
    orders = 0
    buyers: set[bytes] = set()
    for message in of_shop(2 * ORDERS * models, models, items=items):
        yield message
        if read_event(message.value).type == PURCHASE:
            orders += 1
            buyers.add(message.key)
            if orders >= ORDERS * len(buyers):
                return


def _work_off(servers: Servers) -> None:
    with one_worker(servers.bootstrap, servers.redis_url, settings_of(servers)) as worker:
        worker.run(until_idle=1.0)


def _copy(images: RedisImages, customers: int, items: int, partitions: int) -> list[list[str]]:
    found = [images.read(number) for number in range(partitions)]
    ids = [list(image.customer_ids) if image is not None else [] for image in found]
    before = sum(map(len, ids))
    names = sorted({name for image in found if image is not None for name in image.kept.items})
    names += [f"unsold-{number}" for number in range(len(names), items)]
    copies: list[list[str]] = [[] for _ in range(partitions)]
    for number in range(customers - before):
        who = f"copy-{number}"
        copies[partition_of(who, partitions)].append(who)
    for image in found:
        if image is None:
            continue
        here = copies[image.partition]
        known = set(image.kept.items)
        table = [*image.kept.items, *(name for name in names if name not in known)]
        images.close_partition(image.partition)
        images.put_kept(image.partition, replace(image.kept, items=table))
        rows = _rows(image, len(here), len(table))
        for start in range(0, len(here), ROWS_AT_ONCE):
            some = here[start : start + ROWS_AT_ONCE]
            images.put_rows(image.partition, (some, [next(rows) for _ in some]))
        grown = (len(here) + len(image.customer_ids)) / len(image.customer_ids)
        images.finish(image.partition, replace(image.meta, purchases=round(image.meta.purchases * grown)))
        ids[image.partition] += here
    return ids


def _rows(image: Image, count: int, items: int) -> Iterator[bytes]:
    """So many rows like those of a partition."""
    rng = np.random.default_rng(image.partition)
    places = [_lines_of(row) for row in image.rows]
    for number in range(count):
        model = number % len(image.rows)
        start, lines = places[model]
        row = bytearray(image.rows[model])
        other = np.flatnonzero(rng.random(lines) < _OTHER)
        np.frombuffer(row, LINE, lines, start)["item"][other] = rng.integers(items, size=len(other))
        yield bytes(row)


def _lines_of(row: bytes) -> tuple[int, int]:
    """Where a packed row's lines begin, and how many there are."""
    header = np.frombuffer(row, HEADER, 1)[0]
    return HEADER.itemsize + int(header["heads"]), int(header["lines"]) // LINE.itemsize


def spread(ids: Sequence[Sequence[str]], count: int) -> list[str]:
    """So many customers from all partitions, everybody as likely; the same ones each time."""
    everybody = [who for one in ids for who in one]
    chosen = np.random.default_rng(1).integers(len(everybody), size=count)
    return [everybody[place] for place in chosen.tolist()]
