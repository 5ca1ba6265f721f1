import pytest

from online_model.features import UnknownFeatureError
from online_model.settings import ModelSettings, ModelSettingsError


@pytest.mark.parametrize(
    "wrong",
    [
        {"k": 1},
        {"k": 65},
        {"seed": -1},
        {"first_model_buyers": 4},
        {"adoption_gain": 0.0},
        {"restart_gain": 1.0},
        {"restarts": 0},
        {"adoption_interval": 0},
        {"review_interval": 0},
        {"margin": -0.1},
        {"dwell": -1},
        {"lapse_days": 0},
        {"new_days": 0},
        {"clusterer": "dbscan"},
    ],
)
def test_a_wrong_value_is_named(wrong):
    with pytest.raises(ModelSettingsError, match=next(iter(wrong))):
        ModelSettings(**wrong)


def test_so_is_a_wrong_feature():
    with pytest.raises(UnknownFeatureError, match="charm"):
        ModelSettings(features=("recency", "charm"))
