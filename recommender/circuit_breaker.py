"""Not asking again at once what did not answer: pages must not wait for a server that is down, each anew."""


class CircuitBreaker:
    """After a failure nothing is asked for a while; then one question is let through, and the rest wait for its fate.

    Safe to use from several threads: in a race two questions instead of one may be let through.

    Parameters:
        pause: seconds.
    """

    def __init__(self, pause: float) -> None:
        self._pause = pause
        self._open_until: float | None = None

    def allows(self, now: float) -> bool:
        """Whether to ask at this moment (monotonic seconds)."""
        if self._open_until is None:
            return True
        if now < self._open_until:
            return False
        self._open_until = now + self._pause
        return True

    def failed(self, now: float) -> None:
        """There was no answer."""
        self._open_until = now + self._pause

    def succeeded(self) -> None:
        """There was one."""
        self._open_until = None
