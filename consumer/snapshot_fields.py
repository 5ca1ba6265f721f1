"""What a deployment keeps besides rows, as (of, field, value) triples for a snapshot's tables, and back."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from consumer.image import Shared
from consumer.state import Kept

Triple = tuple[str, bytes, bytes]


def kept_triples(kept: Kept) -> list[Triple]:
    """Of one partition."""
    return [
        *_texts("items", {number: name.encode() for number, name in enumerate(kept.items)}),
        *(("markers", customer, marker) for customer, marker in kept.markers.items()),
        *_texts("outbox", kept.outbox),
        *_texts("unviewed", dict.fromkeys(kept.unviewed, b"")),
        *_texts("days", kept.days),
        *_texts("feedback", kept.feedback),
        *_texts("bonds", kept.bonds),
    ]


def kept_of(triples: Iterable[Triple]) -> Kept:
    """What `kept_triples` was given."""
    found = _by_name(triples)
    items = {int(number): name.decode() for number, name in found["items"].items()}
    return Kept(
        items=[items[number] for number in range(len(items))],
        markers=found["markers"],
        outbox={change_id.decode(): change for change_id, change in found["outbox"].items()},
        unviewed=frozenset(customer_id.decode() for customer_id in found["unviewed"]),
        days={int(day): page for day, page in found["days"].items()},
        feedback={int(day): page for day, page in found["feedback"].items()},
        bonds={customer_id.decode(): bond for customer_id, bond in found["bonds"].items()},
    )


def shared_triples(shared: Shared) -> list[Triple]:
    """Of what stands beside the partitions."""
    triples = [
        *_texts("models", shared.models),
        *_texts("notes", shared.notes),
        *_texts("segment_names", shared.segment_names),
        *_texts("audiences", {name: str(number).encode() for name, number in shared.audiences.items()}),
    ]
    if shared.item_model is not None:
        triples += _texts("item_model", {shared.item_version: shared.item_model})
    if shared.forecast is not None and shared.forecast_memory is not None:
        triples += _texts("forecast", {shared.forecast_version: shared.forecast})
        triples += _texts("forecast_memory", {"": shared.forecast_memory})
    if shared.review is not None:
        triples += _texts("review", {"": shared.review})
    return triples


def shared_of(triples: Iterable[Triple]) -> Shared:
    """What `shared_triples` was given."""
    found = _by_name(triples)
    version, model = next(iter(found["item_model"].items()), (b"0", None))
    forecast_version, forecast = next(iter(found["forecast"].items()), (b"0", None))
    return Shared(
        models={int(number): document for number, document in found["models"].items()},
        item_version=int(version),
        item_model=model,
        forecast_version=int(forecast_version),
        forecast=forecast,
        forecast_memory=found["forecast_memory"].get(b""),
        review=found["review"].get(b""),
        notes={name.decode(): note for name, note in found["notes"].items()},
        segment_names={int(segment): name for segment, name in found["segment_names"].items()},
        audiences={name.decode(): int(number) for name, number in found["audiences"].items()},
    )


def _texts(of: str, fields: Mapping[int, bytes] | Mapping[str, bytes]) -> list[Triple]:
    return [(of, str(name).encode(), value) for name, value in fields.items()]


def _by_name(triples: Iterable[Triple]) -> dict[str, dict[bytes, bytes]]:
    found: dict[str, dict[bytes, bytes]] = defaultdict(dict)
    for of, name, value in triples:
        found[of][name] = value
    return found
