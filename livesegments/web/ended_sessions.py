"""Who has logged out of the pages: kept in Redis, so that all processes know, also one that begins later."""

import threading
from typing import Final

import structlog

from consumer.clock import wall_micros
from consumer.state import State, StateError

LOOK_SECONDS: Final = 1.0
"""So long after a log-out another process may still let the session in."""
KEPT: Final = 10_000
"""Sessions whose end is remembered."""

_log = structlog.get_logger("livesegments.web")


class SharedEnds:
    """See dashboard.pages.sessions.Ends. Looks once before anybody is let in, then every LOOK_SECONDS, until closed."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._lock = threading.Lock()
        self._ours: dict[str, int] = {}
        """Of log-outs here: they hold here whether or not Redis has them."""
        self._known: frozenset[str] = frozenset()
        self._failing = False
        self._closing = threading.Event()
        self._look()
        self._thread = threading.Thread(target=self._follow, name="ended sessions", daemon=True)
        self._thread.start()

    def has(self, nonce: str) -> bool:
        """See Ends."""
        return nonce in self._ours or nonce in self._known

    def add(self, nonce: str, until: int) -> None:
        """See Ends. Redis is told at once; where it takes nothing, it is told again until it does."""
        with self._lock:
            self._ours[nonce] = until
        self._look()

    def close(self) -> None:
        """Look no more."""
        self._closing.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._closing.wait(LOOK_SECONDS):
            self._look()

    def _look(self) -> None:
        with self._lock:
            try:
                self._exchange(wall_micros())
            except StateError as error:
                if not self._failing:
                    _log.warning("who logs out stays logged in elsewhere until Redis takes it", error=str(error))
                self._failing = True
            else:
                self._failing = False

    def _exchange(self, now: int) -> None:
        """Learn of log-outs elsewhere, tell of ours, take out what is over."""
        found = self._state.ended_sessions()
        self._known = frozenset(nonce for nonce, until in found.items() if until > now)
        self._ours = {nonce: until for nonce, until in self._ours.items() if until > now}
        missing = self._ours.keys() - found.keys()
        for nonce in missing:
            self._state.put_ended_session(nonce, self._ours[nonce])
        if missing:
            latest = sorted(found, key=found.__getitem__, reverse=True)[: KEPT - 1]
            for nonce in found.keys() - (self._known & set(latest)):
                self._state.put_ended_session(nonce, None)
