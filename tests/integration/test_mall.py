"""Mall Customers, people known by nothing but their profiles, through a whole worker: as good as batch k-means."""

from itertools import islice

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from consumer.columns import Columns
from contracts.times import DAY
from online_model.encoding import AttributeOptions
from online_model.settings import ModelSettings
from producer.mapping import MappingRequest
from producer.replay import read_events
from producer.sending import send
from tests.in_process import START, InProcess, step_until

FILE = "Mall_Customers.csv.gz"
COLUMNS = {
    "customer_id": "CustomerID",
    "gender": "Gender",
    "age": "Age",
    "annual_income": "Annual Income (k$)",
    "spending_score": "Spending Score (1-100)",
}


def mall(data_folder, at_once=200, **settings):
    """A worker that has worked off the table, so many profiles a day; poorest first, as the table has them."""
    shop = InProcess(model=ModelSettings(**{"k": 5, **settings}), figures_interval=0.0)
    worker = shop.worker()
    for day, start in enumerate(range(0, 200, at_once)):
        profiles = read_events(data_folder / FILE, MappingRequest(columns=COLUMNS), now=START + day * DAY)
        assert send(islice(profiles, start, start + at_once), shop._writer, log=shop.names.events) == at_once
        step_until(worker, lambda: worker.idle)
    return worker


def population(worker):
    memory = worker.memory
    rows = np.arange(memory.store.used)
    columns = Columns.of_store(memory.store, rows)
    model = memory.learner.model
    X = model.features_of(columns, worker.clock.now)
    return model, columns, X, memory.learner.clusters(rows)


INCOME_AND_SCORE = ("attributes.annual_income", "attributes.spending_score")


def test_income_and_score_have_five_natural_groups_named_for_what_is_true_of_them(data_folder):
    worker = mall(data_folder, k="auto", features=INCOME_AND_SCORE)
    model, columns, _, clusters = population(worker)
    assert model.k == 5
    segments = {one.name: clusters == cluster for cluster, one in enumerate(model.segments)}
    assert set(segments) == {
        "High-income high spenders",
        "High-income low spenders",
        "Low-income high spenders",
        "Low-income low spenders",
        "Average customers",
    }
    for name, inside in segments.items():
        for attribute, low, high in (
            ("annual_income", "Low-income", "High-income"),
            ("spending_score", "low spenders", "high spenders"),
        ):
            values = columns.numbers(attribute)
            if high in name:
                assert np.mean(values[inside] > np.median(values)) >= 0.7
            elif low in name:
                assert np.mean(values[inside] < np.median(values)) >= 0.7
            else:
                assert abs(values[inside].mean() - values.mean()) < 0.5 * values.std()
    worker.close()


def test_words_for_attributes_are_settings(data_folder):
    words = {"annual_income": ("Thrifty", "Wealthy"), "spending_score": ("Careful", "Generous")}
    worker = mall(data_folder, features=INCOME_AND_SCORE, attribute_words=words)
    model, *_ = population(worker)
    names = {one.name for one in model.segments}
    assert len(names) == 5
    assert {"Wealthy generous customers", "Thrifty careful customers"} <= {
        name if name.startswith(("W", "T", "A")) else _swapped(name) for name in names
    }
    worker.close()


def _swapped(name):
    """The same name, its two adjectives the other way round."""
    first, second, noun = name.split()
    return f"{second.capitalize()} {first.lower()} {noun}"


@pytest.mark.parametrize("at_once", [200, 20])
def test_income_and_score_give_the_segments_of_batch_k_means(data_folder, at_once):
    worker = mall(data_folder, at_once, features=INCOME_AND_SCORE)
    model, columns, X, clusters = population(worker)
    raw = np.column_stack([columns.numbers("annual_income"), columns.numbers("spending_score")])
    assert raw.shape == (200, 2)
    assert np.mean(raw != X) < 0.01  # caps move only what is extreme
    batch = KMeans(5, n_init=20, random_state=0).fit(raw / raw.std(axis=0))
    assert adjusted_rand_score(batch.labels_, clusters) >= 0.97
    segments = worker.memory.store.header["segment"][: len(X)]
    assert adjusted_rand_score(segments, clusters) >= 0.9
    assert set(segments) <= set(model.segment_ids.tolist())
    worker.close()


def test_gender_as_a_feature_does_not_make_segments_of_one_gender(data_folder):
    worker = mall(data_folder, features=("profile",), attributes=("age", "annual_income", "spending_score", "gender"))
    model, columns, X, clusters = population(worker)
    assert model.features == (
        "attributes.age",
        "attributes.annual_income",
        "attributes.spending_score",
        "attributes.gender=Female",
        "attributes.gender=Male",
    )
    codes, values = columns.labels("gender")
    female = codes == values.index("Female")
    for cluster in range(model.k):
        assert 0.2 <= female[clusters == cluster].mean() <= 0.8
    # As features of their own, the same indicators make every segment one gender.
    one_hot = KMeans(5, n_init=20, random_state=0).fit(X / X.std(axis=0)).labels_
    assert min(min(np.mean(female[one_hot == one]), np.mean(~female[one_hot == one])) for one in range(5)) == 0
    worker.close()


def test_a_profile_is_made_of_the_numbers_that_customers_have(data_folder):
    worker = mall(
        data_folder,
        features=("profile",),
        attribute_options={
            "age": AttributeOptions(bins=(18, 30, 45, 60)),
            "annual_income": AttributeOptions(scaling="minmax"),
        },
    )
    model, columns, X, _ = population(worker)
    assert model.features == ("attributes.age", "attributes.annual_income", "attributes.spending_score")
    assert set(X[:, 0]) == {1, 2, 3, 4}
    incomes = columns.numbers("annual_income")
    assert model.metric.deviations[1] == np.ptp(incomes)
    worker.close()
