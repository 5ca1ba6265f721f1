"""What segments are called, also those that older model versions had."""

from consumer.state import State
from contracts.model import ModelDocument
from contracts.segment_names import OwnName, read_own, told_apart
from online_model.by_rule import RULE_SEGMENTS
from online_model.model import OUT_OF_SCOPE, SPECIAL_SEGMENTS


class SegmentNames:
    """The names of segments by id: a user's own, else as the newest version that has the segment says."""

    def __init__(
        self, state: State, model: ModelDocument | None, out_of_scope: str = SPECIAL_SEGMENTS[OUT_OF_SCOPE]
    ) -> None:
        self._state = state
        self._own = own_names(state)
        self._learned = {
            **SPECIAL_SEGMENTS,
            OUT_OF_SCOPE: out_of_scope,
            **{segment: named.name for segment, named in RULE_SEGMENTS.items()},
        }
        self._oldest = model.version if model else 0
        if model:
            self._take(model)

    def name(self, segment_id: int) -> str | None:
        """The name; None for an id that no stored version has."""
        own = self._own.get(segment_id)
        if own is not None and own.name is not None:
            return own.name
        while segment_id not in self._learned and self._oldest > 1:
            self._oldest -= 1
            document = self._state.old_model(self._oldest)
            if document is not None:
                self._take(ModelDocument.model_validate_json(document))
        name = self._learned.get(segment_id)
        return None if name is None else told_apart(segment_id, name, self._own)

    def told(self, segment_id: int) -> str:
        """The name, or the id where there is none."""
        return self.name(segment_id) or f"Segment {segment_id}"

    def _take(self, model: ModelDocument) -> None:
        for segment in model.segments:
            self._learned.setdefault(segment.id, segment.name)


def own_names(state: State) -> dict[int, OwnName]:
    """What users call segments, by id; what can not be read is left out, as workers leave it out."""
    return {segment: own for segment, value in state.segment_names().items() if (own := read_own(value)) is not None}
