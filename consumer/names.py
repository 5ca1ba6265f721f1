"""What segments are called now: what was worked out, unless somebody gave them a name of their own."""

from collections.abc import Mapping

from contracts.segment_names import OwnName, read_own, told_apart


class Names(dict[int, str]):
    """Every segment name known, also of versions before, by id.

    An own name stays whatever is learnt, and no other segment has it.
    """

    def __init__(self, learned: Mapping[int, str]) -> None:
        super().__init__(learned)
        self._learned = dict(learned)
        self._own: dict[int, OwnName] = {}

    def learn(self, names: Mapping[int, str]) -> None:
        """Take over names that were worked out."""
        self._learned.update(names)
        self._refresh()

    def take_over(self, stored: Mapping[int, bytes]) -> bool:
        """Take over the names that users gave; those no longer among them go. Returns whether any name is another."""
        before = dict(self)
        self._own = {segment: own for segment, value in stored.items() if (own := read_own(value)) is not None}
        self._refresh()
        return dict(self) != before

    def strategy(self, segment: int, learned: str) -> str:
        """What to do about a segment: the user's own, else what was worked out."""
        own = self._own.get(segment)
        return learned if own is None or own.strategy is None else own.strategy

    def _refresh(self) -> None:
        self.clear()
        self.update({segment: told_apart(segment, name, self._own) for segment, name in self._learned.items()})
        self.update({segment: own.name for segment, own in self._own.items() if own.name is not None})
