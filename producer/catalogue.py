"""Writing the catalogue: what is said of items is put together with what it has, and only what differs is published."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from pydantic import TypeAdapter, ValidationError

from contracts.catalog import CatalogItem, read_records
from contracts.errors import LivesegmentsError
from contracts.events import Identifier
from contracts.times import from_micros
from logs.base import LogMissingError, Logs

_SECONDS: Final = 60.0
"""To wait for the log to take everything in."""


_ID: Final[TypeAdapter[str]] = TypeAdapter(Identifier)


class ItemIdError(LivesegmentsError):
    """No event can have that item id."""


class NotInCatalogueError(LivesegmentsError):
    """The catalogue says nothing of an item."""

    def __init__(self, item_ids: Sequence[str]) -> None:
        named = ", ".join(repr(item_id) for item_id in item_ids[:5]) + (", …" if len(item_ids) > 5 else "")
        super().__init__(f"not in the catalogue: {named}; `livesegments catalog list` shows what is")


@dataclass(frozen=True, slots=True)
class Published:
    """What became of what was said."""

    said: int
    """Items."""
    new: int
    changed: int
    """Of those that the catalogue had."""

    @property
    def alike(self) -> int:
        """Items of whom the catalogue had all of it already."""
        return self.said - self.new - self.changed


def read_catalogue(logs: Logs, log: str) -> dict[str, CatalogItem]:
    """Every item of the catalogue by id; none where there is no such log. Raises LogUnavailableError."""
    found: dict[str, CatalogItem] = {}
    try:
        batches = logs.read_all(log)
    except LogMissingError:
        return found
    for batch in batches:
        for item_id, item in read_records(batch.keys, batch.values, lambda *_: None):
            if item is None:
                found.pop(item_id, None)
            else:
                found[item_id] = item
    return found


def publish_items(said: Iterable[CatalogItem], logs: Logs, log: str, now: int) -> Published:
    """Put what somebody says of items onto the catalogue; None is what they do not say, and stays as it is.

    Items with `from_orders` say what order lines did: they fill what is missing, and replace what order lines said
    before. An item that comes into a catalogue with others is new from `now` (microseconds UTC) on, unless it says
    since when there is it; in an empty one it was there from the start.

    Raises LogError, and waits until the log has everything.
    """
    known = read_catalogue(logs, log)
    begun = bool(known)
    wanted: dict[str, CatalogItem] = {}
    for item in said:
        before = wanted.get(item.item_id) or known.get(item.item_id)
        if before is None and begun and item.since is None:
            wanted[item.item_id] = item.model_copy(update={"since": from_micros(now)})
        else:
            wanted[item.item_id] = item if before is None else _merged(before, item)
    news = {item_id: item for item_id, item in wanted.items() if item != known.get(item_id)}
    _publish({item_id: item.encode() for item_id, item in news.items()}, logs, log)
    new = len(news.keys() - known.keys())
    return Published(len(wanted), new, len(news) - new)


def checked_item_id(text: str) -> str:
    """The item id, if it can be one. Raises ItemIdError."""
    try:
        return _ID.validate_python(text)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise ItemIdError(f"{text!r} can not be an item id: {reason}") from None


def remove_items(item_ids: Iterable[str], logs: Logs, log: str) -> None:
    """Take items out of the catalogue: all, or none where one is not in it. Raises NotInCatalogueError, LogError."""
    known = read_catalogue(logs, log)
    item_ids = list(item_ids)
    unknown = [item_id for item_id in item_ids if item_id not in known]
    if unknown:
        raise NotInCatalogueError(unknown)
    _publish(dict.fromkeys(item_ids, b""), logs, log)


def _merged(known: CatalogItem, said: CatalogItem) -> CatalogItem:
    """What the catalogue has, after something was said; a user's own word is replaced by a user's only."""
    news = said.model_dump(include={"name", "category", "in_stock", "recommendable"}, exclude_none=True)
    if not said.from_orders:
        own = "name" in news or "category" in news
        return known.model_copy(update={**news, "from_orders": known.from_orders and not own})
    replaced = {"name", "category"} if known.from_orders else set()
    return known.model_copy(
        update={name: value for name, value in news.items() if name in replaced or getattr(known, name) is None}
    )


def _publish(records: Mapping[str, bytes], logs: Logs, log: str) -> None:
    with closing(logs.writer()) as writer:
        placed = [writer.append(log, item_id.encode(), record) for item_id, record in records.items()]
        writer.flush(_SECONDS)
        for one in placed:
            one.result()
