"""What people ask of the leader: to pin, to roll back, to adopt what was tried out. Executed between its decisions."""

from dataclasses import dataclass, replace
from typing import Final

import structlog
from pydantic import ValidationError

from consumer.figures import ShopFigures
from consumer.leading_sample import Sampler
from consumer.patience import PASSING
from consumer.reviewing import Reviewing
from consumer.state import State, StateError
from contracts.errors import LivesegmentsError
from contracts.model_requests import ModelRequest
from online_model.agreement import shared_members
from online_model.model import SegmentModel
from online_model.settings import ModelSettings
from online_model.trial import rolled_back

PIN: Final = "pin"
"""The note that holds the pinned version."""
_MOST_ANSWERS: Final = 100
"""Answers that nobody fetches are kept no longer than this."""

_log = structlog.get_logger("livesegments.leader")


class RefusedError(LivesegmentsError):
    """A request that can not be done; the text says why, and what can."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that is to be done now."""

    request_id: str
    request: ModelRequest
    proposed: SegmentModel | None
    """The version that is to be published for it; None where it needs none."""
    message: str
    """What is to be answered once it is done."""


class ModelRequests:
    """Reads requests and answers them. The pin is a note: it holds whoever leads."""

    def __init__(self, state: State, sampler: Sampler, settings: ModelSettings, reviewing: Reviewing) -> None:
        self._state = state
        self._sampler = sampler
        self._settings = settings
        self._reviewing = reviewing
        self.pinned: int | None = None
        """The version that no other is to follow."""

    def take_over(self, note: bytes | None) -> None:
        """Go on where the last leader stopped."""
        self.pinned = int(note) if note is not None else None

    def next(self, model: SegmentModel | None, shop: ShopFigures, now: int) -> Asked | None:
        """The oldest request that needs doing; those that can not be done are answered at once."""
        for request_id, request in self._open():
            try:
                return Asked(request_id, request, *self._prepare(request, model, shop, now))
            except RefusedError as error:
                message = str(error)
            except (StateError, *PASSING):
                raise
            except Exception as error:  # noqa: BLE001 - or whoever leads would fail at it again and again
                _log.exception("a request failed", kind=request.kind)
                message = f"the worker failed at it ({type(error).__name__}: {error}); its log says more"
            self._answer(request_id, request.answered(message, model.version if model else None, done=False))
        return None

    def done(self, asked: Asked, version: int) -> None:
        """Carry out what is to be noted, and say that it is done; `version` is in force."""
        kind = asked.request.kind
        if kind == "pin":
            self._pin(version)
        elif kind == "unpin":
            self._pin(None)
        elif kind == "review":
            self._reviewing.want()
        elif kind in {"shadow", "shadow-off"}:
            self._reviewing.order_shadow(asked.request.shadow)
            self._reviewing.want()
        self._answer(asked.request_id, asked.request.answered(asked.message, version))

    def _open(self) -> list[tuple[str, ModelRequest]]:
        found: list[tuple[int, str, ModelRequest]] = []
        answered: list[tuple[int, str]] = []
        for request_id, stored in self._state.requests().items():
            try:
                request = ModelRequest.model_validate_json(stored)
            except ValidationError:
                self._state.put_request(
                    request_id, None
                )  # of a newer livesegments: its sender waits in vain, and says so
                continue
            if request.answer is None:
                found.append((request.asked_at, request_id, request))
            else:
                answered.append((request.asked_at, request_id))
        for _, request_id in sorted(answered)[:-_MOST_ANSWERS]:
            self._state.put_request(request_id, None)
        return [(request_id, request) for _, request_id, request in sorted(found, key=lambda one: one[:2])]

    def _prepare(
        self, request: ModelRequest, model: SegmentModel | None, shop: ShopFigures, now: int
    ) -> tuple[SegmentModel | None, str]:
        """The version to publish and the answer. Raises RefusedError."""
        if model is None:
            raise RefusedError("there is no model yet: it needs customers who bought")
        if request.kind == "adopt":
            return self._adopted(request, model, shop, now)
        if request.kind in {"pin", "rollback"}:
            return self._held(request, model, shop, now)
        return None, {
            "unpin": "nothing was pinned" if self.pinned is None else "the model learns again",
            "review": "a review begins",
            "shadow": "the shadow learns; `livesegments model review` shows how it does",
            "shadow-off": "the shadow is gone",
        }[request.kind]

    def _held(
        self, request: ModelRequest, model: SegmentModel, shop: ShopFigures, now: int
    ) -> tuple[SegmentModel | None, str]:
        """A pin, which may be one of an old version, or a roll-back, which is not one."""
        pin = request.kind == "pin"
        if request.version in {None, model.version}:
            if not pin:
                raise RefusedError(f"version {model.version} is in force: name an older one")
            return None, f"version {model.version} is pinned"
        if not pin and self.pinned is not None:
            raise RefusedError(f"version {model.version} is pinned: `livesegments model unpin` first")
        back = self._back(request.version or 0, model, shop, now)
        return back, f"version {back.version} brings back version {request.version}{' and is pinned' if pin else ''}"

    def _back(self, version: int, model: SegmentModel, shop: ShopFigures, now: int) -> SegmentModel:
        document = self._state.old_model(version) if version < model.version else None
        if document is None:
            raise RefusedError(f"there is no version {version} any more: `livesegments model list` shows what there is")
        old = SegmentModel.read(document)
        if (old.requested or old.features) != self._settings.request.signature:
            raise RefusedError(
                f"version {version} compares customers by {', '.join(old.features)}: set `features` (and `scaling`, and"
                " `attribute_options`) to that first, and restart the workers"
            )
        sample = self._sampler.sample(shop, now)
        before = model.assign(model.features_of(sample.columns, now))
        after = old.assign(old.features_of(sample.columns, now))
        shared = shared_members(before, after, model.k, old.k)
        return rolled_back(model, old, shop.purchases, now, settings=self._settings, shared=shared)

    def _adopted(
        self, request: ModelRequest, model: SegmentModel, shop: ShopFigures, now: int
    ) -> tuple[SegmentModel | None, str]:
        if request.candidate is None:
            raise RefusedError("there is nothing to adopt")
        candidate = SegmentModel.from_document(request.candidate)
        if _is_in_force(candidate, model):  # the state failed before the answer
            return None, f"version {model.version} is adopted"
        if self.pinned is not None:
            raise RefusedError(f"version {model.version} is pinned: `livesegments model unpin` first")
        if candidate.version != model.version + 1:
            raise RefusedError(f"version {model.version} has been adopted meanwhile: try again")
        if (candidate.requested or candidate.features) != self._settings.request.signature:
            raise RefusedError(
                f"the workers compare customers by {', '.join(model.features)}: change the setting `features` (or"
                " `scaling`) to what was tried and restart them, and the next review adopts such segments; ids stay"
                " with the people"
            )
        auto = request.k in {"auto", str(self._settings.k)}
        adopted = replace(
            candidate,
            adopted_at=now,
            purchases=shop.purchases,
            k_instead_of="" if auto else str(self._settings.k),
        )
        return adopted, f"version {adopted.version} is adopted"

    def _pin(self, version: int | None) -> None:
        self._state.put_note(PIN, None if version is None else str(version).encode())
        self.pinned = version

    def _answer(self, request_id: str, request: ModelRequest) -> None:
        if request_id in self._state.requests():  # who asked may have stopped waiting
            self._state.put_request(request_id, request.model_dump_json().encode())


def _is_in_force(candidate: SegmentModel, model: SegmentModel) -> bool:
    """Whether the model is what was asked for, but for what is noted when it is adopted."""
    if candidate.version != model.version:
        return False
    noted = replace(candidate, adopted_at=model.adopted_at, purchases=model.purchases, k_instead_of=model.k_instead_of)
    return noted.to_document() == model.to_document()
