"""The import assistant: files and answers in, a plan or questions out."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any, Final, cast

import numpy as np
import pandas as pd

from producer.cleaning import ColumnError, clean_ids, clean_times, formats_of
from producer.day_order import OrderEvidence
from producer.importing.facts import MOSTLY
from producer.importing.guessing import Finding, Guess, guess, is_generic
from producer.importing.plan import IMPORT_FIELDS, ORDER_LEVEL, ImportPlan, TableShape
from producer.importing.prices import agrees, is_of_order, of_one_or_of_all
from producer.importing.questions import Answers, Choice, Question
from producer.importing.sampling import Files
from producer.mapping import SETTABLE, MappingError, preset_of
from producer.numbers import DecimalEvidence, DecimalSign, is_code
from producer.table import TableError

_NUMBERS: Final = ("quantity", "unit_price", "amount")
_TOLD_APART: Final = frozenset({"customer_id", "order_id", "occurred_at", "item_id", *_NUMBERS})
"""Fields of which another column of the same name would make other orders."""
_RETURNS: Final = r"C\d"
_LEAST_YEAR: Final = 1990


@dataclass(frozen=True, slots=True)
class Known:
    """What the settings say already."""

    currency: str | None = None
    zone: str | None = None


@dataclass(slots=True)
class Examination:
    """What was made out, and what is unclear."""

    findings: list[Finding] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    plan: ImportPlan | None = None
    """None while there are questions."""
    lines: Files | None = None
    orders: Files | None = None


def examine(kinds: Sequence[Files], answers: Answers, known: Known) -> Examination:
    """Look at files of one kind, or of two: order lines, and the orders that they belong to.

    Raises TableError, MappingError for what no answer can help.
    """
    result = Examination()
    lines, orders = _roles(kinds, answers, result)
    if result.questions:
        return result
    result.lines, result.orders = lines.files, None if orders is None else orders.files
    preset = preset_of(lines.files.columns) if orders is None and not _maps(answers, lines.files) else None
    if preset is not None:
        there = {name: column for name, column in preset.columns.items() if column in lines.files.columns}
        lines.guess = Guess(dict(there), [Finding(name, column, preset.name) for name, column in there.items()])
    sides = [one for one in (lines, orders) if one is not None]
    constants = _constants(sides, answers)
    _decide_who(sides, answers, result)
    _decide_when(sides, result)
    for one in sides:
        _look_through(one, answers, result)
    _decide_price(lines, constants, result)
    _decide_currency(sides, constants, preset.currency if preset else None, known, result)
    zone = _zone(sides, answers, known, result)
    cancelled = _cancelled(lines, answers, preset is not None, result)
    for one in sides:
        _decide_twins(one, answers, result)
        result.findings += _told(one, apart=orders is not None)
    if not any("order_id" in one.guess.columns for one in sides):
        result.findings.append(Finding("order_id", "-", "no column: what a customer bought at one moment is one order"))
    if result.questions:
        return result
    shapes = [one.shape(answers) for one in sides]
    result.plan = ImportPlan.of_table(
        ImportPlan(
            lines=shapes[0],
            orders=shapes[1] if orders is not None else None,
            constants=constants,
            zone=zone,
            cancelled=cancelled,
            customer_from=cast("Any", answers.get("customer_from", "id")),
            guests=cast("Any", answers.get("guests", "count")),
            preset=preset.name if preset else None,
        ).as_table()
    )
    return result


@dataclass(slots=True)
class _Side:
    """Files of one kind, and what is guessed of them."""

    files: Files
    guess: Guess
    decimal: DecimalSign = "."
    time_format: str | None = None

    def column(self, name: str) -> "pd.Series[Any]":
        """Of the sample."""
        return self.files.sample[self.guess.columns[name]]

    def shape(self, answers: Answers) -> TableShape:
        """How such files are to be read from now on: what was looked for in these stays to be looked for."""
        header = answers.get("header")
        table = self.files.tables[0]
        return TableShape(
            columns={name: self.guess.columns[name] for name in IMPORT_FIELDS if name in self.guess.columns},
            encoding=answers.get("encoding"),
            separator=answers.get("separator"),
            header=None if table.dialect is None or (header is None and table.header) else table.header,
            sheet=answers.get("sheet"),
            decimal=self.decimal,
            time_format=self.time_format,
        )


def _told(side: _Side, *, apart: bool) -> list[Finding]:
    """What was found out and still holds, the last word on each field; of two tables, with the table's name."""
    columns = side.guess.columns
    held = {
        (found.what, found.value): found
        for found in side.guess.findings
        if found.what not in IMPORT_FIELDS or columns.get(found.what) == found.value
    }
    if not apart:
        return list(held.values())
    return [Finding(found.what, f"{found.value} ({side.files.names})", found.because) for found in held.values()]


