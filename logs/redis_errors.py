"""Which of Redis' errors trying again later may cure: a server that is gone, full, starting, or changing its role."""

from typing import Final

from redis import exceptions as failures

_PASSING: Final = (
    failures.ConnectionError,  # BusyLoadingError, too
    failures.TimeoutError,
    failures.OutOfMemoryError,
    failures.ReadOnlyError,
    failures.ClusterDownError,  # MasterDownError, too
    failures.TryAgainError,
)
"""What redis-py knows by a class of its own: it takes the code off their texts."""
_CODES: Final = (
    "OOM",
    "MISCONF",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "MASTERDOWN",
    "NOREPLICAS",
    "LOADING",
    "READONLY",
)


def may_pass(error: failures.RedisError) -> bool:
    """Whether the same call may succeed later."""
    return isinstance(error, _PASSING) or _answer(error).startswith(_CODES)


def _answer(error: failures.RedisError) -> str:
    """What the command that failed answered.

    Redis 6.2 hides that of one in a script behind words of its own, redis-py that of one in a pipeline.
    """
    said = str(error).rpartition("of pipeline caused error: ")[2]
    return said.rpartition(": -")[2] if said.startswith("Error running script") else said
