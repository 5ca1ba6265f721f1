"""Rows of a table as clean order lines, and the count of those that are none, by reason."""

import re
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, Final

import numpy as np
import pandas as pd

from contracts.guests import guest_id
from contracts.money import MAX_LINE_MILLIONTHS, MAX_QUANTITY, MAX_UNIT_PRICE, MILLIONTHS
from contracts.times import MINUTE, rfc3339
from producer.cleaning import (
    INVALID,
    MISSING,
    NO_TIME,
    ColumnError,
    Floats,
    Ids,
    Ints,
    Mask,
    clean_ids,
    clean_numbers,
    clean_times,
    to_millionths,
)
from producer.mapping import AMOUNT_ITEM, ColumnMapping
from producer.numbers import currency_sign, may_be

MAX_AHEAD: Final = 5 * MINUTE
"""How far an event may lie in the future before the consumer refuses it."""
_CURRENCY = r"[A-Z]{3}"
_NO_CODE = "currency is no ISO 4217 code"


@dataclass(frozen=True, slots=True)
class Lines:
    """Order lines as columns of one length (lines,), in the order of the file."""

    customer: Ints
    """Codes into `customers`; likewise order, item and currency."""
    order: Ints
    item: Ints
    currency: Ints
    occurred_at: Ints
    """Microseconds UTC."""
    quantity: Ints
    """Always positive."""
    price: Ints
    """Of one unit, in millionths."""
    returned: Mask
    customers: list[str]
    orders: list[str]
    items: list[str]
    currencies: list[str]

    def __len__(self) -> int:
        return len(self.customer)


@dataclass(frozen=True, slots=True)
class Reading:
    """Lines, and what became of the other rows."""

    lines: Lines
    used: int
    """Rows that became lines; an amount that its quantity does not divide makes two lines of one row."""
    skipped: dict[str, int]
    first_skipped: dict[str, int]
    """By reason, the first row that was skipped for it."""
    guests: int
    items: Ids
    """Of every row, used or not."""
    times: Ints
    """Of every row, microseconds UTC."""
    kept: Mask
    """(rows,): which are used."""
    returned: Mask
    """(rows,): which say what came back."""
    rows: Ints
    """(lines,): the row of each line."""


class Sieve:
    """Which rows are still in; a row falls out for the first reason that applies."""

    def __init__(self, rows: int) -> None:
        self.kept: Mask = np.ones(rows, dtype=bool)
        self.skipped: dict[str, int] = {}
        self.first: dict[str, int] = {}
        """By reason, the first row that fell out for it."""

    def drop(self, unusable: Mask, reason: str) -> None:
        """Skip these rows."""
        dropped = self.kept & unusable
        count = int(np.count_nonzero(dropped))
        if count:
            self.skipped[reason] = self.skipped.get(reason, 0) + count
            first = int(np.argmax(dropped))
            self.first[reason] = min(first, self.first.get(reason, first))
            self.kept &= ~unusable

    def drop_ids(self, ids: Ids, name: str) -> None:
        """Skip rows whose id is missing or breaks the contract."""
        self.drop(ids.codes == MISSING, f"no {name}")
        self.drop(ids.codes == INVALID, f"{name} too long, or with control characters")


