"""What somebody calls a segment themselves, and means to do about it: it wins over what was worked out."""

import unicodedata
from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from contracts.documents import RULE_IDS

MAX_NAME: Final = 60
MAX_STRATEGY: Final = 200


def _printable(text: str) -> str:
    if text != text.strip() or not text.isprintable():
        raise ValueError("printable characters without spaces around them")
    return unicodedata.normalize("NFC", text)


class OwnName(BaseModel):
    """The value of one field of the hash `<prefix>:segment-names`; the field is the segment's id.

    Raises pydantic.ValidationError for a name that is not 1 to 60 printable characters.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME), AfterValidator(_printable)] | None = None
    """None: what was worked out; likewise strategy."""
    strategy: Annotated[str, Field(min_length=1, max_length=MAX_STRATEGY), AfterValidator(_printable)] | None = None

    def encode(self) -> bytes:
        """As it is stored."""
        return self.model_dump_json().encode()


def told_apart(segment: int, name: str, own: Mapping[int, OwnName]) -> str:
    """A name that was worked out, with an addition where somebody calls another segment so."""
    taken = any(
        other != segment and given.name is not None and given.name.casefold() == name.casefold()
        for other, given in own.items()
    )
    if not taken:
        return name
    return f"{name}, by rule" if segment in RULE_IDS else f"{name}, learnt"


def read_own(stored: bytes) -> OwnName | None:
    """A stored name; None where something else, or a newer version, has written what this one can not use."""
    try:
        return OwnName.model_validate_json(stored)
    except ValidationError:
        return None
