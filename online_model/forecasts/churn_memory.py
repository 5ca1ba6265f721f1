"""What is learnt of churn as bytes, and back: the next leader goes on from it as if nothing had happened.

river's models are pickled. What is read back may hold classes of river and a few of Python's own, and nothing else: no
function can be called by it.
"""

import pickle
import zlib
from typing import Any, Final, TypeVar

import msgspec
import numpy as np
from river.__version__ import __version__ as river_version

from contracts.errors import LivesegmentsError
from online_model.forecasts.churn import Churn, Cohort, Keys
from online_model.forecasts.churn_features import CHURN_FEATURES
from online_model.forecasts.churn_learners import LEARNERS
from online_model.forecasts.live_scores import CELLS, LiveScores

_OF_PYTHON: Final = frozenset(
    {
        ("builtins", "float"),
        ("collections", "Counter"),
        ("collections", "OrderedDict"),
        ("collections", "defaultdict"),
        ("random", "Random"),
    }
)


Object = TypeVar("Object")


class ChurnMemoryError(LivesegmentsError):
    """What was learnt of churn can not be read: another version of river wrote it, or something else did."""


class _Cohort(msgspec.Struct, frozen=True):
    start: int
    customers: bytes
    X: bytes
    stated: dict[str, bytes]
    shown: bool
    back: bytes = b""
    """A byte each; empty where an earlier version wrote it, which did not look before windows were over."""


class _Memory(msgspec.Struct, frozen=True):
    river: str
    features: tuple[str, ...]
    days: int
    seed: int
    turned_at: int | None
    outcomes: tuple[int, int]
    drifts: dict[str, list[int]]
    models: dict[str, bytes]
    detectors: dict[str, bytes]
    losses: dict[str, float]
    counts: dict[str, bytes]
    stated: dict[str, bytes]
    cohorts: list[_Cohort]
    recent: dict[str, bytes] = {}
    """Empty where an earlier version wrote it."""


_decode = msgspec.msgpack.Decoder(_Memory).decode


def encode(churn: Churn) -> bytes:
    """All of it."""
    learners, scores = churn.learners.items(), churn.scores.items()
    return zlib.compress(
        msgspec.msgpack.encode(
            _Memory(
                river=river_version,
                features=CHURN_FEATURES,
                days=churn.days,
                seed=churn.seed,
                turned_at=churn.turned_at,
                outcomes=(int(churn.outcomes[0]), int(churn.outcomes[1])),
                drifts={kind: list(days) for kind, days in churn.drifts.items()},
                models={kind: pickle.dumps(learner.model, 5) for kind, learner in learners},
                detectors={kind: pickle.dumps(one, 5) for kind, one in churn.detectors.items()},
                losses={kind: one.loss for kind, one in scores},
                counts={kind: one.counts.tobytes() for kind, one in scores},
                stated={kind: one.stated.tobytes() for kind, one in scores},
                cohorts=[_packed(one) for one in churn.open.values()],
                recent={kind: losses.tobytes() for kind, losses in churn.recent.items()},
            )
        ),
        1,
    )


def decode(memory: bytes) -> Churn:
    """What `encode` was given. Raises ChurnMemoryError."""
    try:
        return _churn_of(_decode(zlib.decompress(memory)))
    except ChurnMemoryError:
        raise
    except Exception as error:  # a pickle of what is gone raises what it likes: AttributeError, ImportError and others
        raise ChurnMemoryError(f"what was learnt of churn can not be read: {error}") from error


def _churn_of(found: _Memory) -> Churn:
    if (found.river, found.features) != (river_version, CHURN_FEATURES):
        raise ChurnMemoryError(f"churn was learnt with river {found.river} on other features than now")
    churn = Churn(found.seed, found.days, turned_at=found.turned_at)
    for kind in LEARNERS:
        churn.learners[kind].model = _unpickled(found.models[kind], type(churn.learners[kind].model))
        churn.detectors[kind] = _unpickled(found.detectors[kind], type(churn.detectors[kind]))
        churn.drifts[kind] = found.drifts[kind]
        churn.scores[kind] = _scores(found, kind)
        churn.recent[kind] = np.frombuffer(found.recent.get(kind, b""))
    churn.outcomes[:] = found.outcomes
    churn.open = {one.start: _cohort(one) for one in found.cohorts}
    return churn


def waiting_in(memory: bytes) -> Keys:
    """Customers in open windows, (customers,); nothing of river's is read for that. Raises ChurnMemoryError."""
    try:
        cohorts = _decode(zlib.decompress(memory)).cohorts
        return np.concatenate([np.zeros(0, np.uint64), *(np.frombuffer(one.customers, np.uint64) for one in cohorts)])
    except (msgspec.MsgspecError, zlib.error, ValueError) as error:
        raise ChurnMemoryError(f"open windows of churn can not be read: {error}") from error


def _packed(cohort: Cohort) -> _Cohort:
    stated: dict[str, bytes] = {kind: said.astype(np.float32).tobytes() for kind, said in cohort.stated.items()}
    X = cohort.X.astype(np.float32).tobytes()
    return _Cohort(cohort.start, cohort.customers.tobytes(), X, stated, cohort.shown, cohort.back.tobytes())


def _cohort(packed: _Cohort) -> Cohort:
    customers: Keys = np.frombuffer(packed.customers, np.uint64)
    X = np.frombuffer(packed.X, np.float32).astype(np.float64).reshape(len(customers), len(CHURN_FEATURES))
    stated = {kind: np.frombuffer(packed.stated[kind], np.float32).astype(np.float64) for kind in LEARNERS}
    back = np.frombuffer(packed.back, np.bool_) if packed.back else np.zeros(len(customers), np.bool_)
    if {len(back), *map(len, stated.values())} != {len(customers)}:
        raise ChurnMemoryError(f"a window of {len(customers)} customers has columns of other lengths")
    return Cohort(packed.start, customers, X, stated, packed.shown, back)


def _scores(memory: _Memory, kind: str) -> LiveScores:
    scores = LiveScores()
    scores.counts = np.frombuffer(memory.counts[kind], np.int64).reshape(2, CELLS).copy()
    scores.stated = np.frombuffer(memory.stated[kind]).copy()
    scores.loss = memory.losses[kind]
    return scores


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _OF_PYTHON:
            return super().find_class(module, name)
        if module.split(".", 1)[0] == "river":
            found = super().find_class(module, name)
            if isinstance(found, type) and found.__module__.split(".")[0] in {"river", "builtins"}:
                return found
        raise pickle.UnpicklingError(f"{module}.{name} is nothing that a model of churn is made of")


class _Data:
    """Bytes as `pickle` wants to read them: nothing in this package knows files."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def read(self, size: int) -> bytes:
        """So many."""
        self._place += size
        return self._data[self._place - size : self._place]

    def readline(self) -> bytes:
        """Up to the end of a line."""
        end = self._data.find(b"\n", self._place) + 1
        return self.read((end or len(self._data)) - self._place)


def _unpickled(data: bytes, kind: type[Object]) -> Object:
    found = _Unpickler(_Data(data)).load()
    if not isinstance(found, kind):
        raise ChurnMemoryError(f"a {type(found).__name__} is where a {kind.__name__} is expected")
    return found
