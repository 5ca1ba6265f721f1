"""What items are called, where people look at them: from the catalogue's public entries."""

from collections.abc import Iterable

from pydantic import ValidationError

from consumer.state import State
from contracts.documents import CatalogueEntry


def item_names(state: State, item_ids: Iterable[str]) -> dict[str, str]:
    """The names of those items that have one. Raises StateUnavailableError."""
    wanted = list(dict.fromkeys(item_ids))
    found: dict[str, str] = {}
    for item_id, stored in zip(wanted, state.catalogue_entries(wanted), strict=True):
        name = _name(stored)
        if name is not None:
            found[item_id] = name
    return found


def _name(stored: bytes | None) -> str | None:
    """None also where a newer version has written what this one does not understand."""
    try:
        return None if stored is None else CatalogueEntry.model_validate_json(stored).name
    except ValidationError:
        return None
