"""Maximum likelihood finds what made the purchases, and says when it can not."""

import numpy as np
import pytest

from benchmarks.forecast.known_lifetimes import Tastes, known_shop
from online_model.forecasts.fitting import NotConvergedError, NotEnoughDataError, fit_lifetime, fit_value
from online_model.forecasts.lifetime import LifetimeModel
from online_model.forecasts.purchases import Purchases
from online_model.forecasts.value import Amounts

TASTES = Tastes(customers=6_000)


@pytest.fixture(scope="module")
def shop():
    return known_shop(TASTES, seed=2)


def test_what_made_the_purchases_is_found_from_anywhere(shop):
    cold = fit_lifetime(shop.purchases)
    warm = fit_lifetime(shop.purchases, start=cold.model)
    far = fit_lifetime(shop.purchases, start=LifetimeModel(30.0, 0.1, 20.0, 0.05))
    model = cold.model
    assert (model.r, model.alpha) == pytest.approx(TASTES.rate, rel=0.15)
    assert model.a / (model.a + model.b) == pytest.approx(TASTES.drop_out[0] / sum(TASTES.drop_out), rel=0.15)
    assert warm.iterations < cold.iterations
    for other in (warm, far):
        assert other.log_likelihood == pytest.approx(cold.log_likelihood, abs=1e-3)
        assert other.model.r == pytest.approx(model.r, rel=1e-3)
    assert cold.customers == 6_000
    assert cold.bounded == ()


def test_what_customers_spend_is_found_in_any_currency(shop):
    found = fit_value(shop.amounts)
    p, q, gamma = TASTES.value
    assert found.model.p == pytest.approx(p, rel=0.15)
    assert found.model.gamma / found.model.q == pytest.approx(gamma / q, rel=0.15)
    dear = fit_value(Amounts(shop.amounts.days, shop.amounts.mean * 1e5), start=found.model)
    assert dear.model.gamma == pytest.approx(found.model.gamma * 1e5, rel=1e-2)
    assert dear.model.p == pytest.approx(found.model.p, rel=1e-2)
    direct = found.model.log_likelihood(shop.amounts.select(shop.amounts.positive)).sum()
    assert found.log_likelihood == pytest.approx(direct)


def test_what_is_missing_is_said():
    few = Purchases(np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.array([3.0, 2.0]))
    with pytest.raises(NotEnoughDataError, match=r"2 customers .* 100 are needed; 1 .* 30 are needed; 3 weeks"):
        fit_lifetime(few)
    with pytest.raises(NotEnoughDataError, match="30 are needed"):
        fit_lifetime(Purchases(np.zeros(500), np.zeros(500), np.full(500, 20.0)))  # everybody bought once
    with pytest.raises(NotEnoughDataError, match="0 customers"):
        fit_lifetime(Purchases(np.zeros(0), np.zeros(0), np.zeros(0)))
    with pytest.raises(NotEnoughDataError, match="1 customers have spent"):
        fit_value(Amounts(np.array([1.0, 2.0]), np.array([3.0, 0.0])))


def test_customers_who_are_all_alike_are_fitted_too():
    rng = np.random.default_rng(0)
    weeks = 60.0
    repeats = rng.poisson(0.5 * weeks, 500).astype(float)
    last = weeks * rng.beta(np.maximum(repeats, 1), 1)
    found = fit_lifetime(Purchases(repeats, last, np.full(500, weeks)))
    assert found.bounded  # nobody leaves, or rates do not differ: an end of the range
    assert found.model.r / found.model.alpha == pytest.approx(0.5, rel=0.05)
    assert found.model.active(Purchases(np.array([30.0]), np.array([59.0]), np.array([60.0])))[0] > 0.99


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_nonsense_is_no_fit():
    age = np.append(np.full(199, 20.0), np.nan)
    with pytest.raises(NotConvergedError, match="dates or amounts"):
        fit_value(Amounts(np.full(200, 3.0), np.append(np.full(199, 5.0), np.inf)))
    with pytest.raises((NotConvergedError, NotEnoughDataError)):
        fit_lifetime(Purchases(np.full(200, 3.0), np.full(200, 9.0), age))