def read_lines(frame: pd.DataFrame, mapping: ColumnMapping, zone: tzinfo, now: int | None = None) -> Reading:
    """Clean a table's columns and leave out what is no order line.

    Customers come first, so that a row without one counts as such whatever else is wrong with it.
    Raises ColumnError where a whole column is not what it was mapped to.
    """
    rows = len(frame)
    sieve = Sieve(rows)
    nobody = Ids(np.full(rows, MISSING), [])
    customer = clean_ids(frame[mapping.columns["customer_id"]]) if "customer_id" in mapping.columns else nobody
    occurred_at = clean_times(frame[mapping.columns["occurred_at"]], zone, mapping.time_format)
    items = _ids(frame, mapping, "item_id", default=AMOUNT_ITEM)
    orders = _orders(frame, mapping, customer, occurred_at)
    guests = len(np.unique(orders.codes[(customer.codes == MISSING) & (orders.codes >= 0)]))
    if mapping.guests:
        customer = _with_guests(customer, orders)

    sieve.drop_ids(customer, "customer")
    sieve.drop(occurred_at == NO_TIME, "no time, or none that can be read")
    if now is not None:
        sieve.drop(occurred_at > now + MAX_AHEAD, "time in the future")
    sieve.drop_ids(orders, "order")
    sieve.drop_ids(items, "item")
    currency = _currencies(frame, mapping, sieve)
    if mapping.decimal is not None:
        sieve.drop(_of_another_currency(frame, mapping, currency), "another currency stands beside the price")
    quantity, price, remainder, returned = _money(frame, mapping, orders, sieve)

    kept = np.flatnonzero(sieve.kept)
    # Units that cost one millionth more, so that the amount comes out exactly, are a line of their own.
    split = remainder[kept] > 0
    twice = np.repeat(kept, 1 + split)
    second = np.zeros(len(twice), dtype=bool)
    second[np.cumsum(1 + split)[split] - 1] = True
    first_quantity = quantity[twice] - remainder[twice]
    return Reading(
        Lines(
            customer=customer.codes[twice],
            order=orders.codes[twice],
            item=items.codes[twice],
            currency=currency.codes[twice],
            occurred_at=occurred_at[twice],
            quantity=np.where(second, remainder[twice], first_quantity),
            price=price[twice] + second,
            returned=returned[twice],
            customers=customer.texts,
            orders=orders.texts,
            items=items.texts,
            currencies=currency.texts,
        ),
        used=len(kept),
        skipped=sieve.skipped,
        first_skipped=sieve.first,
        guests=guests,
        items=items,
        times=occurred_at,
        kept=sieve.kept,
        returned=returned,
        rows=twice,
    )


def _ids(frame: pd.DataFrame, mapping: ColumnMapping, name: str, default: str) -> Ids:
    if name in mapping.columns:
        return clean_ids(frame[mapping.columns[name]])
    constant = clean_ids(pd.Series([mapping.constants.get(name, default)], dtype=str))
    return Ids(np.repeat(constant.codes, len(frame)), constant.texts)


def _orders(frame: pd.DataFrame, mapping: ColumnMapping, customer: Ids, occurred_at: Ints) -> Ids:
    """The order of each row.

    Where no column says it, what a customer bought at one moment is one order if rows name items, and each row is an
    order if they do not.
    """
    if "order_id" in mapping.columns:
        return clean_ids(frame[mapping.columns["order_id"]])
    moments = pd.DataFrame({"customer": customer.codes, "occurred_at": occurred_at})
    usable = (moments["customer"] >= 0) & (moments["occurred_at"] != NO_TIME)
    group = moments[usable].groupby(["customer", "occurred_at"], sort=False)
    apart = "item_id" not in mapping.columns
    nth = group.cumcount().to_numpy() if apart else np.zeros(int(usable.sum()), dtype=np.int64)
    codes = np.full(len(frame), MISSING, dtype=np.int64)
    keys = zip(moments["customer"][usable].tolist(), moments["occurred_at"][usable].tolist(), nth.tolist(), strict=True)
    values: dict[str, int] = {}
    codes[usable.to_numpy()] = [
        values.setdefault(f"{customer.texts[code]}@{rfc3339(moment)}" + (f"#{n + 1}" if n else ""), len(values))
        for code, moment, n in keys
    ]
    return Ids(codes, list(values))


def _with_guests(customer: Ids, orders: Ids) -> Ids:
    """Customers, and where there is none but an order, a guest of that order alone."""
    guest = (customer.codes == MISSING) & (orders.codes >= 0)
    codes, places = np.unique(orders.codes[guest], return_inverse=True)
    texts = {text: place for place, text in enumerate(customer.texts)}
    own = [texts.setdefault(guest_id(orders.texts[code]), len(texts)) for code in codes]
    filled = customer.codes.copy()
    filled[guest] = np.asarray(own, dtype=np.int64)[places]
    return Ids(filled, list(texts))


