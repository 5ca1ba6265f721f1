"""In its deterministic mode the service makes the same model documents, byte for byte, whatever else is random."""

import hashlib
import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

from contracts.times import DAY
from online_model.model import SegmentModel
from online_model.settings import ModelSettings
from producer.shop import Shop, ShopSettings
from recommender.settings import RecommenderSettings
from tests.in_process import START, InProcess

ROOT = Path(__file__).parents[2]
EVENTS = 2_000


def documents() -> list[bytes]:
    """Every model document of a shop, by version."""
    # Forecasts and what goes with what stand in documents of their own, and take most of the time.
    settings = {"forecasts": False, "recommender": RecommenderSettings(item_review_interval=10_000 * DAY)}
    shop = InProcess(partitions=3, model=ModelSettings(k="auto"), **settings)
    worker = shop.worker()
    messages = Shop(ShopSettings(now=START, customers=600, seed=3, currency="GBP")).history()
    while batch := list(islice(messages, 500)):
        shop.publish(*(message.value for message in batch if b'"interaction"' not in message.value))
        shop.run(worker)
        if worker.figures.records >= EVENTS:
            break
    newest = SegmentModel.read(shop.state.model()).version
    return [shop.state.old_model(version) for version in range(1, newest + 1)]


def digest(hash_seed: str) -> str:
    """Of the documents that a process with this PYTHONHASHSEED makes."""
    found = subprocess.run(
        [sys.executable, "-m", "tests.integration.test_deterministic"],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    return found.stdout.splitlines()[-1]


def test_the_same_stream_makes_the_same_model_documents_whatever_the_hash_seed():
    first, second = digest("1"), digest("4242")
    assert first == second
    versions, _ = first.split()
    assert int(versions) >= 5


if __name__ == "__main__":
    found = documents()
    sys.stdout.write(f"{len(found)} {hashlib.sha256(b''.join(found)).hexdigest()}\n")
