"""What became of events: by type, what changed nothing and why, what could not be used."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from contracts.documents import WorkerStatus

TYPES: Final = {
    "purchase": "Purchases",
    "return": "Returns",
    "profile": "Profiles",
    "erase": "Erasures",
    "interaction": "Shown and clicked",
    "alias": "Ids joined or split off",
    "hand_over": "Of joined ids, between workers",
}
IGNORED: Final = {
    "repeated": "Repeated",
    "late": "Too late",
    "erased": "Of erased customers",
    "closed": "Below the closed floor",
    "active": "Erasures for silence of customers who came back",
    "separate": "Erasures with a customer whose id it was not",
    "elsewhere": "Of another deployment on the same log",
}
REASONS: Final = {
    "empty": "Empty",
    "too-large": "Too large",
    "not-json": "No JSON",
    "unknown-type": "Unknown type",
    "invalid": "Invalid",
    "newer-version": "Of a newer version",
    "future": "In the future",
    "currency": "In a currency without a rate",
    "amount": "Amount too large",
    "partition": "In another partition",
    "unreadable": "No dead letter",
}


def added(workers: Sequence[WorkerStatus], what: str) -> Counter[str]:
    """What workers counted since their start, added up; `what` is events, ignored or dead_letters."""
    total: Counter[str] = Counter()
    for one in workers:
        total.update(getattr(one, what))
    return total


def ordered(counts: Mapping[str, int]) -> list[tuple[str, int, float]]:
    """What there is any of, the most frequent first: name, number, and how long its bar is beside the longest."""
    found = sorted(((name, count) for name, count in counts.items() if count), key=lambda one: (-one[1], one[0]))
    return [(name, count, count / found[0][1]) for name, count in found]
