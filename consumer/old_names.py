"""The names of segments that only versions before the present one have."""

from collections.abc import Collection

import numpy as np

from consumer.row_store import Rows, RowStore
from consumer.state import State
from contracts.documents import NO_SEGMENT
from online_model.model import SegmentModel


def old_names(state: State, store: RowStore, rows: Rows, known: Collection[int]) -> dict[int, str]:
    """What the segments of these rows are called that are not `known`, by id.

    Whoever held the rows before may not have swept them with the present version: some are still where an older one
    put them, whose number they bear. Where that version is kept no longer, a segment is called by its id.
    """
    segments, versions = store.header["segment"][rows], store.header["model_version"][rows]
    unknown = ~np.isin(segments, [*known, NO_SEGMENT])
    found: dict[int, str] = {}
    for version in np.unique(versions[unknown]).tolist():
        document = state.old_model(version)
        names = {one.id: one.name for one in SegmentModel.read(document).segments} if document is not None else {}
        found |= {
            one: names.get(one, f"Segment {one}")
            for one in np.unique(segments[unknown & (versions == version)]).tolist()
        }
    return found
