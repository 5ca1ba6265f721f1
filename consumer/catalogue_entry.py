"""What a worker keeps of an item of the catalogue."""

import msgspec

from contracts.catalog import CatalogItem
from contracts.times import to_micros


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One item: a tenth of the memory of a CatalogItem."""

    name: str | None = None
    category: str | None = None
    offered: bool = True
    since: int | None = None
    """Microseconds UTC; None: it was there when the catalogue began."""
    product: bool = True
    """False: nobody can want it, in stock or not."""

    @classmethod
    def of(cls, item: CatalogItem) -> "Entry":
        """What a record says."""
        since = None if item.since is None else to_micros(item.since)
        return cls(item.name, item.category, item.offered, since, item.recommendable is not False)
