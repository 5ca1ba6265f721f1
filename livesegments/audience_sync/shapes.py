"""What a row that is handed on looks like: by what the receiver knows somebody, and the columns beside it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from contracts.errors import LivesegmentsError

ATTRIBUTE: Final = "attributes."
CUSTOMER: Final = "customer_id"
SOURCES: Final = ("customer_id", "audience", "segment", "orders", "net_spend", "first_order_at", "last_order_at")
"""Of what a column may be made, besides attributes."""
MOST_COLUMNS: Final = 50
_LONGEST_HEADER: Final = 100
_EMAIL: Final = ATTRIBUTE + "email"
_ADDRESS: Final = re.compile(
    r"(?=.{3,254}\Z)[A-Za-z0-9_][A-Za-z0-9_.!#$%&'*+/=?^`{|}~-]{0,63}@[^\W_][\w-]*(?:\.[\w-]+)+"
)
"""What tools for e-mail take: ASCII before the @. The first sign keeps it from being a formula in a spreadsheet."""


class ShapeError(LivesegmentsError):
    """A preset or a column that there is not."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The columns of what is handed on."""

    contact: str
    """Header of the column by which the receiver knows somebody."""
    source: str
    """What that is made of."""
    is_address: bool
    """Whether it has to be an e-mail address."""
    columns: tuple[tuple[str, str], ...]
    """Header and source of those beside it."""

    @property
    def headers(self) -> tuple[str, ...]:
        """Of all columns."""
        return (self.contact, *(header for header, _ in self.columns))

    @property
    def made_of(self) -> str:
        """What contacts are, and of what: those of another kind begin with a full list."""
        return f"{self.contact}={self.source}"


_NAMES: Final = (ATTRIBUTE + "first_name", ATTRIBUTE + "last_name")
PRESETS: Final[Mapping[str, Shape]] = {
    "generic": Shape(
        CUSTOMER,
        CUSTOMER,
        False,
        (
            ("segment", "segment"),
            ("orders", "orders"),
            ("net_spend", "net_spend"),
            ("last_order_at", "last_order_at"),
        ),
    ),
    "mailchimp": Shape(
        "Email Address",
        _EMAIL,
        True,
        (("First Name", _NAMES[0]), ("Last Name", _NAMES[1]), ("Tags", "audience")),
    ),
    "klaviyo": Shape(
        "Email",
        _EMAIL,
        True,
        (("First Name", _NAMES[0]), ("Last Name", _NAMES[1]), ("Audience", "audience")),
    ),
    "brevo": Shape(
        "EMAIL",
        _EMAIL,
        True,
        (("FIRSTNAME", _NAMES[0]), ("LASTNAME", _NAMES[1]), ("EXT_ID", CUSTOMER)),
    ),
}
"""By tool, as its pages on imports name columns (docs/audiences.md says which pages)."""


def shape_of(preset: str, contact: str | None = None, columns: Mapping[str, str] | None = None) -> Shape:
    """A preset, with another source of the contact and other columns beside it where these are given.

    Raises ShapeError.

    >>> shape_of("brevo", "customer_id").headers
    ('EMAIL', 'FIRSTNAME', 'LASTNAME', 'EXT_ID')
    """
    if preset not in PRESETS:
        raise ShapeError(f"there is no preset {preset!r}: {', '.join(PRESETS)} there are")
    known = PRESETS[preset]
    source = known.source if contact is None else contact
    if source != CUSTOMER and not _is_attribute(source):
        raise ShapeError(f"contact: expected customer_id or attributes.NAME, not {source!r}")
    header = known.contact
    if preset == "generic" and source != CUSTOMER:
        header = source.removeprefix(ATTRIBUTE)
    chosen = known.columns if columns is None else tuple(columns.items())
    if len(chosen) > MOST_COLUMNS:
        raise ShapeError(f"columns: expected {MOST_COLUMNS} at most, not {len(chosen)}")
    taken = {header}
    for name, made_of in chosen:
        if not 1 <= len(name) <= _LONGEST_HEADER or not name.isprintable():
            raise ShapeError(f"columns: {name!r} is no header: 1 to {_LONGEST_HEADER} printable signs")
        if name in taken:
            raise ShapeError(f"columns: {name!r} is there already")
        if made_of not in SOURCES and not _is_attribute(made_of):
            raise ShapeError(
                f"columns.{name}: expected attributes.NAME or one of {', '.join(SOURCES)}, not {made_of!r}"
            )
        taken.add(name)
    return Shape(header, source, known.is_address, chosen)


def address(text: str) -> str | None:
    """An e-mail address as tools compare them, in small letters; None for what is none.

    >>> address(" Ann@Example.com "), address("=1+1@x.org"), address("ann")
    ('ann@example.com', None, None)
    """
    found = text.strip()
    return found.lower() if _ADDRESS.fullmatch(found) else None


def _is_attribute(source: str) -> bool:
    return source.startswith(ATTRIBUTE) and len(source) > len(ATTRIBUTE)
