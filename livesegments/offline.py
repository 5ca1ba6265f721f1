"""What may be done only while no worker works."""

from consumer.state import State
from contracts.errors import LivesegmentsError
from contracts.keys import Keys
from livesegments.worker_status import is_gone, read_status


class WorkersRunningError(LivesegmentsError):
    """Workers hold the rows that are to be written past them."""


class PrefixInUseError(LivesegmentsError):
    """There are rows already where others are to be written."""


def refuse_workers(state: State, now: int) -> None:
    """Raise WorkersRunningError where a worker works, as far as the state says; `now` in microseconds UTC."""
    statuses = [read_status(document) for document in state.workers().values()]
    working = sorted(status.worker for status in statuses if status is not None and not is_gone(status, now))
    if working:
        raise WorkersRunningError(
            f"workers are running ({', '.join(working)}): stop them first. One that was killed counts as running until"
            " it has been silent for three figures_interval, and for five seconds"
        )


def refuse_rows(state: State, keys: Keys, partitions: int) -> None:
    """Raise PrefixInUseError where the prefix has rows or a model."""
    if state.model() is not None or any(_begun(state, number) for number in range(partitions)):
        raise PrefixInUseError(
            f"the prefix {keys.prefix!r} is in use: give another --key-prefix, or --replace to let go of what is there"
        )


def _begun(state: State, partition: int) -> bool:
    meta = state.meta(partition)
    return meta is not None and (meta.seq > 0 or meta.layout > 0)
