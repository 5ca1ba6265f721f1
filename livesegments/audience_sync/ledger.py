"""What a receiver was told, and what it is still to be told: one SQLite file for each sync.

A delivery (a full list, or who entered and who left) is decided in one transaction: the rows to tell, the membership
after it, its number. What is handed on is then made of these rows alone, so it is the same however often it is made.
"""

import contextlib
import json
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal, Self

from contracts.errors import LivesegmentsError
from livesegments.audience_sync.contacts import Contact, LeftOut

Kind = Literal["full", "delta"]
Change = Literal["full", "entered", "left"]
CHANGES: Final[tuple[Change, ...]] = ("full", "entered", "left")
MOST_DELTAS: Final = 1_000
"""After so many, a full list: whoever begins with it needs nothing before."""
_LAYOUT: Final = 1
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS members (contact TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outgoing (
    change TEXT, contact TEXT, cells TEXT NOT NULL, PRIMARY KEY (change, contact)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS handed_on (sequence INTEGER PRIMARY KEY, document TEXT NOT NULL);
"""
_NOW: Final = """
CREATE TEMP TABLE now (contact TEXT PRIMARY KEY, customer TEXT NOT NULL, cells TEXT NOT NULL) WITHOUT ROWID;
"""


class LedgerError(LivesegmentsError):
    """What is kept of a sync can not be used."""


class LedgerBusyError(LedgerError):
    """Another process does this sync now."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What is handed on at once."""

    sequence: int
    kind: Kind
    at: int
    """When it was decided, microseconds UTC."""
    headers: tuple[str, ...]
    """Of the columns, the contact first."""
    counts: dict[str, int]
    """Rows by change."""
    members: int
    """Contacts in the audience after it."""
    part_rows: int
    """Rows of one part, where it is handed on in parts."""
    parts_done: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    """Members of the audience who are not in it, by why."""


@dataclass(frozen=True, slots=True)
class Row:
    """Somebody to tell of."""

    change: Change
    contact: str
    cells: tuple[str, ...]


class SyncLedger:
    """The file of one sync, which nobody else may use meanwhile. Raises LedgerError, LedgerBusyError."""

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(0o600)
            self._db = sqlite3.connect(path, timeout=0, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise LedgerError(f"{path} can not be opened: {error}") from error
        self._path = path
        try:
            # Whoever is erased, or left, is not to be found in free pages of the file either.
            self._db.execute("PRAGMA secure_delete = ON")
            self._db.execute("PRAGMA synchronous = FULL")
            # Held from the first write until the file is closed.
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("BEGIN EXCLUSIVE")
            for statement in _SCHEMA.split(";"):
                self._db.execute(statement)
            layout = self._note("layout")
            if layout is None:
                self._put(layout=_LAYOUT, stream=secrets.token_hex(6), sequence=0)
            self._db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            self._db.close()
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise LedgerBusyError(f"another process does this sync now (it uses {path})") from None
            raise LedgerError(f"{path} can not be used: {error}") from error
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise LedgerError(
                f"{path} is damaged ({error}): delete it, and the next sync begins anew with a full list"
            ) from error
        if layout not in {None, _LAYOUT}:
            self._db.close()
            raise LedgerError(f"{path} was written by another version of livesegments: delete it for a full list")

    def close(self) -> None:
        """Let others use it."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- what there is ----

    @property
    def stream(self) -> str:
        """What tells this ledger from one made later: sequence numbers go on within it."""
        return str(self._note("stream"))

    @property
    def sequence(self) -> int:
        """Of the last delivery; 0 before the first."""
        return int(self._note("sequence"))

    @property
    def synced_at(self) -> int | None:
        """When the last sync ended that was handed on, or had nothing to hand on; microseconds UTC."""
        told = self._note("synced_at")
        return None if told is None else int(told)

    @property
    def full_at(self) -> int | None:
        """When the last full list was decided."""
        told = self._note("full_at")
        return None if told is None else int(told)

    @property
    def source(self) -> str | None:
        """What contacts of the last delivery were made of."""
        told: str | None = self._note("source")
        return told

    @property
    def pending(self) -> Delivery | None:
        """What was decided and is still to be handed on."""
        told = self._note("pending")
        return None if told is None else Delivery(**{**told, "headers": tuple(told["headers"])})

    @property
    def size(self) -> int:
        """Contacts that the receiver knows, once everything is handed on."""
        return int(self._db.execute("SELECT count(*) FROM members").fetchone()[0])

    def members(self) -> Iterator[str]:
        """All of them, in the order of their UTF-8."""
        return (contact for (contact,) in self._db.execute("SELECT contact FROM members ORDER BY contact"))

    def rows(self, change: Change) -> Iterator[Row]:
        """Of what is pending, in the order of contacts' UTF-8."""
        found = self._db.execute("SELECT contact, cells FROM outgoing WHERE change = ? ORDER BY contact", (change,))
        return (Row(change, contact, tuple(json.loads(cells))) for contact, cells in found)

    def handed_on(self) -> list[dict[str, Any]]:
        """What is told of deliveries since the last full list, that one first."""
        found = self._db.execute("SELECT document FROM handed_on ORDER BY sequence")
        return [json.loads(document) for (document,) in found]

    # ---- what changes ----

    def decide(
        self,
        contacts: Iterable[Contact],
        *,
        headers: tuple[str, ...],
        source: str,
        at: int,
        part_rows: int,
        full: bool,
        left_out: Callable[[], LeftOut] = LeftOut,
    ) -> Delivery | None:
        """Make the difference to what the receiver knows, or with `full` everybody, the next delivery.

        `left_out` is asked when the contacts have been read. None where there is no difference. Nothing may be pending.
        Raises what the contacts raise, and changes nothing.
        """
        assert self.pending is None
        with self._transaction():
            self._db.execute("DROP TABLE IF EXISTS temp.now")
            self._db.execute(_NOW)
            # Of customers with one contact it is always the same whose columns are told.
            self._db.executemany(
                "INSERT INTO now VALUES (?, ?, ?) ON CONFLICT (contact) DO UPDATE SET"
                " customer = excluded.customer, cells = excluded.cells WHERE excluded.customer < now.customer",
                ((one.key, one.customer_id, json.dumps(one.cells, ensure_ascii=False)) for one in contacts),
            )
            if full:
                self._db.execute("INSERT INTO outgoing SELECT 'full', contact, cells FROM now")
            else:
                self._db.execute(
                    "INSERT INTO outgoing SELECT 'entered', contact, cells FROM now"
                    " WHERE contact NOT IN (SELECT contact FROM members)"
                )
                self._db.execute(
                    "INSERT INTO outgoing SELECT 'left', contact, '[]' FROM members"
                    " WHERE contact NOT IN (SELECT contact FROM now)"
                )
            counts = dict(self._db.execute("SELECT change, count(*) FROM outgoing GROUP BY change").fetchall())
            if not counts and not full:
                self._db.execute("DROP TABLE temp.now")
                self._put(synced_at=at)
                return None
            self._db.execute("DELETE FROM members WHERE contact NOT IN (SELECT contact FROM now)")
            self._db.execute("INSERT OR IGNORE INTO members SELECT contact FROM now")
            self._db.execute("DROP TABLE temp.now")
            delivery = Delivery(
                sequence=self.sequence + 1,
                kind="full" if full else "delta",
                at=at,
                headers=headers,
                counts={"full": 0, **counts} if full else counts,
                members=self.size,
                part_rows=part_rows,
                left_out=asdict(left_out()),
            )
            if full:
                self._put(full_at=at)
            self._put(sequence=delivery.sequence, source=source, pending=asdict(delivery))
        return delivery

    def part_done(self, delivery: Delivery, parts: int) -> None:
        """So many parts of what is pending were taken in."""
        with self._transaction():
            self._put(pending=asdict(replace(delivery, parts_done=parts)))

    def settle(self, delivery: Delivery, document: dict[str, Any]) -> None:
        """What was pending is handed on; `document` is what is told of it from now on."""
        with self._transaction():
            self._db.execute("DELETE FROM outgoing")
            if delivery.kind == "full":
                self._db.execute("DELETE FROM handed_on")
            self._db.execute(
                "INSERT OR REPLACE INTO handed_on VALUES (?, ?)", (delivery.sequence, json.dumps(document))
            )
            self._put(synced_at=delivery.at, pending=None)

    def begin_after(self, sequence: int) -> None:
        """Let the next delivery have a higher number than this one."""
        with self._transaction():
            self._put(sequence=max(self.sequence, sequence))

    def restart(self) -> None:
        """Forget what the receiver knows and what is pending: a new stream begins, with a full list."""
        with self._transaction():
            for table in ("members", "outgoing", "handed_on"):
                self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - names of our own
            self._put(stream=secrets.token_hex(6), pending=None, full_at=None, synced_at=None)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise LedgerError(f"{self._path} could not be written: {error}") from error
            raise

    def _note(self, name: str) -> Any:
        found = self._db.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
        return None if found is None else json.loads(found[0])

    def _put(self, **notes: object) -> None:
        for name, value in notes.items():
            if value is None:
                self._db.execute("DELETE FROM notes WHERE name = ?", (name,))
            else:
                self._db.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, json.dumps(value)))
