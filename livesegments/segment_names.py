"""What segments are called, also those that older model versions had."""

from consumer.state import State
from contracts.model import ModelDocument
from online_model.model import SPECIAL_SEGMENTS


class SegmentNames:
    """The names of segments by id: the newest version that has the segment says."""

    def __init__(self, state: State, model: ModelDocument | None) -> None:
        self._state = state
        self._names = dict(SPECIAL_SEGMENTS)
        self._oldest = model.version if model else 0
        if model:
            self._take(model)

    def name(self, segment_id: int) -> str | None:
        """The name; None for an id that no stored version has."""
        while segment_id not in self._names and self._oldest > 1:
            self._oldest -= 1
            document = self._state.old_model(self._oldest)
            if document is not None:
                self._take(ModelDocument.model_validate_json(document))
        return self._names.get(segment_id)

    def _take(self, model: ModelDocument) -> None:
        for segment in model.segments:
            self._names.setdefault(segment.id, segment.name)