def _constants(sides: Sequence[_Side], answers: Answers) -> dict[str, str]:
    """What every row has, as was said: no column says it then."""
    constants = {name.removeprefix("set."): value for name, value in answers.items() if name.startswith("set.")}
    for name in constants:
        if name not in SETTABLE:
            raise MappingError(f"--set {name}: only {', '.join(SETTABLE)} can be set for a whole table")
        for one in sides:
            one.guess.columns.pop(name, None)
    return constants


# ---- which files are what ----


def _maps(answers: Answers, files: Files, side: str = "") -> dict[str, str]:
    """Field to column, as asked for, of the columns that these files have."""
    asked = {}
    for key, column in answers.items():
        if not key.startswith("map."):
            continue
        name = key.removeprefix("map.")
        of, _, plain = name.rpartition(".")
        if plain not in IMPORT_FIELDS or of not in {"", "orders"}:
            raise MappingError(f"--map {name}: unknown field; there are {', '.join(IMPORT_FIELDS)}")
        if column in files.columns and of in {"", side}:
            asked[plain] = column
    return asked


def _roles(kinds: Sequence[Files], answers: Answers, result: Examination) -> tuple[_Side, _Side | None]:
    if len(kinds) > 2:
        listed = "; ".join(files.names for files in kinds)
        raise TableError(
            f"files of {len(kinds)} kinds, by their columns: {listed}. Import order lines with their orders"
        )
    for key, column in answers.items():
        if key.startswith("map.") and not any(column in files.columns for files in kinds):
            there = "; ".join(", ".join(files.columns) for files in kinds)
            raise MappingError(f"--map {key.removeprefix('map.')}: no column {column!r}; there are {there}")
    sides = [_Side(files, guess(files, _maps(answers, files))) for files in kinds]
    if len(sides) == 1:
        return sides[0], None
    heads = [_is_head(side) for side in sides]
    if heads[0] == heads[1]:
        raise TableError(
            f"{sides[0].files.names} and {sides[1].files.names} have different columns, and it is unclear which says "
            "who ordered when, and which what was ordered. Import them one after the other, or say --map for both"
        )
    lines, orders = (sides[1], sides[0]) if heads[0] else (sides[0], sides[1])
    orders.guess = guess(orders.files, _maps(answers, orders.files, "orders"))
    _join(lines, orders, answers, result)
    return lines, orders


def _is_head(side: _Side) -> bool:
    """Whether files say who ordered when, and not what."""
    columns = side.guess.columns
    return "quantity" not in columns and "item_id" not in columns and "occurred_at" in columns


def _join(lines: _Side, orders: _Side, answers: Answers, result: Examination) -> None:
    """Which columns name the order on both sides, and what each side is asked for."""
    asked = (_maps(answers, lines.files).get("order_id"), _maps(answers, orders.files, "orders").get("order_id"))
    pairs: list[tuple[float, float, str, str]] = []
    for left in [asked[0]] if asked[0] else lines.files.columns:
        named = set(clean_ids(lines.files.sample[left]).texts)
        for right in [asked[1]] if asked[1] else orders.files.columns:
            ids = clean_ids(orders.files.sample[right])
            if not named or len(ids.texts) < 0.99 * len(ids.codes):
                continue  # an order has one row
            shared = len(named & set(ids.texts)) / len(named)
            if shared > 0.2 or (asked[0] and asked[1]):
                pairs.append(
                    (shared, float("order" in left.lower() or left in lines.guess.columns.values()), left, right)
                )
    if not pairs:
        result.questions.append(
            Question(
                f"{lines.files.names} and {orders.files.names}: no two columns name the same orders.",
                option="--map order_id=COLUMN --map orders.order_id=COLUMN",
            )
        )
        return
    shared, _, left, right = max(pairs)
    because = f"{shared:.0%} of the first lines have their order in {orders.files.names}"
    kept = {name: column for name, column in orders.guess.columns.items() if name in ORDER_LEVEL and column != right}
    orders.guess.columns = {"order_id": right, **{name: one for name, one in kept.items() if name != "order_id"}}
    orders.guess.findings.append(Finding("order_id", right, because))
    own = {name: column for name, column in lines.guess.columns.items() if column != left and name != "order_id"}
    lines.guess.columns = {
        "order_id": left,
        **{name: one for name, one in own.items() if name not in orders.guess.columns},
    }
    lines.guess.findings.append(Finding("order_id", left, because))
    for candidates in (lines.guess.prices, lines.guess.amounts):
        if left in candidates:
            candidates.remove(left)


