"""livesegments: purchase events in, live customer segments and recommendations out.

Applications need two names: `EventPublisher` to tell what customers do, `CustomerReader` to ask what they are and want
(`AsyncCustomerReader` in an asyncio event loop). A locked-up Kafka takes a `KafkaSecurity`, too.
Whoever looks at data wants a third: `load_customers`, all customers as a pandas DataFrame.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from livesegments.load import load_customers
    from logs.kafka_security import KafkaSecurity
    from producer.publisher import EventPublisher
    from recommender.reader import CustomerReader
    from recommender.reader_async import AsyncCustomerReader

__all__ = ["AsyncCustomerReader", "CustomerReader", "EventPublisher", "KafkaSecurity", "__version__", "load_customers"]

try:
    __version__ = version("livesegments")
except PackageNotFoundError:  # run from a checkout that is not installed
    __version__ = "0+unknown"

_HOMES = {
    "AsyncCustomerReader": "recommender.reader_async",
    "CustomerReader": "recommender.reader",
    "EventPublisher": "producer.publisher",
    "KafkaSecurity": "logs.kafka_security",
    "load_customers": "livesegments.load",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for: whoever reads needs no Kafka, whoever publishes no Redis."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
