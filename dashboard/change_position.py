"""How far somebody has read the log of changes, as a text that a client keeps for us."""

from dataclasses import dataclass
from typing import Self


class PositionTextError(ValueError):
    """The text is not one of ours."""


@dataclass(slots=True)
class ChangePosition:
    """Of each partition the position to go on from; None: its beginning."""

    identity: str
    """Of the log."""
    next: list[int | None]

    @classmethod
    def beginning(cls, identity: str, partitions: int) -> Self:
        """Before the first change that the log still holds."""
        return cls(identity, [None] * partitions)

    @classmethod
    def read(cls, text: str) -> Self:
        """What `str` wrote. Raises PositionTextError.

        >>> str(ChangePosition.read("kT3.ff-0-"))
        'kT3.ff-0-'
        """
        identity, dot, rest = text.rpartition(".")
        try:
            if not dot or len(text) > MAX_TEXT:
                raise PositionTextError
            return cls(identity, [int(part, 16) if part else None for part in rest.split("-")])
        except ValueError:
            raise PositionTextError(f"{text[:40]!r} is no id of a change event") from None

    def __str__(self) -> str:
        return f"{self.identity}.{'-'.join('' if one is None else f'{one:x}' for one in self.next)}"

    def reaches(self, floor: list[int]) -> bool:
        """Whether nothing below these positions is still to be read."""
        return all(one is not None and one >= least for one, least in zip(self.next, floor, strict=True))

    def is_past(self, partition: int, position: int) -> bool:
        """Whether the record was read already."""
        at = self.next[partition]
        return at is not None and position < at


MAX_TEXT = 32_768
"""Characters: a thousand partitions."""
