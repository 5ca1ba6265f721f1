"""`livesegments tree` and `map` on a real Redis that a real worker has filled."""

import json
import os

import numpy as np
import pytest
from typer.testing import CliRunner

from contracts.times import SECOND
from livesegments.cli import app
from livesegments.segment_space import NoSegmentsError
from online_model.hierarchy import HierarchyError
from online_model.settings import ModelSettings
from producer.shop import Shop, ShopSettings
from tests.deployment import Deployment

NOW = 1_770_000_000 * SECOND


@pytest.fixture(scope="module")
def shop(redis_url, one_redis_url):
    """A small shop's half year, worked off."""
    deployment = Deployment(
        one_redis_url,
        redis_url,
        f"space-{os.getpid()}",
        partitions=1,
        settings={"model": ModelSettings(k=4)},
    )
    with deployment.writer() as writer:
        for message in Shop(ShopSettings(now=NOW, customers=150, history_days=180, currency="GBP")).history():
            writer.append(deployment.names.events, message.key, message.value)
    deployment.run()
    return deployment


@pytest.fixture
def call(shop):
    def call(*arguments):
        where = ["--redis-url", shop.redis_url, "--log-url", shop.log_url, "--key-prefix", shop.tag, "--clock", "event"]
        done = CliRunner(env={"COLUMNS": "200"}).invoke(app, [arguments[0], *where, *arguments[1:]])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.output

    return call


def test_the_tree_of_segments(call):
    plain = json.loads(call("tree", "--json", "--groups", "2"))
    assert len(plain["leaves"]) == 4
    assert len(plain["merges"]) == 3
    assert len(set(plain["groups"])) == 2
    drawn = call("tree")
    for leaf in plain["leaves"]:
        assert leaf["name"] in drawn
    highest = plain["merges"][-1][2]
    assert "1 groups" in call("tree", "--height", str(highest + 1))
    assert "4 groups" in call("tree", "--height", "0")
    with pytest.raises(HierarchyError, match="1 to 4"):
        call("tree", "--groups", "9")
    assert "not both" in call("tree", "--groups", "2", "--height", "1")


def test_the_tree_of_a_sample_of_customers(call):
    plain = json.loads(call("tree", "--json", "--customers", "40"))
    assert len(plain["leaves"]) == len(plain["leaf_order"]) == 40
    assert plain["groups"] is None
    assert "3 groups" in call("tree", "--customers", "40", "--groups", "3")


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_map(call, dimensions):
    plain = json.loads(call("map", "--json", "--dimensions", str(dimensions)))
    assert plain["features"] == ["recency", "frequency", "monetary"]
    assert np.shape(plain["components"]) == (dimensions, 3)
    points = np.array(plain["customers"]["points"])
    assert points.shape == (len(plain["customers"]["cluster"]), dimensions)
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(points.var(axis=0, ddof=1), plain["variances"], rtol=1e-3)
    # Centroids are where their members are.
    for segment in plain["segments"]:
        members = points[np.array(plain["customers"]["cluster"]) == segment["id"]]
        np.testing.assert_allclose(members.mean(axis=0), segment["point"], atol=0.25)
    drawn = call("map", "--dimensions", str(dimensions))
    assert f"axis {dimensions}" in drawn
    assert "explains" in drawn


def test_before_there_are_segments_it_says_so(redis_url, one_redis_url, unique):
    where = ["--redis-url", redis_url, "--log-url", one_redis_url, "--key-prefix", unique]
    for command in ("tree", "map"):
        done = CliRunner().invoke(app, [command, *where])
        assert isinstance(done.exception, NoSegmentsError)