# ---- who and when ----


def _decide_who(sides: Sequence[_Side], answers: Answers, result: Examination) -> None:
    named = {name: column for side in sides for name, column in side.guess.columns.items()}
    chosen = answers.get("customer_from")
    by_mail = named.get("email")
    if chosen is None and "customer_id" not in named:
        nobody = Choice(
            "nobody: all orders are of guests, and count for what is recommended alone",
            {"customer_from": "nobody"},
            "--customer-from nobody",
        )
        if by_mail is not None:
            hashed = Choice(
                f"a salted hash of {by_mail!r}: who orders with the same address is the same customer",
                {"customer_from": "email"},
                "--customer-from email",
            )
            result.questions.append(
                Question(f"no column is a customer's number, but {by_mail!r} holds e-mail addresses.", (hashed, nobody))
            )
        else:
            result.questions.append(
                Question(
                    f"which column is the customer? {_there_is(sides)}",
                    (nobody,) if "order_id" in named else (),
                    "map.customer_id",
                    "--map customer_id=COLUMN",
                    _unnamed(sides),
                )
            )
    if chosen == "email" and by_mail is None:
        result.questions.append(
            Question(f"which column holds e-mail addresses? {_there_is(sides)}", (), "map.email", "--map email=COLUMN")
        )
    if chosen == "id" and "customer_id" not in named:
        result.questions.append(
            Question(
                f"which column is the customer? {_there_is(sides)}", (), "map.customer_id", "--map customer_id=COLUMN"
            )
        )
    if chosen == "nobody" and "order_id" not in named:
        result.questions.append(
            Question(
                f"without customers, which column is the order? {_there_is(sides)}",
                (),
                "map.order_id",
                "--map order_id=COLUMN",
                _unnamed(sides),
            )
        )
    # Addresses are read only where they are who ordered, and so are numbers.
    unused = {"email": ("customer_id",), "nobody": ("customer_id", "email")}.get(chosen or "id", ("email",))
    for side in sides:
        for name in unused:
            side.guess.columns.pop(name, None)


def _decide_when(sides: Sequence[_Side], result: Examination) -> None:
    if not any("occurred_at" in side.guess.columns for side in sides):
        dated = [name for side in sides for name in side.files.columns if side.files.facts[name].dates >= MOSTLY]
        result.questions.append(
            Question(
                f"which column says when? {_there_is(sides)}",
                (),
                "map.occurred_at",
                "--map occurred_at=COLUMN",
                dated or _unnamed(sides),
            )
        )


def _decide_twins(side: _Side, answers: Answers, result: Examination) -> None:
    """Of two columns with one name either may be meant; the second one is called as the first, and .1 behind it."""
    for name, column in side.guess.columns.items():
        twin = f"{column}.1"
        if name in _TOLD_APART and twin in side.files.columns and f"map.{name}" not in answers:
            choices = tuple(
                Choice(f"the {nth}", {f"map.{name}": one}, _mapped(name, one))
                for nth, one in (("first", column), ("second", twin))
            )
            result.questions.append(
                Question(f"{side.files.names}: two columns are called {column!r}: which is {name}?", choices)
            )


def _there_is(sides: Sequence[_Side]) -> str:
    return f"There are {'; '.join(', '.join(side.files.columns) for side in sides)}."


def _unnamed(sides: Sequence[_Side]) -> list[str]:
    return [name for side in sides for name in side.files.columns if name not in side.guess.columns.values()]


