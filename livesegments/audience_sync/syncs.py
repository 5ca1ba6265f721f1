"""The syncs of the settings, judged before anything is written."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from contracts.errors import LivesegmentsError
from contracts.times import DAY, MINUTE
from livesegments.audience_sync.file_names import file_name
from livesegments.audience_sync.shapes import Shape, shape_of
from livesegments.durations import Duration
from livesegments.webhooks.endpoints import Endpoint, checked_url, secret_places

MOST_SYNCS: Final = 100
ROWS: Final = 500
"""Of a request, unless set."""
MOST_ROWS: Final = 10_000
_FIELDS: Final = ("audience", "to", "preset", "contact", "columns", "every", "full_every", "secrets", "rows", "consent")
_URL: Final = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


class SyncSettingError(LivesegmentsError):
    """What is said of a sync can not be used."""


@dataclass(frozen=True, slots=True)
class Sync:
    """One audience that is kept in step at one place."""

    name: str
    audience: str
    to: Path | Endpoint = field(repr=False)
    preset: str
    shape: Shape
    every: int = DAY
    """Microseconds."""
    full_every: int = 0
    """Microseconds; 0: a full list comes when nothing else will do."""
    rows: int = ROWS
    """Of one request."""
    consent: bool = True
    """Whether members who have not agreed to be written to are left out."""

    @property
    def shown_to(self) -> str:
        """Where it goes, as anybody may see it."""
        return self.to.shown_url if isinstance(self.to, Endpoint) else str(self.to)

    def ledger(self, folder: Path, key_prefix: str) -> Path:
        """Where it is kept what the receiver was told."""
        place = self.to.url if isinstance(self.to, Endpoint) else str(self.to.resolve())
        told = blake2b(repr((key_prefix, self.name, place)).encode(), digest_size=6).hexdigest()
        return folder / f"{file_name(self.name)}-{told}.sqlite"


def read_syncs(tables: Mapping[str, Mapping[str, Any]], *, plain_http: bool) -> dict[str, Sync]:
    """Syncs by name; `plain_http` allows http:// to other machines. Raises LivesegmentsError."""
    if len(tables) > MOST_SYNCS:
        raise SyncSettingError(f"audience_syncs: expected {MOST_SYNCS} at most, not {len(tables)}")
    return {name: read_sync(name, table, plain_http=plain_http) for name, table in tables.items()}


def read_sync(name: str, table: object, *, plain_http: bool, place: str | None = None) -> Sync:
    """One of them; `place` is how errors call it. Raises LivesegmentsError."""
    place = f"audience_syncs.{name}" if place is None else place
    if not 1 <= len(name) <= 200 or not name.isprintable():
        raise SyncSettingError(f"audience_syncs: {name!r} is no name: 1 to 200 printable signs")
    if not isinstance(table, Mapping):
        raise SyncSettingError(f'{place}: expected a table such as {{audience = "Big", to = "/exports"}}')
    if unknown := set(table) - set(_FIELDS):
        raise SyncSettingError(f"{place}: {min(unknown)!r} is not known: {', '.join(_FIELDS)} are")
    columns = table.get("columns")
    if columns is not None and (
        not isinstance(columns, Mapping) or not all(isinstance(one, str) for one in columns.values())
    ):
        raise SyncSettingError(f'{place}.columns: expected a table such as {{"First Name" = "attributes.first_name"}}')
    preset, contact = _text(place, table, "preset", "generic"), table.get("contact")
    try:
        shape = shape_of(preset, None if contact is None else _text(place, table, "contact", ""), columns)
    except LivesegmentsError as error:
        raise SyncSettingError(f"{place}: {error}") from error
    return Sync(
        name=name,
        audience=_text(place, table, "audience", ""),
        to=_target(place, name, _text(place, table, "to", ""), table.get("secrets"), plain_http=plain_http),
        preset=preset,
        shape=shape,
        every=_duration(place, table, "every", DAY, MINUTE),
        full_every=_duration(place, table, "full_every", 0, MINUTE),
        rows=_rows(place, table.get("rows", ROWS)),
        consent=_switch(place, table, "consent"),
    )


def _target(place: str, name: str, to: str, secrets: object, *, plain_http: bool) -> Path | Endpoint:
    if not _URL.match(to):
        if secrets:
            raise SyncSettingError(f"{place}.secrets: files are not signed: leave it out")
        return Path(to)
    return Endpoint(
        name=name,
        url=checked_url(f"{place}.to", to, plain_http=plain_http),
        secrets=secret_places(f"{place}.secrets", secrets if secrets is not None else ()),
    )


def _text(place: str, table: Mapping[str, Any], name: str, default: str) -> str:
    said = table.get(name, default)
    if not isinstance(said, str) or not said:
        raise SyncSettingError(f"{place}.{name}: expected a text")
    return said


def _duration(place: str, table: Mapping[str, Any], name: str, default: int, least: int) -> int:
    try:
        said = int(Duration.parse(table[name])) if name in table else default
    except ValueError as error:
        raise SyncSettingError(f"{place}.{name}: {error}") from None
    if said and said < least:
        raise SyncSettingError(f"{place}.{name}: expected {Duration(least)} at least")
    if name == "every" and not said:
        raise SyncSettingError(f"{place}.every: expected {Duration(least)} at least")
    return said


def _switch(place: str, table: Mapping[str, Any], name: str) -> bool:
    said = table.get(name, True)
    if not isinstance(said, bool):
        raise SyncSettingError(f"{place}.{name}: expected true or false")
    return said


def _rows(place: str, said: object) -> int:
    if isinstance(said, bool) or not isinstance(said, int) or not 1 <= said <= MOST_ROWS:
        raise SyncSettingError(f"{place}.rows: expected a whole number from 1 to {MOST_ROWS:,}")
    return said
