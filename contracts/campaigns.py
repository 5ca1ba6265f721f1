"""A campaign as it is kept: who was frozen when, what could be seen, and what came of it. It names no customer."""

import unicodedata
from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from contracts.events import Timestamp

MAX_NAME: Final = 60
MAX_DAYS: Final = 366


def _printable(text: str) -> str:
    text = unicodedata.normalize("NFC", text)
    if text != text.strip() or not text.isprintable() or "/" in text or text in {".", ".."}:
        raise ValueError("printable characters without spaces around them, and no /")
    return text


CampaignName = Annotated[str, Field(min_length=1, max_length=MAX_NAME), AfterValidator(_printable)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Expected(_Part):
    """What the audience did in as many days before as the campaign is to have, and what can be seen of that."""

    days: int
    conversion: float
    """Share of customers with an order."""
    net_spend: float
    """Per customer, in the deployment's currency."""
    conversion_detectable: float | None
    """The smallest rise of that share that is seen with 80 %, two-sided at 5 %; None: too few bought to say so."""
    net_spend_detectable: float | None
    """The same of net spend per customer, once what was spent before is taken out."""
    supposed: tuple[tuple[float, float | None], ...] = ()
    """Where too few bought: if that share of the controls orders, the smallest rise of it that is seen."""


class GroupOutcome(_Part):
    """Everybody drawn into one group, whatever became of them."""

    customers: int
    buyers: int
    orders: int
    net_spend: float
    """Spend less refunds of the campaign's days, in the deployment's currency."""


class Effect(_Part):
    """What the treated did more per customer than the controls, with its 95 % interval."""

    treated: float
    control: float
    value: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.low > 0 or self.high < 0


class CampaignResults(_Part):
    """What came of a campaign, by intention to treat."""

    as_of: Timestamp
    final: bool
    """Whether late events can no longer change it."""
    treated: GroupOutcome
    control: GroupOutcome
    left: int
    """Members who were erased since: they are in neither group."""
    conversion: Effect | None
    """None: see `missing`."""
    net_spend: Effect | None
    missing: tuple[str, ...] = ()
    """What is missing for an effect that is not there, in words."""


class Campaign(_Part):
    """The value of one field of the hash `<prefix>:campaigns`; the field is the name."""

    v: int = 1
    name: CampaignName
    number: str
    """Names its members' key, and nothing else."""
    audience: str
    condition: str
    """Of the audience, as it was when it was frozen."""
    days: Annotated[int, Field(ge=1, le=MAX_DAYS)]
    control_share: float
    created_at: Timestamp
    audience_size: int
    without_consent: int
    """Members of the audience who refused; they are in neither group."""
    consent_unknown: int
    """Likewise those of whom nothing is known, where settings leave these out."""
    treated: int
    control: int
    expected: Expected
    started_at: Timestamp | None = None
    """From when on purchases count; None: not yet started."""
    ends_at: Timestamp | None = None
    """Purchases from then on do not count."""
    stopped: bool = False
    """Whether somebody ended it before its days were over."""
    log_identity: str = ""
    positions: Mapping[int, int] = {}
    """Where the log is read from, by partition: what happened from `started_at` on stands there or behind."""
    results: CampaignResults | None = None

    def encode(self) -> bytes:
        """As it is stored."""
        return self.model_dump_json().encode()
