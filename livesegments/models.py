"""Model versions as an operator sees them: which there are, and requests that the leader carries out."""

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Final

from consumer.state import State
from contracts.errors import LivesegmentsError
from contracts.model import ModelDocument
from contracts.model_requests import ModelAnswer, ModelRequest

_WAITS: Final = (0.02, 0.05, 0.1, 0.2, 0.5)
"""Seconds between looks."""


class NoSuchVersionError(LivesegmentsError):
    """A version that is not stored, or not stored any more."""


class NotDoneError(LivesegmentsError):
    """The leader refused a request, or no worker took it."""


def version_of(state: State, version: int | None = None) -> ModelDocument:
    """One version; the one in force without a number. Raises NoSuchVersionError."""
    document = state.model() if version is None else state.old_model(version)
    if document is None and version is None:
        raise NoSuchVersionError("there is no model yet: it needs a worker, and customers who bought")
    if document is None:
        raise NoSuchVersionError(f"there is no version {version}: `livesegments model list` shows those that are kept")
    return ModelDocument.model_validate_json(document)


def versions(state: State) -> Iterator[ModelDocument]:
    """All that are kept, the newest first."""
    newest = state.model()
    if newest is None:
        return
    document = ModelDocument.model_validate_json(newest)
    yield document
    for version in range(document.version - 1, int(state.notes().get("oldest", b"1")) - 1, -1):
        older = state.old_model(version)
        if older is not None:
            yield ModelDocument.model_validate_json(older)


def pinned_version(state: State) -> int | None:
    """The version that is pinned; None: none is."""
    note = state.notes().get("pin")
    return int(note) if note is not None else None


def ask(state: State, request: ModelRequest) -> str:
    """Put a request to the leader; returns its id."""
    request_id = uuid.uuid4().hex
    state.put_request(request_id, request.model_dump_json().encode())
    return request_id


def wait_until_answered(
    state: State,
    request_id: str,
    timeout: float,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> ModelAnswer:
    """The answer, fetched from the leader within so many seconds. Raises NotDoneError.

    A request that nobody answered in time is taken back: it is not to surprise anybody later.
    """
    deadline = monotonic() + timeout
    looks = 0
    while True:
        stored = state.requests().get(request_id)
        answer = ModelRequest.model_validate_json(stored).answer if stored is not None else None
        late = monotonic() >= deadline
        if answer is not None or late:
            state.put_request(request_id, None)
        if answer is not None:
            if not answer.done:
                raise NotDoneError(answer.message)
            return answer
        if late:
            raise NotDoneError(
                f"no worker took the request within {timeout:g} s, so it was taken back: start a worker, or see by"
                " `livesegments watch` what the running one is busy with"
            )
        sleep(_WAITS[min(looks, len(_WAITS) - 1)])
        looks += 1
