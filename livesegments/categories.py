"""The category of each item, for commands that compare customers by what they buy."""

from collections.abc import Callable, Mapping

from consumer.catalogue import read_categories
from consumer.row_store import RowStore
from contracts.errors import LivesegmentsError
from contracts.redaction import without_password
from livesegments.parts import log_names
from livesegments.settings import Settings
from logs.base import Logs

CategorySource = Callable[[], Mapping[str, str]]
"""The category of each item that has one; asked only where a feature is made of them."""


class NoCategoriesError(LivesegmentsError):
    """Customers are compared by shares of categories, and no item is known to be in one."""


def catalogue_categories(logs: Logs, settings: Settings) -> dict[str, str]:
    """The category of each item, from the deployment's catalogue.

    Raises NoCategoriesError where nothing has one: everybody's shares would be missing, and every figure another than
    the workers'. Raises LogUnavailableError where the log does not answer.
    """
    log = log_names(settings).catalog
    categories = read_categories(logs, log)
    if not categories:
        raise NoCategoriesError(
            f"customers are compared by shares of categories, but in the log {log} at"
            f" {without_password(settings.event_log_url)} no item has one: set log_url and log_prefix as the workers"
            " have them, or put categories on the catalogue"
        )
    return categories


def store_with(categories: Mapping[str, str]) -> RowStore:
    """A store without rows that knows the categories of items: for samples from the state."""
    store = RowStore()
    for item, category in categories.items():
        store.categories.set(item, category)
    return store


def no_categories() -> Mapping[str, str]:
    """For whoever has no catalogue."""
    return {}
