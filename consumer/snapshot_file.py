"""The file of a snapshot: a zip of Parquet tables, uncompressed around them, and a manifest with their checksums.

`pandas.read_parquet(zipfile.ZipFile(FILE).open("rows/0.parquet"))` reads one partition's rows.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec
import pyarrow as pa
import pyarrow.parquet

from consumer.state import Meta
from contracts.errors import LivesegmentsError

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
SHARED: Final = "shared.parquet"
_BLOCK: Final = 1 << 20


class SnapshotFileError(LivesegmentsError):
    """The file is no snapshot, or not one that this version reads, or it is damaged."""


class Member(msgspec.Struct, frozen=True):
    """One table of the file."""

    rows: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """What a snapshot says of itself."""

    format: int
    livesegments: str
    """The version that wrote it."""
    layout: int
    """Of the packed rows."""
    prefix: str
    log: str
    log_identity: str
    log_partitions: int
    taken_at: str
    """RFC 3339, when the first partition was read."""
    partitions: dict[int, Meta]
    """Those that had rows or a position, with what is known of each."""
    members: dict[str, Member]

    @property
    def customers(self) -> int:
        """Rows of all partitions."""
        return sum(member.rows for name, member in self.members.items() if name.startswith("rows/"))


def rows_name(partition: int) -> str:
    """The table of a partition's rows."""
    return f"rows/{partition}.parquet"


def kept_name(partition: int) -> str:
    """The table of what a partition keeps besides."""
    return f"kept/{partition}.parquet"


class _Hashing(io.RawIOBase):
    """Hashes what passes through to a file in the zip."""

    def __init__(self, target: Any) -> None:
        self._target = target
        self._hash = hashlib.sha256()
        self._place = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        block = bytes(data)
        self._hash.update(block)
        self._target.write(block)
        self._place += len(block)
        return len(block)

    def tell(self) -> int:
        return self._place

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


class SnapshotWriter:
    """Writes tables one after another; `finish` writes the manifest, without which the file is no snapshot."""

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path, "w", zipfile.ZIP_STORED)
        self._members: dict[str, Member] = {}

    def write(self, name: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
        """One table, batch by batch; returns how many rows it has."""
        rows = 0
        with self._zip.open(name, "w", force_zip64=True) as target:
            hashing = _Hashing(target)
            with pyarrow.parquet.ParquetWriter(hashing, schema, compression="zstd") as writer:
                for batch in batches:
                    writer.write_batch(batch)
                    rows += batch.num_rows
            self._members[name] = Member(rows, hashing.hexdigest())
        return rows

    def finish(self, **said: Any) -> Manifest:
        """Write the manifest: its fields but `format` and `members`."""
        manifest = Manifest(format=FORMAT, members=self._members, **said)
        self._zip.writestr(MANIFEST, json.dumps(msgspec.to_builtins(manifest, str_keys=True), indent=1))
        return manifest

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()


@dataclass(frozen=True, slots=True)
class SnapshotReader:
    """An open snapshot."""

    path: Path
    manifest: Manifest
    _zip: zipfile.ZipFile

    def check(self) -> None:
        """Read every table and compare its checksum. Raises SnapshotFileError."""
        for name, member in self.manifest.members.items():
            try:
                digest = hashlib.sha256()
                with self._zip.open(name) as source:
                    while block := source.read(_BLOCK):
                        digest.update(block)
            except (KeyError, zipfile.BadZipFile, OSError, EOFError) as error:
                raise SnapshotFileError(f"{self.path}: {name} is damaged ({error}): nothing was written") from error
            if digest.hexdigest() != member.sha256:
                raise SnapshotFileError(f"{self.path}: {name} is damaged (its checksum differs): nothing was written")

    def batches(self, name: str, columns: Iterable[str]) -> Iterator[pa.RecordBatch]:
        """A table, some rows at a time."""
        with self._zip.open(name) as source, pyarrow.parquet.ParquetFile(source) as table:
            yield from table.iter_batches(10_000, columns=list(columns))

    def close(self) -> None:
        """Let go of the file."""
        self._zip.close()


def open_snapshot(path: Path) -> SnapshotReader:
    """Open a snapshot. Raises SnapshotFileError; `check` looks at its tables."""
    try:
        archive = zipfile.ZipFile(path)
        manifest = archive.read(MANIFEST)
    except FileNotFoundError:
        raise SnapshotFileError(f"there is no file {path}") from None
    except (KeyError, zipfile.BadZipFile, OSError, EOFError) as error:
        raise SnapshotFileError(f"{path} is no snapshot, or one that was cut short ({error})") from error
    try:
        found = msgspec.json.decode(manifest)
        if found["format"] != FORMAT:
            raise SnapshotFileError(
                f"{path} has format {found['format']}, this version reads {FORMAT}: it was written by livesegments"
                f" {found.get('livesegments')}, restore it with that"
            )
        return SnapshotReader(path, msgspec.convert(found, Manifest, strict=False), archive)
    except (msgspec.MsgspecError, KeyError, TypeError) as error:
        raise SnapshotFileError(f"{path}: its manifest is damaged ({error})") from error
