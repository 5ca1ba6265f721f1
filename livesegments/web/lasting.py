"""What takes long to make, kept for a while."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Made = TypeVar("Made")


class Lasting(Generic[Made]):
    """Something that takes long to make, made anew once it has aged; others wait for whoever makes it."""

    def __init__(self, make: Callable[[], Made], seconds: float) -> None:
        self._make = make
        self._seconds = seconds
        self._lock = threading.Lock()
        self._made: tuple[float, Made] | None = None

    def get(self) -> Made:
        """It."""
        with self._lock:
            if self._made is None or time.monotonic() >= self._made[0]:
                made = self._make()
                self._made = time.monotonic() + self._seconds, made
            return self._made[1]
