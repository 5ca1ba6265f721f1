"""From a table that says who customers are to profile events: every column is an attribute."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import tzinfo
from hashlib import blake2b
from typing import Any

import numpy as np
import pandas as pd

from contracts.events import MAX_ATTRIBUTE_BYTES, MAX_ATTRIBUTE_NUMBER, MAX_ATTRIBUTES, AttributeValue
from contracts.times import rfc3339, to_micros
from producer.cleaning import NO_TIME, Ints, clean_id, clean_ids, clean_times
from producer.lines import MAX_AHEAD, Sieve
from producer.mapping import ColumnMapping, MappingError
from producer.message import Message, ProfileJson, encode


@dataclass(frozen=True, slots=True)
class Profiles:
    """Events as columns of one length (events,), by time; of one moment, in the order of the file."""

    customers: list[str]
    occurred_at: Ints
    """Microseconds UTC."""
    attributes: list[dict[str, AttributeValue]]

    def __len__(self) -> int:
        return len(self.customers)

    def messages(self) -> Iterator[Message]:
        """Every event, encoded, by time."""
        for customer, moment, attributes in zip(
            self.customers, self.occurred_at.tolist(), self.attributes, strict=True
        ):
            time = rfc3339(moment)
            event_id = f"profile:{blake2b(f'{customer}@{time}'.encode(), digest_size=16).hexdigest()}"
            body = ProfileJson(event_id=event_id, customer_id=customer, occurred_at=time, attributes=attributes)
            yield Message(moment, event_id, customer.encode(), encode(body))


def read_profiles(
    frame: pd.DataFrame, mapping: ColumnMapping, zone: tzinfo, now: int, since: int | None = None
) -> tuple[Profiles, dict[str, int], dict[str, int]]:
    """Profile events; by reason how many rows are none, and the first of them.

    Rows without a time column happen at `now`. Of several rows of a customer at one moment the last counts. Values that
    are missing are left out; those that the contract does not allow are too, and counted.
    """
    columns = {name: column for name, column in mapping.columns.items() if name not in {"customer_id", "occurred_at"}}
    if not 0 < len(columns) <= MAX_ATTRIBUTES:
        raise MappingError(f"{len(columns)} columns of attributes; a profile has 1 to {MAX_ATTRIBUTES}")
    sieve = Sieve(len(frame))
    customer = clean_ids(frame[mapping.columns["customer_id"]])
    occurred_at = np.full(len(frame), now, dtype=np.int64)
    if "occurred_at" in mapping.columns:
        occurred_at = clean_times(frame[mapping.columns["occurred_at"]], zone, mapping.time_format)
    sieve.drop_ids(customer, "customer")
    sieve.drop(occurred_at == NO_TIME, "no time, or none that can be read")
    sieve.drop(occurred_at > now + MAX_AHEAD, "time in the future")
    if since is not None:
        sieve.drop(occurred_at < since, "before --since")
    moments = pd.DataFrame({"customer": customer.codes, "occurred_at": occurred_at})
    # Rows that fell out before may not stand in for those that are in.
    sieve.drop(_superseded(moments, sieve.kept), "another row of this customer at this time follows")

    kept = np.flatnonzero(sieve.kept)
    kept = kept[np.argsort(occurred_at[kept], kind="stable")]
    values = {name: _values(frame[column].iloc[kept]) for name, column in columns.items()}
    attributes = [
        {name: value for name, value in zip(values, row, strict=True) if value is not None}
        for row in zip(*values.values(), strict=True)
    ]
    broken = _drop_broken(attributes)
    skipped = sieve.skipped | (
        {"single attributes too long or too large (the rest was sent)": broken} if broken else {}
    )
    return (
        Profiles([customer.texts[code] for code in customer.codes[kept]], occurred_at[kept], attributes),
        skipped,
        sieve.first,
    )


def _superseded(
    moments: pd.DataFrame, kept: np.ndarray[Any, np.dtype[np.bool_]]
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    repeated = np.zeros(len(moments), dtype=bool)
    repeated[kept] = moments[kept].duplicated(keep="last").to_numpy()
    return repeated


def _values(column: "pd.Series[Any]") -> list[AttributeValue | None]:
    """A column as numbers if every value is one, else as text; None where there is no value."""
    present = column.notna().to_numpy(dtype=bool)
    if pd.api.types.is_bool_dtype(column.dtype):
        return [bool(value) if there else None for value, there in zip(column, present, strict=True)]
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return [_time(value) if there else None for value, there in zip(column, present, strict=True)]
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    if np.isfinite(numbers[present]).all():
        return [_number(value) if there else None for value, there in zip(numbers.tolist(), present, strict=True)]
    return [clean_id(value) if there else None for value, there in zip(column, present, strict=True)]


def _number(value: float) -> int | float:
    return int(value) if value.is_integer() and abs(value) <= MAX_ATTRIBUTE_NUMBER else value


def _time(value: Any) -> str:
    moment = pd.Timestamp(value)
    return rfc3339(to_micros(moment.tz_localize("UTC") if moment.tz is None else moment))


def _drop_broken(attributes: list[dict[str, AttributeValue]]) -> int:
    """Take out values that the contract refuses; how many there were."""
    count = 0
    for profile in attributes:
        for name in [name for name, value in profile.items() if not _allowed(name, value)]:
            del profile[name]
            count += 1
    return count


def _allowed(name: str, value: AttributeValue) -> bool:
    if isinstance(value, int | float) and abs(value) > MAX_ATTRIBUTE_NUMBER:
        return False
    return len(name.encode()) + len(str(value).encode()) <= MAX_ATTRIBUTE_BYTES
