"""Saving a whole deployment into one file, while workers go on, and restoring it while none works."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from consumer.bonds import unsaid
from consumer.image import Images
from consumer.layout import LAYOUT, READ_LAYOUTS
from consumer.snapshot_columns import FIELDS, ROWS, fields_batch, fields_of, packed_rows, rows_batch
from consumer.snapshot_fields import kept_of, kept_triples, shared_of, shared_triples
from consumer.snapshot_file import SHARED, Manifest, SnapshotReader, SnapshotWriter, kept_name, open_snapshot, rows_name
from consumer.state import Meta
from contracts.errors import LivesegmentsError
from contracts.times import rfc3339
from logs.base import LogInfo

_PACKED: Final = ("customer_id", "packed")


class SnapshotRefusedError(LivesegmentsError):
    """The snapshot is not to be saved, or not to be restored here."""


def save(path: Path, images: Images, log: LogInfo, *, prefix: str, version: str, now: int) -> Manifest:
    """Write everything to a file, which appears whole or not at all.

    Each partition is as it stood at one checkpoint, its position belongs to its rows; partitions are read one after
    another, so they may be of different moments, as their positions say. Memory: one partition at a time. Raises
    SnapshotRefusedError where there is nothing, StateError, OSError.
    """
    partitions: dict[int, Meta] = {}
    with _appearing(path) as unfinished, SnapshotWriter(unfinished) as writer:
        for number in range(log.partitions):
            image = images.read(number)
            if image is None:
                continue
            if (image.meta.log_identity, image.meta.log_partitions) != (log.identity, log.partitions):
                raise SnapshotRefusedError(
                    f"the rows of partition {number} were made from another log than {log.name!r} as it is now:"
                    " a snapshot of them could not be gone on from"
                )
            partitions[number] = image.meta
            writer.write(rows_name(number), ROWS, map(rows_batch, image.slices()))
            writer.write(kept_name(number), FIELDS, [fields_batch(kept_triples(image.kept))])
        if not partitions:
            raise SnapshotRefusedError(f"there are no rows under the prefix {prefix!r}: nothing to save")
        # After the partitions: a version stands here before any row names it.
        writer.write(SHARED, FIELDS, [fields_batch(shared_triples(images.read_shared()))])
        return writer.finish(
            livesegments=version,
            layout=LAYOUT,
            prefix=prefix,
            log=log.name,
            log_identity=log.identity,
            log_partitions=log.partitions,
            taken_at=rfc3339(now),
            partitions=partitions,
        )


def restore(
    path: Path,
    images: Images,
    log: LogInfo,
    *,
    accept_log: bool = False,
    before: Callable[[Manifest], None] = lambda _: None,
) -> Manifest:
    """Write a snapshot's partitions in place of what there is; nobody may work meanwhile.

    `before` is called once the file is known to be whole, before anything is written; it may raise. With `accept_log`
    the log as it is now stands for the one the rows were made from: a copy with the same records at the same positions.
    Every view counts as unwritten, so workers rewrite them all. Interrupted, it leaves partitions that no worker takes;
    doing it again is all it needs. Raises SnapshotFileError, SnapshotRefusedError, StateError.
    """
    with closing(open_snapshot(path)) as snapshot:
        manifest = snapshot.manifest
        _check(manifest, log, accept_log=accept_log)
        snapshot.check()
        shared = shared_of(one for batch in snapshot.batches(SHARED, FIELDS.names) for one in fields_of(batch))
        before(manifest)
        for number in range(log.partitions):
            images.close_partition(number)
        images.put_shared(shared)
        for number in range(log.partitions):
            images.clear(number)
            if number in manifest.partitions:
                _restore_partition(snapshot, images, number)
        # Opened only when all are whole: who adds partitions up is not to see some.
        for number in range(log.partitions):
            images.finish(number, _meta(manifest.partitions.get(number), log))
        return manifest


def _restore_partition(snapshot: SnapshotReader, images: Images, number: int) -> None:
    for batch in snapshot.batches(rows_name(number), _PACKED):
        images.put_rows(number, packed_rows(batch))
    triples = [one for batch in snapshot.batches(kept_name(number), FIELDS.names) for one in fields_of(batch)]
    kept = kept_of(triples)
    images.put_kept(number, replace(kept, bonds=unsaid(kept.bonds)))


def _meta(meta: Meta | None, log: LogInfo) -> Meta | None:
    """What a restored partition is opened with; None: it never had a record."""
    return None if meta is None else replace(meta, log_identity=log.identity, views_seq=0)


def _check(manifest: Manifest, log: LogInfo, *, accept_log: bool) -> None:
    if manifest.layout not in READ_LAYOUTS:
        readable = " and ".join(map(str, READ_LAYOUTS))
        raise SnapshotRefusedError(
            f"the snapshot's rows have layout {manifest.layout}, this version reads {readable}:"
            f" restore it with livesegments {manifest.livesegments}"
        )
    if manifest.log_partitions != log.partitions:
        raise SnapshotRefusedError(
            f"the log {log.name!r} has {log.partitions} partitions, the snapshot's rows were made from"
            f" {manifest.log_partitions}: restore to a log of as many, then `livesegments repartition`"
        )
    if manifest.log_identity != log.identity and not accept_log:
        raise SnapshotRefusedError(
            f"the log {log.name!r} is not the one that the snapshot's rows were made from ({manifest.log!r}, identity"
            f" {manifest.log_identity}; this one has {log.identity}): their positions mean nothing on another log."
            " Where it is a copy with the same records at the same positions, say so: --accept-log"
        )


@contextmanager
def _appearing(path: Path) -> Iterator[Path]:
    """A file beside the wanted one that takes its place at the end, and is gone after an error."""
    if not path.parent.is_dir():
        raise SnapshotRefusedError(f"{path}: there is no folder {path.parent}")
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(descriptor)
    unfinished = Path(name)
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
