"""What is known of an item, on the compacted log `catalog`, keyed by the item's id; an empty record takes it back."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from contracts.events import Identifier, Timestamp

MAX_TEXT: Final = 200
"""Characters of a name or category; what is longer is cut."""

_BLANKS: Final = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")


def clean_text(text: str) -> str | None:
    r"""A name as it is kept: one line without control characters, of at most MAX_TEXT characters; None where empty.

    >>> clean_text("  White\tmug\n"), clean_text(" ")
    ('White mug', None)
    """
    printable = text.encode("utf-8", "replace").decode()  # unpaired surrogates have no UTF-8
    return _BLANKS.sub(" ", printable).strip()[:MAX_TEXT].rstrip() or None


def _cleaned(value: object) -> object:
    return clean_text(value) if isinstance(value, str) else value


Text = Annotated[str | None, BeforeValidator(_cleaned)]


def _is_false(value: object) -> bool:
    return value is False


class CatalogItem(BaseModel):
    """One item. Frozen; unknown fields are ignored, so that writers may be newer than readers.

    None is what nobody has said.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    item_id: Identifier
    name: Text = None
    category: Text = None
    in_stock: bool | None = None
    """None is in stock."""
    recommendable: bool | None = None
    """False for what nobody can want: postage, fees, vouchers, manual entries. None is recommendable."""
    since: Timestamp | None = None
    """When the item came into the shop; None: it was there when the catalogue began."""
    from_orders: Annotated[bool, Field(exclude_if=_is_false)] = False
    """Name and category are what order lines said: those of a later table replace them."""

    @property
    def offered(self) -> bool:
        """Whether it may be recommended now."""
        return self.in_stock is not False and self.recommendable is not False

    def encode(self) -> bytes:
        """The item as it stands on the log: compact JSON in UTF-8."""
        return self.model_dump_json(exclude_none=True).encode()


def parse_item(record: bytes) -> CatalogItem:
    """The item of a record. Raises pydantic.ValidationError, whose text says what is wrong."""
    return CatalogItem.model_validate_json(record)


def read_records(
    keys: Iterable[bytes | None], values: Iterable[bytes | None], on_broken: Callable[[int, str], None]
) -> Iterator[tuple[str, CatalogItem | None]]:
    """What consecutive records of the log say: item ids and items, None for one that was taken back.

    `on_broken` hears of each record that says nothing: its place, and why.
    """
    for place, (key, value) in enumerate(zip(keys, values, strict=True)):
        try:
            if value:
                item = parse_item(value)
                yield item.item_id, item
            elif key is not None:
                yield key.decode(), None
        except (ValidationError, UnicodeDecodeError) as error:
            on_broken(place, str(error).splitlines()[0])
