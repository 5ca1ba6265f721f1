"""Deliveries as CSV files in a folder, with a manifest that says which there are and in which order they count."""

import contextlib
import csv
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol, TextIO, cast

from contracts.errors import LivesegmentsError
from contracts.safe_cells import safe_cell
from contracts.times import rfc3339
from livesegments.audience_sync.file_names import file_name
from livesegments.audience_sync.ledger import CHANGES, Change, Delivery, SyncLedger
from livesegments.audience_sync.targets import Known

VERSION: Final = 1
_OWNER: Final = "deployment"
"""In a manifest: whose it is, by key_prefix."""


class FolderError(LivesegmentsError):
    """The folder can not be written, or holds something else."""


class Written(Protocol):
    """What a file is written by."""

    def __call__(self, path: Path, write: Callable[[BinaryIO], None]) -> None:
        """Make the file of what `write` writes."""


def replace_whole(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Write a file that appears whole or not at all, and stays when the power goes. Raises OSError."""
    unfinished = path.with_name(f".{path.name}.part")
    with unfinished.open("wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    if hasattr(os, "O_DIRECTORY"):
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            # Some network shares can not do that for folders.
            with contextlib.suppress(OSError):
                os.fsync(folder)
        finally:
            os.close(folder)


@dataclass(frozen=True, slots=True)
class FolderTarget:
    """See Target. Files are named <sync>-<sequence>-<full, entered or left>.csv.

    Parameters:
        folder: which has to be there.
        name: of the sync.
        about: what the manifest says besides; `deployment` among it is not to be another's.
    """

    folder: Path
    name: str
    about: dict[str, Any]
    put: Written = replace_whole

    @property
    def manifest(self) -> Path:
        """What says which files there are."""
        return self.folder / f"{file_name(self.name)}.manifest.json"

    def known(self) -> Known:
        """See Target."""
        if not self.folder.is_dir():
            raise FolderError(f"there is no folder {self.folder}: make it, or correct where the files are to go")
        try:
            told = json.loads(self.manifest.read_bytes())
            known, of = Known(str(told["stream"]), int(told["sequence"])), told.get(_OWNER)
        except FileNotFoundError:
            return Known(None, 0)
        except OSError as error:
            raise FolderError(f"{self.manifest} can not be read: {error.strerror}") from error
        except (ValueError, TypeError, KeyError):
            raise FolderError(f"{self.manifest} is no manifest of ours: move it away") from None
        if of is not None and of != self.about.get(_OWNER, of):
            raise FolderError(
                f"{self.manifest} is of another deployment or shop ({of}): choose another folder, or move its"
                " files away"
            )
        return known

    def hand_on(self, delivery: Delivery, ledger: SyncLedger) -> dict[str, Any]:
        """See Target. Files first, the manifest after them: what it names is whole."""
        try:
            files = [self._write(delivery, ledger, change) for change in CHANGES if change in delivery.counts]
            document = {
                "sequence": delivery.sequence,
                "kind": delivery.kind,
                "at": rfc3339(delivery.at),
                "members": delivery.members,
                "left_out": delivery.left_out,
                "columns": list(delivery.headers),
                "files": files,
            }
            before = [] if delivery.kind == "full" else ledger.handed_on()
            told = {
                "v": VERSION,
                "sync": self.name,
                **self.about,
                "stream": ledger.stream,
                "sequence": delivery.sequence,
                "deliveries": [*before, document],
            }
            self.put(self.manifest, lambda file: _write_json(file, told))
        except OSError as error:
            raise FolderError(
                f"{self.folder} can not be written: {error.strerror or error}; what is due stays, and goes on with the"
                " next sync"
            ) from error
        return document

    def _write(self, delivery: Delivery, ledger: SyncLedger, change: Change) -> dict[str, Any]:
        headers = delivery.headers[:1] if change == "left" else delivery.headers
        name = f"{file_name(self.name)}-{delivery.sequence:06d}-{change}.csv"
        hashed = _Hashed()

        def write(file: BinaryIO) -> None:
            hashed.begin(file)
            text = csv.writer(cast("TextIO", hashed), lineterminator="\r\n")
            text.writerow([safe_cell(header) for header in headers])
            text.writerows([safe_cell(one) for one in (row.contact, *row.cells)] for row in ledger.rows(change))

        self.put(self.folder / name, write)
        return {
            "file": name,
            "change": change,
            "rows": delivery.counts[change],
            "bytes": hashed.size,
            "sha256": hashed.digest.hexdigest(),
        }


class _Hashed:
    """Text into a file, with a hash over its bytes."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self.size = 0
        self._file: BinaryIO | None = None

    def begin(self, file: BinaryIO) -> None:
        self.digest, self.size, self._file = hashlib.sha256(), 0, file

    def write(self, text: str) -> int:
        assert self._file is not None
        piece = text.encode()
        self.digest.update(piece)
        self.size += len(piece)
        return self._file.write(piece)


def _write_json(file: BinaryIO, told: dict[str, Any]) -> None:
    file.write(json.dumps(told, indent=1, ensure_ascii=False).encode())
    file.write(b"\n")
