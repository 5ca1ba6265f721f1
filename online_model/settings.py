"""What a deployment chooses about its segments, validated when it is made."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from contracts.errors import LivesegmentsError
from contracts.times import DAY, HOUR
from online_model.encoding import AttributeOptions
from online_model.presets import FeatureRequest
from online_model.words import WordPair

MAX_K: Final = 64
FIRST_LAPSE_DAYS: Final = 90
"""Until the gaps between purchase days can be measured."""


class ModelSettingsError(LivesegmentsError):
    """A setting of the model has a value that makes no sense."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """Durations are microseconds. Raises ModelSettingsError, UnknownFeatureError or ScalingError for a wrong value."""

    k: int | Literal["auto"] = "auto"
    """How many segments; "auto": as many as there are natural groups, `k_default` where there are none."""
    k_default: int = 5
    features: tuple[str, ...] = ("rfm",)
    """Features, `attributes.<name>`, presets."""
    attributes: tuple[str, ...] = ()
    """What the preset `profile` is made of; empty: the numbers that most customers have."""
    attribute_options: Mapping[str, AttributeOptions] = field(default_factory=dict)
    """How attributes become features, by attribute."""
    scaling: Mapping[str, str] = field(default_factory=dict)
    """What distances divide by, by feature made of purchases: `standard` (deviation) or `minmax` (range)."""
    seed: int = 1
    first_model_buyers: int = 50
    """So many customers who bought make the first model worth learning."""
    by_rule_buyers: int = 200
    """Below so many customers who bought ..."""
    by_rule_days: int = 60
    """... or with a shorter history, segments are not the learnt ones: each customer is in one by rule."""
    adoption_gain: float = 0.005
    """The share of the inertia that must be gained before learnt means are adopted."""
    adoption_interval: int = 4 * DAY
    """How long a version stays at least, unless the gain is as many times larger as it stays shorter."""
    restart_gain: float = 0.005
    """The share by which a restart must beat the polished present centroids."""
    restarts: int = 10
    review_interval: int = DAY
    k_interval: int = 7 * DAY
    """How long after one look at the number of segments the next is due: a second's work on 2,000 customers."""
    model_versions_kept: int = 200
    """Older model documents are deleted."""
    margin: float = 0.10
    """How much nearer another segment must be, as a share of its distance, before a customer moves."""
    dwell: int = HOUR
    """How long a customer stays in a segment at least."""
    lapse_days: int | Literal["auto"] = "auto"
    """Without an order for longer, a customer has lapsed; "auto": for longer than most gaps between purchase days."""
    new_days: int = 60
    """First seen at most so long ago, a customer is new."""
    attribute_words: Mapping[str, WordPair] = field(default_factory=dict)
    """By attribute, what segments are called that are low and high in it; there are defaults by its name."""
    clusterer: Literal["means", "river"] = "means"
    """What learns: CustomerKMeans, or stock river.cluster.KMeans for comparison."""

    def __post_init__(self) -> None:
        _ = self.request  # refuses features that there are not
        rules = (
            (self.k == "auto" or 2 <= self.k <= MAX_K, f'k must be "auto" or lie between 2 and {MAX_K}, not {self.k}'),
            (2 <= self.k_default <= MAX_K, f"k_default must lie between 2 and {MAX_K}, not {self.k_default}"),
            (self.seed >= 0, f"seed must not be negative: {self.seed}"),
            (self.first_model_buyers >= self.first_k, f"first_model_buyers must be at least k = {self.first_k}"),
            (0 < self.adoption_gain < 1, f"adoption_gain must lie between 0 and 1, not {self.adoption_gain}"),
            (0 < self.restart_gain < 1, f"restart_gain must lie between 0 and 1, not {self.restart_gain}"),
            (self.by_rule_buyers >= 0, "by_rule_buyers must not be negative"),
            (self.by_rule_days >= 0, "by_rule_days must not be negative"),
            (self.restarts >= 1, f"restarts must be at least 1, not {self.restarts}"),
            (self.adoption_interval > 0, "adoption_interval must be above 0"),
            (self.review_interval > 0, "review_interval must be above 0"),
            (self.k_interval > 0, "k_interval must be above 0"),
            (self.model_versions_kept >= 1, "model_versions_kept must be at least 1"),
            (0 <= self.margin <= 1, f"margin must lie between 0 and 1, not {self.margin}"),
            (self.dwell >= 0, "dwell must not be negative"),
            (
                self.lapse_days == "auto" or self.lapse_days > 0,
                f'lapse_days must be "auto" or above 0, not {self.lapse_days}',
            ),
            (self.new_days > 0, f"new_days must be above 0, not {self.new_days}"),
            (self.clusterer in {"means", "river"}, f"clusterer must be 'means' or 'river', not {self.clusterer!r}"),
        )
        for holds, message in rules:
            if not holds:
                raise ModelSettingsError(message)

    @property
    def first_k(self) -> int:
        """How many segments where nothing is known of the customers yet."""
        return self.k_default if self.k == "auto" else self.k

    @property
    def first_lapse_days(self) -> int:
        """After how many days a customer has lapsed, as long as nothing was measured."""
        return FIRST_LAPSE_DAYS if self.lapse_days == "auto" else self.lapse_days

    @property
    def request(self) -> FeatureRequest:
        """Which features the model is to have."""
        return FeatureRequest(
            names=self.features, attributes=self.attributes, options=self.attribute_options, scaling=self.scaling
        )
