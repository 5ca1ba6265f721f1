"""The main job on real purchases: Online Retail through a real broker, against a batch computation in pandas."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.cluster import KMeans

from consumer.clock import wall_micros
from consumer.columns import Columns
from consumer.worker import Worker
from online_model.features import FeatureSet
from producer.presets import ONLINE_RETAIL_NON_PRODUCTS
from producer.replay import read_events
from producer.sending import send
from recommender.non_products import GENERIC_PATTERNS
from tests.deployment import DECAYED, LEARN_ITEMS_ONCE, Deployment
from tests.online_retail import FILE, assert_equal_to_batch, batch_rows


@pytest.fixture(scope="module")
def retail(data_folder, kafka_bootstrap, redis_url):
    """The file replayed once and worked off by one worker."""
    patterns = (*GENERIC_PATTERNS, *ONLINE_RETAIL_NON_PRODUCTS)
    deployment = Deployment(
        f"kafka://{kafka_bootstrap}",
        redis_url,
        f"retail-{np.random.default_rng().integers(1e12)}",
        settings={"recommender": replace(LEARN_ITEMS_ONCE, non_products=patterns)},
    )
    publish(deployment, data_folder / FILE)
    worker = deployment.run(until_idle=1.0)
    return deployment, worker


def publish(deployment, path):
    table = read_events(path, now=wall_micros())
    with deployment.writer() as writer:
        send(table, writer, log=deployment.names.events)


def test_rows_equal_a_batch_computation_exactly(retail, data_folder):
    deployment, _ = retail
    assert_equal_to_batch(deployment.rows(), batch_rows(data_folder / FILE))


def test_customers_with_returns_only_have_no_purchases_yet(retail):
    deployment, _ = retail
    without = [customer for customer, row in deployment.rows().items() if row["first_at"] is None]
    assert len(without) == 33
    view = deployment.reader().get(without[0])
    assert view.segment.name == "No purchases yet"
    sizes = deployment.reader().segments().segments
    assert {one.name: one.size for one in sizes}["No purchases yet"] == 33
    assert sum(one.size for one in sizes) == 4372


def test_final_inertia_is_that_of_batch_k_means(retail):
    _, worker = retail
    X, ours = final_inertia(worker)
    batch = KMeans(worker.memory.learner.model.k, n_init=20, random_state=0).fit(X).inertia_
    assert ours <= 1.03 * batch


def final_inertia(worker: Worker):
    """Features of everybody who voted, scaled by the model's metric, and the inertia of `cluster`."""
    memory = worker.memory
    model = memory.learner.model
    rows = np.arange(memory.store.used)
    X = FeatureSet.of(model.features).features(Columns(memory.store.header[rows]), worker.clock.now, model.order_value)
    clusters = memory.learner.clusters(rows)
    assert np.array_equal(clusters, model.assign(X))
    voting = clusters >= 0
    scaled = X[voting] / model.metric.deviations
    centroids = model.centroids / model.metric.deviations
    return scaled, float(((scaled - centroids[clusters[voting]]) ** 2).sum())


def test_recommendations_hold_no_fees_and_no_postage(retail, data_folder):
    deployment, _ = retail
    view = deployment.reader().get("17850")
    assert len(view.items) >= 10
    for customer in ("17850", "12583", "14911", "13047"):
        assert not {"POST", "DOT", "M", "C2", "BANK CHARGES", "D"} & {
            item.item_id for item in deployment.reader().get(customer).items
        }


def test_replaying_the_file_again_changes_nothing(retail, data_folder):
    deployment, _ = retail
    before = deployment.rows()
    publish(deployment, data_folder / FILE)
    worker = deployment.run(until_idle=1.0)
    assert worker.figures.events.total() == 0
    assert worker.figures.ignored.total() == 22_190
    after = deployment.rows()
    for customer, row in before.items():
        for name in set(row) - {"segment", *DECAYED}:
            assert after[customer][name] == row[name], (customer, name)
        for name in DECAYED:
            assert after[customer][name] == pytest.approx(row[name], rel=1e-9)


def test_every_change_has_one_content(retail):
    deployment, _ = retail
    changes = deployment.changes()
    assert len(changes) >= 4372
    assert all(len(set(contents)) == 1 for contents in changes.values())
