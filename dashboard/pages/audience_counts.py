"""How many customers are in each audience, added up over workers, also where one of them is gone."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

from contracts.documents import WorkerStatus

Fate = Literal["kept", "moved", "missing"]
"""Of a gone worker's customers: counted as it counted them last; counted by others now; counted by nobody."""


def counted(
    working: Sequence[WorkerStatus], gone: Sequence[WorkerStatus], partitions: int | None
) -> tuple[Mapping[str, int], Mapping[str, Fate]]:
    """Sizes by audience, and what became of the customers of each worker that is gone, by its name.

    `partitions`: how many there are; None where that is not known. As long as nobody has those of a gone worker,
    its customers are in the audiences that they were in.
    """
    sizes = Counter[str]()
    for one in working:
        sizes.update(one.audiences)
    free = None if partitions is None else partitions - sum(one.partitions for one in working)
    fates: dict[str, Fate] = {}
    for one in sorted(gone, key=lambda worker: worker.at, reverse=True):
        if free is None:
            fates[one.worker] = "missing"
        elif free <= 0 or not one.partitions:
            fates[one.worker] = "moved"
        elif one.partitions <= free:
            fates[one.worker] = "kept"
            sizes.update(one.audiences)
            free -= one.partitions
        else:
            # Others have some of its partitions, and which customers are theirs is not known.
            fates[one.worker] = "missing"
    return dict(sizes), fates
