"""Events on their way into a step: polled, kept back, decoded; where there are many, while the last one is written."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

import structlog

from consumer.batches import Backlog
from consumer.decoding import Decoder
from consumer.event_columns import Decoded
from consumer.event_order import EventOrder
from consumer.held import Held
from logs.base import Batch, LogReader, Polled

_GATHER: Final = 1.0
"""Seconds for which an event clock waits for partitions that have records and have not delivered any."""
_FEW: Final = 1_000
"""So many records are decoded when their step begins, with those that have come until then: looking ahead would gain
little, and the next ones would have to wait for another step."""
_NEWEST: Final = 0.003
"""Seconds for which a step waits for the newest records where few came at once: those were asked for when the step
before began, and what has come since would have to wait for another step ..."""
_FEWER: Final = 0.5
"""... few: less than such a share of what the step before had. Else they have just come, and nothing is waited for."""
_SILENCE: Final = 1.0
"""Seconds without an answer from the log that are worth a word."""

_log = structlog.get_logger("livesegments.worker")


class Intake:
    """What one worker reads. Changes of assignment are handed out once, and only what is held is kept.

    Parameters:
        held: the partitions held, kept up to date by the worker.
        batch_events: most records of a partition in one step.
        interval: with an event clock, what a step takes of each partition at most, microseconds; None: by the wall.
        stopping: when set, nothing is waited for.
    """

    def __init__(
        self,
        reader: LogReader,
        decoder: Decoder,
        held: Mapping[int, Held],
        *,
        batch_events: int,
        interval: int | None,
        monotonic: Callable[[], float],
        stopping: threading.Event,
    ) -> None:
        self._reader = reader
        self._decoder = decoder
        self._held = held
        self._monotonic = monotonic
        self._stopping = stopping
        self._backlog = Backlog(batch_events)
        self._order = EventOrder(interval) if interval is not None else None
        self._ahead: list[tuple[Batch, Decoded]] = []
        """Batches of the next step, decoded while the state wrote the last one."""
        self._unheard: Polled | None = None
        """A change of assignment that was polled ahead."""
        self._silent = False
        self._taken = 0
        """Records of the last step."""

    # ---- what there is ----

    @property
    def waiting(self) -> bool:
        """Whether records are here that are to be worked on."""
        return bool(self._backlog or self._ahead or self._order)

    @property
    def unassigned(self) -> bool:
        """Whether the group is handing partitions out just now, or has and nobody has heard."""
        return self._unheard is not None or self._reader.rebalancing

    @property
    def log_answers(self) -> bool:
        """Whether the log's server does."""
        return self._reader.failing_since is None

    @property
    def on_log(self) -> int | None:
        """Records that the log still has for us; None while that is unknown."""
        lag = self._reader.lag()
        return None if lag is None else sum(lag.values())

    @property
    def at_rest(self) -> bool:
        """Whether the log has nothing more for us."""
        return self.on_log == 0

    @property
    def lags(self) -> dict[int, int] | None:
        """Records not worked on yet, here or on the log, by partition; None while that is unknown."""
        on_log = self._reader.lag()
        if on_log is None:
            return None
        lags = Counter(on_log)
        for here in (self._backlog.sizes(), self._order.sizes() if self._order is not None else {}):
            lags.update(here)
        for batch, _ in self._ahead:
            lags[batch.partition] += len(batch)
        return dict(lags)

    @property
    def left(self) -> int | None:
        """Records, here or on the log, that another step like the last would leave; None while that is unknown."""
        lags = self.lags
        return None if lags is None else max(0, sum(lags.values()) - self._taken)

    # ---- reading ----

    def poll(self, timeout: float) -> Polled:
        """Changes of assignment, and records for `receive`: at most `timeout` seconds later, at once if some wait."""
        polled, self._unheard = self._unheard, None
        if polled is not None:
            self._report_silence()
            return polled
        enough = self.waiting and not self._few
        if enough and not self._reader.rebalancing:
            return Polled()
        polled = self._reader.poll(0.0 if self.waiting else timeout)
        records = sum(map(len, polled.batches))
        steady = self._calm and not (polled.assigned or polled.revoked)
        if steady and 0 < records < min(_FEWER * self._taken, _FEW):
            newest = self._reader.poll(_NEWEST)
            polled = Polled([*polled.batches, *newest.batches], newest.assigned, newest.revoked)
        self._report_silence()
        return polled

    @property
    def _calm(self) -> bool:
        """Whether all there is fits into a step with room to spare: then what comes last need not wait for the next."""
        return self._order is None and self._taken < _FEW and not self._ahead

    def receive(self, polled: Polled) -> None:
        """Keep what was polled of partitions that are held now."""
        for batch in polled.batches:
            if batch.partition in self._held:
                self._backlog.add(batch)

    def look_ahead(self) -> None:
        """Poll and decode for the next step. A change of assignment has to wait for that."""
        if self._ahead or self._unheard is not None or (self._calm and not self.waiting):
            return
        if not self.waiting and not self._poll_ahead(0.0):
            return
        if not self._few:
            self._ahead = self._decode_next()

    @property
    def _few(self) -> bool:
        """Whether there is room for more in the next step. An event clock takes no more than its interval."""
        return self._order is None and not self._ahead and len(self._backlog) < _FEW

    @property
    def goes_on(self) -> bool:
        """Whether the next step is here, decoded, and nothing else has to come before it.

        By an event clock sweeps have; and a change of assignment always has.
        """
        return bool(self._ahead) and self._order is None and not self.unassigned

    def take(self) -> list[tuple[Batch, Decoded]]:
        """The next step's batches, one of each partition that has any."""
        work = self._ahead or self._decode_next()
        self._ahead = []
        self._taken = sum(len(batch) for batch, _ in work)
        return work

    def drop(self, partition: int) -> None:
        """Forget what is here of a partition."""
        self._backlog.drop(partition)
        if self._order is not None:
            self._order.drop(partition)
        self._ahead = [pair for pair in self._ahead if pair[0].partition != partition]

    def _decode_next(self) -> list[tuple[Batch, Decoded]]:
        if self._order is not None:
            self._gather()
        event_bytes = {number: held.event_bytes for number, held in self._held.items()}
        batches = self._backlog.take(event_bytes, self._order or ())
        decoded = list(zip(batches, self._decoder.decode_each(batches), strict=True))
        if self._order is None:
            return decoded
        for batch, events in decoded:
            self._order.add(batch, events)
        return self._order.take()

    def _poll_ahead(self, timeout: float) -> bool:
        """Poll out of turn. False: the assignment changes, which has to wait for the next step."""
        polled = self._reader.poll(timeout)
        if polled.assigned or polled.revoked:
            self._unheard = polled
            return False
        self.receive(polled)
        return True

    def _gather(self) -> None:
        """With an event clock: have records of every partition that has any, or their time would pass unseen."""
        end = self._monotonic() + _GATHER
        while self.waiting and self._unheard is None and self._monotonic() < end and not self._stopping.is_set():
            lag = self._reader.lag()
            here = [number for number in self._held if number in self._backlog or number in (self._order or ())]
            if lag is not None and not any(lag.get(number) for number in set(self._held).difference(here)):
                return
            self._poll_ahead(_GATHER / 10)

    def _report_silence(self) -> None:
        since = self._reader.failing_since
        if since is None:
            if self._silent:
                _log.info("the log answers again")
            self._silent = False
        elif not self._silent and self._monotonic() - since > _SILENCE:
            self._silent = True
            _log.warning("the log does not answer; trying again")