def _currencies(frame: pd.DataFrame, mapping: ColumnMapping, sieve: Sieve) -> Ids:
    currency = _ids(frame, mapping, "currency", default="")
    codes = [text.upper() for text in currency.texts]
    known = [re.fullmatch(_CURRENCY, code) is not None for code in codes]
    if not any(known):
        raise ColumnError(f"currency {', '.join(codes[:3])!r}: expected an ISO 4217 code such as EUR", _NO_CODE)
    sieve.drop(currency.codes < 0, "no currency")
    sieve.drop(~currency.rows(known), _NO_CODE)
    return Ids(currency.codes, codes)


def _of_another_currency(frame: pd.DataFrame, mapping: ColumnMapping, currency: Ids) -> Mask:
    """Rows whose price bears the sign of another currency than theirs."""
    another = np.zeros(len(frame), dtype=bool)
    for name in ("unit_price", "amount"):
        if name not in mapping.columns:
            continue
        codes, uniques = pd.factorize(frame[mapping.columns[name]], use_na_sentinel=True)
        signs = np.array([*(currency_sign(str(unique)) for unique in uniques), None], object)
        for sign in set(signs) - {None}:
            strange = currency.rows([not may_be(sign, text) for text in currency.texts])
            another |= (signs == sign)[codes] & strange
    return another


def _money(frame: pd.DataFrame, mapping: ColumnMapping, orders: Ids, sieve: Sieve) -> tuple[Ints, Ints, Ints, Mask]:
    """Columns (rows,): quantity, price in millionths, units that cost one millionth more, whether it came back."""
    cancelled = np.zeros(len(frame), dtype=bool)
    if mapping.cancelled is not None:
        matches = [mapping.cancelled.match(order) is not None for order in orders.texts]
        cancelled = orders.rows(matches)
    signed = _numbers(frame, mapping, "quantity", default="1")
    sieve.drop(np.isnan(signed), "quantity is no number")
    sieve.drop(signed == 0, "zero quantity")
    sieve.drop((signed != np.rint(signed)) | np.isinf(signed), "quantity is not whole")
    sieve.drop(np.abs(signed) > MAX_QUANTITY, f"quantity above {MAX_QUANTITY}")
    quantity = np.where(sieve.kept, np.abs(signed), 1).astype(np.int64)
    returned = (signed < 0) | cancelled

    if "amount" not in mapping.columns:
        prices = _numbers(frame, mapping, "unit_price", default="0")
        sieve.drop(~np.isfinite(prices), "price is no number")
        sieve.drop(prices < 0, "negative price")
        price = to_millionths(prices)
        remainder = np.zeros(len(frame), dtype=np.int64)
    else:
        amounts = _numbers(frame, mapping, "amount", default="0")
        sieve.drop(~np.isfinite(amounts), "amount is no number")
        if "quantity" in mapping.columns:
            sieve.drop((amounts * signed < 0) & ~cancelled, "negative price")
        returned = returned | (amounts < 0)
        # Beyond the limit of a line the units do not matter: it is dropped below.
        price, remainder = np.divmod(to_millionths(np.abs(amounts)), quantity)
    sieve.drop(price + (remainder > 0) > MAX_UNIT_PRICE * MILLIONTHS, f"price above {MAX_UNIT_PRICE}")
    rough = price.astype(np.float64) * quantity  # int64 wraps silently, floats do not
    sieve.drop((rough > 2e18) | (price * quantity + remainder > MAX_LINE_MILLIONTHS), "line worth more than 1e12")
    return quantity, price, remainder, returned


def _numbers(frame: pd.DataFrame, mapping: ColumnMapping, name: str, default: str) -> Floats:
    if name in mapping.columns:
        return clean_numbers(frame[mapping.columns[name]], mapping.decimal)
    text = mapping.constants.get(name, default)
    try:
        number: Any = float(text)
    except ValueError:
        raise ColumnError(f"--set {name}={text}: expected a number") from None
    return np.full(len(frame), number)
