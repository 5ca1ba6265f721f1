"""What is said on the command line before the command."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Named:
    """The settings file, and one of its shops."""

    config: Path | None = None
    shop: str | None = None