# ---- how numbers and dates are written ----


def _look_through(side: _Side, answers: Answers, result: Examination) -> None:
    """Decimal signs and the order of days, months and years: from as many rows as it takes, up to all."""
    columns = side.guess.columns
    numbers = [columns[name] for name in _NUMBERS if name in columns] + side.guess.prices + side.guess.amounts
    decimals, dates = DecimalEvidence(), OrderEvidence()
    when = columns.get("occurred_at")
    in_digits = when is not None and _in_digits(side, when)

    def look(piece: pd.DataFrame) -> bool:
        for column in numbers:
            decimals.look(_plainly(piece[column], typed=side.files.tables[0].typed))
        if in_digits:
            dates.look(piece[when].dropna().unique().tolist())
        return (decimals.decided or not numbers) and (dates.decided or not in_digits)

    if not look(side.files.sample):
        decimals, dates = DecimalEvidence(), OrderEvidence()
        side.files.look_through({*numbers, *([when] if when is not None else [])}, look)
    asked = answers.get("decimal")
    if asked is not None:
        side.decimal = cast("DecimalSign", asked)
    elif decimals.sign is not None:
        side.decimal = decimals.sign
        if numbers and decimals.decided:
            shown = decimals.comma or decimals.point
            side.guess.findings.append(Finding("decimal", decimals.sign, f"as in {shown!r}"))
    else:
        result.questions.append(_which_decimal(side, decimals))
    if when is not None:
        side.time_format = answers.get("time_format") or _time_format(side, when, dates, result, in_digits=in_digits)


def _plainly(column: "pd.Series[Any]", *, typed: bool) -> list[str]:
    """Cells that show a decimal sign; numbers that a program wrote do not need to."""
    cells = column.dropna().unique().tolist()
    if typed and all(_is_float(cell) for cell in cells):
        return []
    return cells


