"""How often something was done and how long it took, all told."""

from dataclasses import dataclass


@dataclass(slots=True)
class Spent:
    """Counts from the worker's start."""

    times: int = 0
    seconds: float = 0.0

    def add(self, seconds: float) -> None:
        """Once more, for so long."""
        self.times += 1
        self.seconds += seconds
