"""Who may be written to: what a profile attribute says, and what is done where it says nothing."""

import math
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

from consumer.event_columns import Attributes


class Given(Enum):
    """What a customer has said."""

    YES = "given"
    NO = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Consent:
    """Where consent stands, and what counts as given."""

    attribute: str = "marketing_consent"
    """Name of a profile attribute; empty: nobody is asked."""
    values: frozenset[str] = frozenset({"true", "yes", "1"})
    """What counts as given, as `_said` writes it; anything else is a refusal."""
    unknown: bool = False
    """Whether who has no such attribute may be written to."""

    @classmethod
    def of(cls, attribute: str, values: Collection[str], *, unknown: bool) -> "Consent":
        """As settings say it."""
        return cls(attribute, frozenset(_said(value) for value in values), unknown)

    def given(self, attributes: Attributes) -> Given:
        """What these attributes say.

        >>> [Consent().given({"marketing_consent": said}).value for said in (True, " YES ", 1.0, "no", "")]
        ['given', 'given', 'given', 'refused', 'refused']
        >>> Consent().given({"age": 40}).value
        'unknown'
        """
        if not self.attribute:
            return Given.YES
        said = attributes.get(self.attribute)
        if said is None:
            return Given.UNKNOWN
        return Given.YES if _said(said) in self.values else Given.NO

    def allows(self, attributes: Attributes) -> bool:
        """Whether the customer may be written to."""
        given = self.given(attributes)
        return given is Given.YES or (given is Given.UNKNOWN and self.unknown)


def _said(value: bool | float | str) -> str:  # noqa: FBT001 - a value, not a switch
    """A value as it is compared: numbers as one writes them, texts without case and spaces around."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        return str(int(value))
    return str(value).strip().casefold()
