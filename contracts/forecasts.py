"""The forecast document: what the leader has fitted and learnt about what customers will do next."""

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contracts.documents import VERSION
from contracts.errors import LivesegmentsError
from contracts.events import Timestamp

ChurnFamily = Literal["logistic", "tree"]


class ForecastDocumentError(LivesegmentsError):
    """The stored forecast document can not be read: a newer livesegments wrote it, or something else did."""

    def __init__(self, message: str, *, newer: bool) -> None:
        super().__init__(message)
        self.newer = newer
        """Whether a newer livesegments wrote it, and it is to be left alone."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Version(_Part):
    v: int = VERSION


class LifetimeFit(_Part):
    """How often customers buy, and when they leave; time in weeks."""

    family: Literal["mbg/nbd", "bg/nbd"]
    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float
    bounded: tuple[str, ...] = ()
    """Parameters at an end of their range: in what they stand for all customers are alike, or the data can not tell."""
    tells_leaving: bool
    """Whether the data tell silence from leaving; where they do not, everybody counts as active, which says nothing."""


class ValueFit(_Part):
    """What a purchase day is worth; gamma in the deployment's currency."""

    p: float
    q: float
    gamma: float
    log_likelihood: float
    customers: int
    """Who have kept anything."""
    bounded: tuple[str, ...] = ()


class LogisticScorer(_Part):
    """A logistic regression over scaled features."""

    kind: Literal["logistic"] = "logistic"
    features: tuple[str, ...]
    weights: tuple[float, ...]
    intercept: float
    means: tuple[float, ...]
    scales: tuple[float, ...]
    """Standard deviations; 0 where all are alike, and the feature does not count."""


class TreeLeaf(_Part):
    """Where a path ends."""

    came_back: float
    left: float
    """Shares of the outcomes seen here."""
    weight: float = 1.0
    """Against other leaves that the same customer reaches."""


class TreeBranch(_Part):
    """A question about one feature."""

    feature: int
    """Its place."""
    threshold: float
    below: "TreeBranch | TreeLeaf"
    """For values up to the threshold."""
    above: "TreeBranch | TreeLeaf"
    beside: "TreeBranch | TreeLeaf | None" = None
    """Another tree that grows here since outcomes have changed, and has its say, too."""


class TreeScorer(_Part):
    """A decision tree."""

    kind: Literal["tree"] = "tree"
    features: tuple[str, ...]
    root: TreeBranch | TreeLeaf | None
    """None before anything was learnt."""


class ChurnScores(_Part):
    """How good one family's forecasts have been, live: each was stored before its outcome was known."""

    family: ChurnFamily
    forecasts: Annotated[int, Field(ge=0)]
    auc: float | None = None
    log_loss: float | None = None
    calibration_error: float | None = None
    calibration: tuple[tuple[float, float, int], ...] = ()
    """Stated and observed share and the number of forecasts, in up to ten bins of equal mass."""
    drifts: tuple[date, ...] = ()
    """Days on which log losses had become others (ADWIN)."""


class ChurnFit(_Part):
    """Who will not come back within so many days, learned online."""

    days: int
    family: ChurnFamily
    """The one in use."""
    scorer: Annotated[LogisticScorer | TreeScorer, Field(discriminator="kind")] | None = None
    """None until there are forecasts."""
    missing: str = ""
    """What is missing until then."""
    came_back: int = 0
    left: int = 0
    """Outcomes learnt."""
    waiting: int = 0
    """Forecasts whose outcome is not known yet."""
    scores: tuple[ChurnScores, ...] = ()


class FamilyChange(_Part):
    """A review put another family in use."""

    at: Timestamp
    before: ChurnFamily
    after: ChurnFamily
    why: str


class ForecastDocument(_Part):
    """In the hash `<prefix>:forecast`: purchase models and churn, as of the leader's last look at its sample."""

    v: Annotated[int, Field(ge=1)] = VERSION
    at: Timestamp
    all_purchases: Annotated[int, Field(ge=0)] = 0
    """Of all customers, ever, by then."""
    customers: Annotated[int, Field(ge=0)]
    """Buyers looked at."""
    left_censored: Annotated[int, Field(ge=0)] = 0
    """Those whose first purchase was not seen: customers before the history begins. They are not fitted."""
    fitted_at: Timestamp | None = None
    fitted: Annotated[int, Field(ge=0)] = 0
    """Customers that the purchase models were fitted to."""
    purchases: Annotated[int, Field(ge=0)] = 0
    """Of all customers, ever, when they were."""
    lifetime: LifetimeFit | None = None
    value: ValueFit | None = None
    missing: str = ""
    """What is missing for forecasts of orders and money; empty where there are some."""
    not_fitted: str = ""
    """Why the last try to fit the purchase models failed: those of `fitted_at` stay in use. Empty where it did not."""
    churn: ChurnFit
    changes: tuple[FamilyChange, ...] = ()
    """The newest, the last one last."""

    def encode(self) -> bytes:
        """The document as it is stored: compact JSON in UTF-8."""
        return self.model_dump_json().encode()

    @classmethod
    def read(cls, document: bytes) -> "ForecastDocument":
        """What `encode` made. Raises ForecastDocumentError for what it did not make, or a newer livesegments did."""
        try:
            version = _Version.model_validate_json(document).v
            read = cls.model_validate_json(document) if version <= VERSION else None
        except (ValidationError, ValueError, RecursionError) as error:
            raise ForecastDocumentError(
                f"the stored forecasts are none that livesegments writes ({' '.join(str(error).split())[:200]}): a"
                " worker that leads learns new ones",
                newer=False,
            ) from error
        if read is None:
            raise ForecastDocumentError(
                f"the forecasts are a version {version} document and this livesegments knows version {VERSION}:"
                " upgrade livesegments here",
                newer=True,
            )
        return read
