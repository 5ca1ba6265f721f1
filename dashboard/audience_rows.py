"""The customers of an audience, read as those of a segment are."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from dashboard.customer_rows import CustomerRows, Slice
from dashboard.member_pages import all_rows


@dataclass(frozen=True, slots=True)
class AudienceRows:
    """See CustomerRows: of all customers those in one audience."""

    rows: CustomerRows
    audience: str

    def partitions(self) -> int:
        """See CustomerRows."""
        return self.rows.partitions()

    def read(self, partition: int, buckets: Sequence[int], segment_id: int | None = None) -> Slice:
        """See CustomerRows."""
        found = self.rows.read(partition, buckets, segment_id)
        told = found.batch.column("audiences").to_pylist()
        # Few different ones, many times each.
        within = {text: self.audience in json.loads(text) for text in set(told)}
        places = [place for place, text in enumerate(told) if within[text]]
        return Slice(
            found.looked_at, [found.buckets[place] for place in places], found.batch.take(pa.array(places, pa.int64()))
        )


def members(rows: CustomerRows, audience: str) -> Iterator[Any]:
    """Every customer of an audience, as record batches."""
    return all_rows(AudienceRows(rows, audience))
