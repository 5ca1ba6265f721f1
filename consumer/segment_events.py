"""Births and ends of segments on their way to the log `segment-changes`, at least once each, whoever leads."""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from consumer.state import State
from contracts.documents import SegmentEvent
from contracts.keys import LogNames
from contracts.times import from_micros
from logs.base import LogError, LogWriter, Placed
from online_model.model import SegmentModel

ANNOUNCED: Final = "announced"
"""The note that holds the newest version of which all is on the log."""


def events_of(model: SegmentModel) -> list[SegmentEvent]:
    """What the version did to segments. The same version gives the same ids: a repeat is known by them."""
    events = []
    for one in model.lineage:
        if one.kind == "continued":
            continue
        event = SegmentEvent(
            change_id="",
            kind=one.kind,
            segment_id=one.segment_id,
            name=one.name,
            from_segments=one.origins,
            to_segments=one.heirs,
            at=from_micros(model.adopted_at),
            model_version=model.version,
        )
        # A state that lost its last seconds may come to another decision under the same number.
        content = blake2b(event.encode(), digest_size=4).hexdigest()
        change_id = f"model-{model.version}-{one.kind}-{one.segment_id}-{content}"
        events.append(event.model_copy(update={"change_id": change_id}))
    return events


@dataclass(frozen=True, slots=True)
class _Sent:
    version: int
    futures: Sequence[Future[Placed]]


class SegmentEvents:
    """Publishes what versions did to segments, one version after the other."""

    def __init__(self, state: State, writer: LogWriter, names: LogNames) -> None:
        self._state = state
        self._writer = writer
        self._names = names
        self._announced = 0
        self._sent: _Sent | None = None
        self._behind = False

    @property
    def behind(self) -> bool:
        """Whether something is still to be acknowledged by the log."""
        return self._behind

    def take_over(self, note: bytes | None) -> None:
        """Go on where the last leader stopped."""
        self._announced = int(note or 0)
        self._sent = None

    def announce(self, model: SegmentModel) -> None:
        """Publish what versions up to this one did. Never waits: `behind` says whether to come again."""
        if self._announced > model.version:  # the state lost its last versions
            self._announced = model.version - 1
        while self._announced < model.version:
            self._sent = self._sent or self._send(self._announced + 1, model)
            if not all(future.done() for future in self._sent.futures):
                break
            sent, self._sent = self._sent, None
            if any(isinstance(future.exception(), LogError) for future in sent.futures):
                break
            self._announced = sent.version
            self._state.put_note(ANNOUNCED, str(self._announced).encode())
        self._behind = self._announced < model.version

    def _send(self, version: int, newest: SegmentModel) -> _Sent:
        model: SegmentModel | None = newest
        if version != newest.version:
            document = self._state.old_model(version)
            model = SegmentModel.read(document) if document is not None else None
        events = events_of(model) if model is not None else []
        return _Sent(
            version,
            [
                self._writer.append(self._names.changes, f"segment-{event.segment_id}".encode(), event.encode())
                for event in events
            ],
        )
