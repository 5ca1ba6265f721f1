"""What one step of events did to rows, for all that follows from them."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from consumer.exposures import Tally
from consumer.row_store import Rows


class Ignored(StrEnum):
    """Why a valid event changed nothing. Counted, and no dead letter: this is what the rules are for."""

    REPEATED = "repeated"
    LATE = "late"
    ERASED = "erased"
    CLOSED = "closed"
    ACTIVE = "active"
    """Of an erasure for silence: the customer is not silent any more."""
    SEPARATE = "separate"
    """Of an erasure that follows from a customer's: the id was not that customer's then."""
    ELSEWHERE = "elsewhere"
    """Handed over in another deployment that reads the same log."""


@dataclass(slots=True)
class Before:
    """The kept lines of a row before this step: what the sums over items have of it."""

    heads: bytes
    lines: bytes
    appended: int | None = 0
    """How many lines were appended since; None where some were put between, so that anything may have moved."""


@dataclass(frozen=True, slots=True)
class Sold:
    """Purchases and returns, as columns of one length."""

    rows: Rows
    net: npt.NDArray[np.int64]
    """Millionths; below 0 for a return."""
    is_purchase: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Told:
    """An event of our own, that is to stand on the log before the position passes what caused it."""

    customer_id: str
    value: bytes


@dataclass(slots=True)
class Applied:
    """What one step did to the rows."""

    causes: dict[int, int] = field(default_factory=dict)
    """The changed rows, with the type of the event that changed each last."""
    before: dict[int, Before] = field(default_factory=dict)
    """The changed and removed rows as they were; rows that are new are missing."""
    removed: list[tuple[int, str]] = field(default_factory=list)
    """Erased rows with their customers' ids: detached, still readable, to be released by the caller."""
    ignored: Counter[Ignored] = field(default_factory=Counter)
    accepted: Counter[int] = field(default_factory=Counter)
    evicted: int = 0
    """Ids let go because a row may keep only so many: from there on its order of arrival matters."""
    unattributed: int = 0
    """Interactions because of which a row let go of impressions that more might have become of."""
    feedback: dict[int, Tally] = field(default_factory=dict)
    """By partition, what changes in the numbers of impressions."""
    newest: dict[int, int] = field(default_factory=dict)
    """The newest time of an event that counted, by partition."""
    purchases: Counter[int] = field(default_factory=Counter)
    """Purchases that counted, by partition."""
    sold: Sold | None = None
    """The purchases and returns that counted, but for those of customers erased in this step."""
    told: list[Told] = field(default_factory=list)
    borrowed: list[int] = field(default_factory=list)
    """Rows that were needed for this step alone: to be released by the caller."""
    crowded: int = 0
    """Ids that no longer count for their customer, because too many are joined."""
