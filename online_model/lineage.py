"""Where the segments of a version come from: continued, split off, born, restored; and where those that ended went."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from online_model.arrays import Integers

Kind = Literal["continued", "split", "born", "restored", "merged", "gone"]
_MOST: Final = 0.5
"""A segment that has so much of another's members, or so many of its own from there, is its part or its heir."""
_MENTIONED: Final = 0.01
"""Smaller shares are not named."""


@dataclass(frozen=True, slots=True)
class Descent:
    """One segment's place in the history of segments."""

    segment_id: int
    name: str
    kind: Kind
    """Of segments in the new version: *continued* (its id was there before), *split* (most of its members come from one
    other segment), *born* (they come from several, or from none), *restored* (brought back by a roll-back). Of segments
    that ended: *merged* (most of its members are now in one other segment), *gone* (they are scattered)."""
    origins: tuple[tuple[int, float], ...] = ()
    """Of a segment in the new version: old segment ids and the shares of its members that come from them."""
    heirs: tuple[tuple[int, float], ...] = ()
    """Of one that ended: new segment ids and the shares of its members that are now there."""


def lineage(
    before: Sequence[tuple[int, str]], after: Sequence[tuple[int, str]], shared: Integers, first_new_id: int
) -> tuple[Descent, ...]:
    """The descent of every segment of the new version, in its order, then of those that ended.

    `before` and `after` are ids and names; `shared` (before, after) counts common members; ids below `first_new_id` are
    known from earlier versions.
    """
    old_ids, new_ids = [one for one, _ in before], [one for one, _ in after]
    found: list[Descent] = []
    for place, (segment_id, name) in enumerate(after):
        origins = _shares(old_ids, shared[:, place].tolist())
        kind: Kind = "continued"
        if segment_id not in old_ids:
            kind = "split" if origins and origins[0][1] >= _MOST else "born"
            kind = kind if segment_id >= first_new_id else "restored"
        found.append(Descent(segment_id, name, kind, origins=origins))
    for place, (segment_id, name) in enumerate(before):
        if segment_id not in new_ids:
            heirs = _shares(new_ids, shared[place].tolist())
            found.append(Descent(segment_id, name, "merged" if heirs and heirs[0][1] >= _MOST else "gone", heirs=heirs))
    return tuple(found)


def named(descents: Iterable[Descent], names: Sequence[tuple[int, str]]) -> tuple[Descent, ...]:
    """The same with the names that segments have got since; those that ended keep theirs."""
    by_id = dict(names)
    return tuple(replace(one, name=by_id.get(one.segment_id, one.name)) for one in descents)


def _shares(ids: Sequence[int], counts: Sequence[int]) -> tuple[tuple[int, float], ...]:
    """The largest first."""
    whole = sum(counts)
    shares = [(one, round(count / whole, 4)) for one, count in zip(ids, counts, strict=True) if whole]
    return tuple(sorted((pair for pair in shares if pair[1] >= _MENTIONED), key=lambda pair: (-pair[1], pair[0])))
