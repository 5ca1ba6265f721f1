"""A whole partition as it stood at one checkpoint, and what a deployment keeps beside its partitions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from consumer.state import Kept, Meta

Rows = tuple[Sequence[str], Sequence[bytes]]
"""Customer ids, and their packed rows."""

ROWS_AT_ONCE: Final = 10_000


@dataclass(frozen=True, slots=True)
class Image:
    """Everything that a partition keeps; rows and position belong together."""

    partition: int
    meta: Meta
    kept: Kept
    customer_ids: Sequence[str]
    rows: Sequence[bytes]
    """By customer, packed as `consumer.layout` says."""

    def slices(self) -> Iterator[Rows]:
        """Its rows, some at a time."""
        for start in range(0, len(self.rows), ROWS_AT_ONCE):
            end = start + ROWS_AT_ONCE
            yield self.customer_ids[start:end], self.rows[start:end]


@dataclass(frozen=True, slots=True)
class Shared:
    """What stands beside the partitions: decisions, and what they were made from."""

    models: Mapping[int, bytes] = field(default_factory=dict)
    """Model documents by version; the newest is in force."""
    item_version: int = 0
    item_model: bytes | None = None
    forecast_version: int = 0
    forecast: bytes | None = None
    forecast_memory: bytes | None = None
    review: bytes | None = None
    notes: Mapping[str, bytes] = field(default_factory=dict)
    """What the leader keeps in mind."""
    segment_names: Mapping[int, bytes] = field(default_factory=dict)
    audiences: Mapping[str, int] = field(default_factory=dict)


class Images(Protocol):
    """Partitions read and written whole, past the workers: nobody may work while they are written."""

    def read(self, partition: int) -> Image | None:
        """The partition as it stands at one moment; None where nothing was ever written. Workers may go on."""

    def read_closed(self, partition: int) -> Image | None:
        """The same, also of a partition that is not whole."""

    def read_shared(self) -> Shared:
        """What stands beside the partitions. Read after these, it has every version that their rows name."""

    def close_partition(self, partition: int) -> None:
        """Mark the partition as not whole: until `finish` no worker takes it, and who holds it writes no more."""

    def clear(self, partition: int) -> None:
        """Remove everything of a closed partition, the mark apart."""

    def put_rows(self, partition: int, rows: Rows) -> None:
        """Write rows into a closed partition; doing it twice is doing it once."""

    def remove_rows(self, partition: int, customer_ids: Sequence[str]) -> None:
        """Take rows out of a closed partition."""

    def remove_bonds(self, partition: int, customer_ids: Sequence[str]) -> None:
        """Take bonds out of a closed partition."""

    def put_kept(self, partition: int, kept: Kept) -> None:
        """Write what a closed partition keeps besides rows; doing it twice is doing it once."""

    def finish(self, partition: int, meta: Meta | None) -> None:
        """Open a closed partition: workers may take it, as it says in `meta`; None: as one that never had a record."""

    def put_shared(self, shared: Shared) -> None:
        """Replace what stands beside the partitions, and let any leader go on from it."""