def _is_float(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _which_decimal(side: _Side, decimals: DecimalEvidence) -> Question:
    if decimals.point and decimals.comma:
        text = f"{side.files.names}: {decimals.point!r} has a decimal point and {decimals.comma!r} a decimal comma."
    else:
        whole = decimals.unclear.replace(".", "").replace(",", "")
        text = f"{side.files.names}: is {decimals.unclear!r} {whole}, or does it have three decimals?"
    return Question(
        text,
        (
            Choice("the decimal sign is a point", {"decimal": "."}, "--decimal point"),
            Choice("the decimal sign is a comma", {"decimal": ","}, "--decimal comma"),
        ),
    )


def _in_digits(side: _Side, column: str) -> bool:
    evidence = OrderEvidence()
    evidence.look(str(cell).strip() for cell in side.files.sample[column].dropna().unique()[:1000])
    return evidence.seen > evidence.others


def _time_format(side: _Side, column: str, dates: OrderEvidence, result: Examination, *, in_digits: bool) -> str | None:
    if in_digits:
        if dates.order is not None:
            shown = getattr(dates, dates.order)
            meaning = {"dmy": "the day comes first", "mdy": "the month comes first", "ymd": "the year comes first"}
            side.guess.findings.append(Finding("time_format", dates.order, f"{meaning[dates.order]}, as in {shown!r}"))
            return dates.order
        result.questions.append(_which_order(side, column, dates))
        return None
    cells = side.files.sample[column].dropna().astype(str).str.strip()
    found = _other_format(cells)
    if found is None:
        result.questions.append(
            Question(
                f"{side.files.names}: column {column!r} holds times such as {str(cells.iloc[0])[:40]!r}: how are they "
                "written?"
                if len(cells)
                else f"{side.files.names}: column {column!r} is empty.",
                (),
                "time_format",
                "--time-format FORMAT, as for strptime",
            )
        )
    else:
        side.guess.findings.append(Finding("time_format", found, f"as in {str(cells.iloc[0])[:40]!r}"))
    return found


def _which_order(side: _Side, column: str, dates: OrderEvidence) -> Question:
    if dates.dmy and dates.mdy:
        text = f"{side.files.names}: column {column!r} has dates such as {dates.dmy!r} and {dates.mdy!r}."
    else:
        text = f"{side.files.names}: no date in {column!r} shows whether the day or the month comes first:"
        text += f" {(dates.unclear or dates.ymd)!r}."
    return Question(
        text,
        (
            Choice("the day comes first", {"time_format": "dmy"}, "--time-format dmy"),
            Choice("the month comes first", {"time_format": "mdy"}, "--time-format mdy"),
        ),
    )


def _other_format(cells: "pd.Series[Any]") -> str | None:
    """Since 1970, digits alone, or with names of months; None where none of them reads nearly all."""
    texts = pd.Series(cells.unique())
    digits = texts.str.replace(r"\.0+$", "", regex=True)
    epochs = {10: "s", 13: "ms", 16: "us"}
    candidates: list[str] = []
    if len(texts) and digits.str.fullmatch(r"\d+").all():
        candidates = [epochs.get(int(digits.str.len().median()), ""), "%Y%m%d", "%Y%m%d%H%M%S", "%Y%m%d%H%M"]
    else:
        candidates = formats_of(texts)
    for one in filter(None, candidates):
        try:
            times = clean_times(digits if one in {"s", "ms", "us"} else texts, UTC, one)
        except ColumnError:
            continue
        known = times[times != np.iinfo(np.int64).min]
        if len(known) >= MOSTLY * len(texts) and pd.Timestamp(int(np.median(known)), unit="us").year >= _LEAST_YEAR:
            return one
    return None


# ---- money ----


def _decide_price(lines: _Side, constants: Mapping[str, str], result: Examination) -> None:
    found = lines.guess
    if {"unit_price", "amount"} & (found.columns.keys() | constants.keys()):
        return
    amounts = list(found.amounts)
    if "order_id" in found.columns:
        totals = [one for one in amounts if is_of_order(lines.files.sample[one], lines.column("order_id"))]
        amounts = [one for one in amounts if one not in totals]
        for column in totals:
            found.findings.append(Finding("-", column, "not used: the total of a whole order"))
    price, amount = next(iter(found.prices), None), next(iter(amounts), None)
    if price is None and amount is None:
        result.questions.append(
            Question(
                f"which column is the price? {_there_is([lines])}",
                tuple(
                    Choice(f"{kind}, {column!r}", {f"map.{name}": column}, _mapped(name, column))
                    for column in _unnamed([lines])
                    if lines.files.facts[column].numbers >= MOSTLY
                    for name, kind in (("unit_price", "the price of one"), ("amount", "the price of the line"))
                ),
                "" if any(lines.files.facts[one].numbers >= MOSTLY for one in _unnamed([lines])) else "map.unit_price",
                "--map unit_price=COLUMN or --map amount=COLUMN",
            )
        )
    elif price is not None and amount is not None:
        if "quantity" in found.columns and agrees(
            lines.column("quantity"), lines.files.sample[price], lines.files.sample[amount], lines.decimal
        ):
            found.take("unit_price", price, f"times the quantity it is {amount!r}")
        else:
            result.questions.append(
                _of_one_or_all(lines, price, amount, f"{price!r} times the quantity is not {amount!r}.")
            )
    else:
        _decide_single_price(lines, price, amount, result)


def _decide_single_price(lines: _Side, price: str | None, amount: str | None, result: Examination) -> None:
    found = lines.guess
    column = price or amount
    assert column is not None
    said = "unit_price" if price is not None else "amount"
    if "quantity" not in found.columns or not is_generic(column):
        found.take(said, column, "by its name")
        return
    if "item_id" in found.columns:
        shown = of_one_or_of_all(
            lines.column("item_id"), lines.column("quantity"), lines.files.sample[column], lines.decimal
        )
        if shown:
            why = {"unit_price": "one costs the same whatever the quantity", "amount": "it grows with the quantity"}
            found.take(shown, column, why[shown])
            return
    result.questions.append(_of_one_or_all(lines, column, column, f"is {column!r} the price of one, or of the line?"))


def _of_one_or_all(lines: _Side, price: str, amount: str, text: str) -> Question:
    return Question(
        f"{lines.files.names}: {text}",
        (
            Choice(f"{price!r} is the price of one", {"map.unit_price": price}, _mapped("unit_price", price)),
            Choice(f"{amount!r} is what the line cost", {"map.amount": amount}, _mapped("amount", amount)),
        ),
    )


def _mapped(name: str, column: str) -> str:
    return f"--map {shlex.quote(f'{name}={column}')}"


def _decide_currency(
    sides: Sequence[_Side], constants: dict[str, str], of_preset: str | None, known: Known, result: Examination
) -> None:
    if "currency" in constants or any("currency" in side.guess.columns for side in sides):
        return
    signs = _signs(sides[0])
    told = bool(signs) and all(map(is_code, signs))
    if of_preset is not None:
        constants["currency"] = of_preset
    elif told and len(signs) == 1:
        (constants["currency"],) = signs
        result.findings.append(Finding("currency", constants["currency"], "it stands beside the prices"))
    elif told:
        columns = sides[0].guess.columns
        price = columns.get("unit_price") or columns["amount"]
        sides[0].guess.take("currency", price, f"{' and '.join(sorted(signs))} stand beside the prices")
    elif known.currency is not None and not signs:
        constants["currency"] = known.currency
        result.findings.append(Finding("currency", known.currency, "no column; as the settings say"))
    else:
        seen = f" Beside them stands {', '.join(sorted(signs))}." if signs else ""
        result.questions.append(
            Question(
                f"which currency are the prices in?{seen}",
                (),
                "set.currency",
                "--set currency=EUR, or --map currency=COLUMN",
                (known.currency,) if known.currency else (),
            )
        )


def _signs(lines: _Side) -> frozenset[str]:
    columns = [lines.guess.columns[name] for name in ("unit_price", "amount") if name in lines.guess.columns]
    return frozenset().union(*(lines.files.facts[column].signs for column in columns))


def _zone(sides: Sequence[_Side], answers: Answers, known: Known, result: Examination) -> str:
    if "zone" in answers:
        return answers["zone"]
    side = next((one for one in sides if "occurred_at" in one.guess.columns), None)
    if side is not None:
        cells = side.column("occurred_at").dropna().astype(str).str.strip()
        named = cells.str.contains(r":\d{2}(?:\.\d+)?\s*(?:[Zz]|UTC|GMT|[+-]\d{2}:?\d{2})$")
        if bool(named.all()) or side.time_format in {"s", "ms", "us"}:
            result.findings.append(
                Finding("zone", known.zone or "UTC", "times name their own; months are counted in it")
            )
        elif not bool(cells.str.contains(r"\d[:.h]\d{2}").any()) or not bool(_has_clock(cells).any()):
            result.findings.append(Finding("zone", known.zone or "UTC", "there are dates only"))
        elif known.zone is None:
            result.questions.append(
                Question(
                    f"in which time zone are times such as {str(cells.iloc[0])[:40]!r}?",
                    (),
                    "zone",
                    "--zone Europe/London",
                )
            )
        else:
            result.findings.append(Finding("zone", known.zone, "as the settings say"))
    return known.zone or "UTC"


def _has_clock(cells: "pd.Series[Any]") -> "pd.Series[Any]":
    """Which cells say more than midnight."""
    clock: pd.Series[Any] = cells.str.contains(r"\d{1,2}[:h]\d{2}") & ~cells.str.contains(r"\b00:00(?::00)?(?:\.0+)?$")
    return clock


def _cancelled(lines: _Side, answers: Answers, is_preset: bool, result: Examination) -> str:  # noqa: FBT001
    if "cancelled" in answers:
        return answers["cancelled"]
    if is_preset:
        return _RETURNS
    if "order_id" not in lines.guess.columns:
        return ""
    ids = lines.column("order_id").astype("str").str.strip()
    like = ids.str.match(_RETURNS).fillna(value=False)
    if not bool(like.any()) or float(like.mean()) > 0.5:
        return ""
    for name in ("quantity", "amount"):
        if name in lines.guess.columns and bool(
            lines.column(name)[like].astype("str").str.contains("[-\u2212(]").all()
        ):
            return ""  # their signs say so already
    result.questions.append(
        Question(
            f"{lines.files.names}: are orders such as {ids[like].iloc[0]!r} returns?",
            (
                Choice("yes", {"cancelled": _RETURNS}, f"--cancelled '{_RETURNS}'"),
                Choice("no", {"cancelled": ""}, "--cancelled ''"),
            ),
        )
    )
    return ""
