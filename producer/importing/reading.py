"""Files and a plan in, events by time and totals out: in pieces, so that no file has to fit into memory."""

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, tzinfo
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from contracts.catalog import CatalogItem
from producer.cleaning import NO_TIME, ColumnError
from producer.day_order import ORDERS, OrderEvidence
from producer.importing.plan import ORDER_LEVEL, ImportPlan, TableShape
from producer.importing.pseudonyms import Pseudonyms, SaltError
from producer.importing.runs import Runs
from producer.importing.spill import ROW, Spill, buckets_for
from producer.importing.totals import Files, Totals
from producer.lines import Reading, read_lines
from producer.mapping import ColumnMapping, compiled
from producer.message import Message
from producer.numbers import DecimalEvidence, DecimalSign, currency_sign, parse_number
from producer.order_items import ItemBook
from producer.orders import group, refused
from producer.presets import PRESETS
from producer.summary import ReplaySummary
from producer.table import TableError, TableFile, look_at

EXAMPLES: Final = 5
_PACKED: Final = 5
"""A Parquet file, or what is compressed, becomes about so many times larger as text."""
_SHOWN: Final = 10
_LOOKED_AT: Final = 1_000
"""Distinct cells that can not be read are looked at for how they may be meant."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the reading is."""

    doing: str
    done: int
    of: int | None = None


class Import:
    """What files tell under a plan. A context manager: the events stand in a folder that goes with it.

    Parameters:
        plan: how to read them.
        lines, orders: the files of each kind.
        now: microseconds UTC; what happened after it is left out.
        pseudonyms: for a plan that makes customers of e-mail addresses.
        folder: where to keep what does not fit into memory; the machine's own for such things by default.
        progress: called now and then.
    """

    def __init__(
        self,
        plan: ImportPlan,
        lines: Sequence[TableFile],
        orders: Sequence[TableFile] = (),
        *,
        now: int,
        pseudonyms: Pseudonyms | None = None,
        folder: Path | None = None,
        progress: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        if plan.customer_from == "email" and pseudonyms is None:
            raise SaltError("customers are made of e-mail addresses, and there is no customer_salt to hash them with")
        self.plan = plan
        self._now = now
        self._pseudonyms = pseudonyms
        self._progress = progress
        self._zone = zone_of(plan)
        self._totals = Totals(self._zone)
        self._book = ItemBook()
        self._examples: list[tuple[int, Message]] = []
        self._count = 0
        self._files = Files((), np.zeros(0, np.int64))
        self._against: dict[str, str] = {}
        preset = next((one for one in PRESETS if one.name == plan.preset), None)
        self._non_products = preset.non_products if preset is not None else ()
        try:
            with ExitStack() as undo:
                kept = undo.enter_context(tempfile.TemporaryDirectory(prefix="livesegments-import-", dir=folder))
                self._runs = Runs(Path(kept))
                self._read(lines, orders, Path(kept))
                self._folder = undo.pop_all()
        except OSError as error:
            where = folder or tempfile.gettempdir()
            raise TableError(
                f"temporary files in {where}: {error.strerror or error}. Let TMPDIR name a folder with room for"
                " about twice the table"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.close()

    def __len__(self) -> int:
        return self._count

    def messages(self) -> Iterator[Message]:
        """Every event to be sent, by time."""
        return self._runs.merged()

    @property
    def summary(self) -> ReplaySummary:
        """Totals, guests among them."""
        return self._totals.summary(self.plan.preset)

    @property
    def items(self) -> list[CatalogItem]:
        """What the files say of the items that events name."""
        return self._book.items(self._non_products)

    @property
    def examples(self) -> list[Message]:
        """The first orders of the files, as they are understood."""
        return [message for _, message in self._examples]

    @property
    def usual_gap(self) -> float | None:
        """Days within which seven of eight customers who buy again do: what `lapse_days` should be."""
        return self._totals.usual_gap

    @property
    def contradictions(self) -> list[str]:
        """What says that dates or numbers are not all written as the plan has it: some may be read as others."""
        return list(self._against.values())

    # ---- reading ----

    def _read(self, lines: Sequence[TableFile], orders: Sequence[TableFile], folder: Path) -> None:
        buckets = buckets_for(sum(_size(table.path) for table in (*lines, *orders)))
        spilt, self._files = self._spill(lines, self.plan.lines, folder / "lines", buckets)
        heads = order_files = None
        if self.plan.orders is not None:
            heads, order_files = self._spill(orders, self.plan.orders, folder / "orders", buckets)
        self._totals.rows = spilt.rows
        empty: ColumnError | None = None
        for bucket in range(buckets):
            self._progress(Progress("sorting", bucket, buckets))
            frame = spilt.read(bucket)
            if heads is not None and order_files is not None:
                frame = self._joined(frame, heads.read(bucket), order_files)
            if len(frame):
                try:
                    self._take(frame)
                except ColumnError as error:
                    # Of few rows a whole column may be empty; of all it may not.
                    empty = error
                    self._skip(error.reason, frame[ROW])
        if empty is not None and not self._totals.lines:
            raise empty

    def _spill(self, tables: Sequence[TableFile], shape: TableShape, path: Path, buckets: int) -> tuple[Spill, Files]:
        """The rows of files, and where each file begins."""
        names = sorted({"customer_id" if name == "email" else name for name in shape.columns})
        spill = Spill(path.parent, path.name, names, buckets)
        starts = []
        for table in tables:
            starts.append(spill.rows)
            for piece in table.pieces(set(shape.columns.values())):
                frame = pd.DataFrame({name: piece[column] for name, column in shape.columns.items()})
                if "email" in frame:
                    frame["customer_id"] = self._hashed(frame.pop("email"))
                if "currency" in frame:
                    frame["currency"] = _currency_codes(frame["currency"])
                spill.add(frame, frame["order_id"] if "order_id" in frame else frame["customer_id"])
                self._progress(Progress(f"reading {table.path.name}", spill.rows))
        spill.close()
        return spill, Files([table.path.name for table in tables], np.array(starts, np.int64))

    def _skip(self, reason: str, places: "pd.Series[int]", files: Files | None = None) -> None:
        """Rows at these places are no lines; `files` are those of lines unless said otherwise."""
        if len(places):
            self._totals.skip(reason, len(places), int(places.min()), files or self._files)

    def _hashed(self, addresses: "pd.Series[Any]") -> "pd.Series[Any]":
        """Ids in place of addresses: those stand in no file of ours."""
        assert self._pseudonyms is not None
        codes, uniques = pd.factorize(addresses, use_na_sentinel=True)
        ids = [self._pseudonyms.of(str(unique)) for unique in uniques]
        return pd.Series(np.array([*ids, None], object)[codes], index=addresses.index)

    def _joined(self, frame: pd.DataFrame, heads: pd.DataFrame, order_files: Files) -> pd.DataFrame:
        """Lines with what their orders say; lines without an order are counted and left out."""
        keys = [_keys(one["order_id"]) for one in (frame, heads)]
        heads = heads.assign(order_id=keys[1]).dropna(subset=["order_id"])
        repeated = heads.duplicated("order_id")
        self._skip("another row of this order stands before (table of orders)", heads[ROW][repeated], order_files)
        heads = heads[~repeated]
        own = frame.assign(order_id=keys[0])
        known = own["order_id"].isin(heads["order_id"])
        self._skip("no order in the table of orders", own[ROW][~known])
        bare = ~heads["order_id"].isin(own["order_id"])
        self._skip("order without lines (table of orders)", heads[ROW][bare], order_files)
        return own[known].merge(heads.drop(columns=[ROW]), on="order_id", how="left", validate="m:1")

    def _take(self, frame: pd.DataFrame) -> None:
        """The orders of one bucket."""
        frame = _filled_up(self._once(frame))
        mapping = self._mapping(frame)
        reading = read_lines(frame, mapping, self._zone, self._now)
        self._look_for_contradictions(frame, mapping, reading)
        places = frame[ROW].to_numpy(np.int64)
        orders = group(reading.lines)
        refusals, not_sent = refused(orders)
        orders = orders.select(~refusals)
        totals = self._totals
        totals.lines += reading.used
        for reason, count in reading.skipped.items():
            totals.skip(reason, count, int(places[reading.first_skipped[reason]]), self._files)
        totals.refused += len(not_sent)
        totals.not_sent += not_sent[: max(0, _SHOWN * 10 - len(totals.not_sent))]
        guests = totals.add(orders)
        self._book.add(frame, mapping, reading, places)
        first = places[reading.rows[orders.first]]
        if self.plan.guests == "leave-out":
            chosen = ~guests
            orders, first = orders.select(chosen), first[chosen]
        by_time = np.lexsort((first, orders.occurred_at))
        # `group` has them by time, and of one moment as they stand in the bucket: that is by place already.
        assert bool((by_time == np.arange(len(by_time))).all())
        wanted = set(np.sort(first)[:EXAMPLES].tolist())
        self._count += self._runs.add(self._noted(orders.messages(), first.tolist(), wanted))
        self._examples = sorted(self._examples)[:EXAMPLES]

    def _once(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Rows of orders without those that an earlier file has, too: exports that overlap."""
        if len(self._files.starts) < 2 or "order_id" not in frame:
            return frame
        files = pd.Series(np.searchsorted(self._files.starts, frame[ROW], side="right"), index=frame.index)
        rows = pd.util.hash_pandas_object(frame.drop(columns=[ROW]), index=False)
        again = files > files.groupby(rows).transform("min")
        self._skip("stands in an earlier file, too", frame[ROW][again])
        return frame[~again].reset_index(drop=True)

    def _look_for_contradictions(self, frame: pd.DataFrame, mapping: ColumnMapping, reading: Reading) -> None:
        """See `contradictions`: shown by what can not be read in the plan's way, and can in another."""
        if mapping.time_format in ORDERS and "dates" not in self._against:
            dates = OrderEvidence()
            dates.look(frame["occurred_at"][reading.times == NO_TIME].dropna().unique()[:_LOOKED_AT].tolist())
            for order in ORDERS:
                if order != mapping.time_format and (shown := getattr(dates, order)):
                    self._against["dates"] = (
                        f"dates such as {shown!r} are {order}, and all are read as {mapping.time_format}"
                    )
        if any(reason.endswith("is no number") for reason in reading.skipped) and "numbers" not in self._against:
            for name in ("quantity", "unit_price", "amount"):
                if name in frame:
                    self._look_at_numbers(frame[name].dropna().unique().tolist(), mapping.decimal or ".")

    def _look_at_numbers(self, cells: Sequence[str], decimal: DecimalSign) -> None:
        numbers = DecimalEvidence()
        numbers.look([cell for cell in cells if math.isnan(parse_number(cell, decimal))][:_LOOKED_AT])
        other, shown = ("comma", numbers.comma) if decimal == "." else ("point", numbers.point)
        if shown:
            own = "point" if decimal == "." else "comma"
            self._against["numbers"] = (
                f"numbers such as {shown!r} have a decimal {other}, and all are read with a {own}"
            )

    def _noted(self, messages: Iterator[Message], first: list[int], wanted: set[int]) -> Iterator[tuple[int, Message]]:
        for place, message in zip(first, messages, strict=True):
            if place in wanted:
                self._examples.append((place, message))
            yield place, message

    def _mapping(self, frame: pd.DataFrame) -> ColumnMapping:
        plan = self.plan
        shape = plan.orders if plan.orders is not None and "occurred_at" in plan.orders.columns else plan.lines
        return ColumnMapping(
            kind="orders",
            columns={name: name for name in frame.columns if name != ROW},
            constants=plan.constants,
            cancelled=compiled(plan.cancelled),
            time_format=shape.time_format,
            preset=plan.preset,
            non_products=self._non_products,
            decimal=plan.lines.decimal,
            guests=True,
        )


def zone_of(plan: ImportPlan) -> tzinfo:
    """The zone of times that name none, and of months."""
    return UTC if plan.zone == "UTC" else ZoneInfo(plan.zone)


def assigned(
    plan: ImportPlan, paths: Sequence[Path], tables: Sequence[TableFile] | None = None
) -> tuple[list[TableFile], list[TableFile]]:
    """Files by kind under a plan: those of lines, and those of orders. Raises TableError where one is of neither."""
    kinds: tuple[list[TableFile], list[TableFile]] = ([], [])
    for place, path in enumerate(paths):
        found = tables[place] if tables is not None else None
        for kind, shape in zip(kinds, plan.shapes, strict=False):
            table = found or look_at(
                path, shape.sheet, encoding=shape.encoding, separator=shape.separator, header=shape.header
            )
            if shape.fits(table.columns):
                kind.append(table)
                break
        else:
            wanted = " or ".join(", ".join(shape.columns.values()) for shape in plan.shapes)
            raise TableError(f"{path}: has not the columns {wanted}")
    for kind, shape in zip(kinds, plan.shapes, strict=False):
        if not kind:
            raise TableError(f"there is no file with the columns {', '.join(shape.columns.values())}: name it, too")
    return kinds


def _filled_up(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows with what other rows of their order say of the order: some shops write it into the first line alone."""
    if "order_id" not in frame:
        return frame
    keys = _keys(frame["order_id"])
    filled = {}
    for name in ORDER_LEVEL[1:]:
        if name in frame:
            column = frame[name].where(frame[name].str.strip() != "")
            if column.isna().any() and column.notna().any():
                groups: Any = column.groupby(keys)
                alike = groups.transform("nunique") == 1
                filled[name] = column.where(column.notna() | ~alike, groups.transform("first"))
    return frame.assign(**filled)


def _keys(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Order ids as they are compared: 1001.0 is 1001."""
    text = column.astype("str").str.strip()
    keys: pd.Series[Any] = text.str.replace(r"^(-?\d+)\.0+$", r"\1", regex=True)
    return keys.where(column.notna() & (keys != ""))


def _currency_codes(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Codes, also where signs such as € stand."""
    codes, uniques = pd.factorize(column, use_na_sentinel=True)
    texts = [str(unique).strip() for unique in uniques]
    found = [currency_sign(f"1 {text}") or text for text in texts]
    return pd.Series(np.array([*found, None], object)[codes], index=column.index)


def _size(path: Path) -> int:
    """About how many bytes it is as text."""
    plain = path.suffix.lower() in {".csv", ".tsv", ".tab", ".txt", ".jsonl", ".ndjson"}
    return path.stat().st_size * (1 if plain else _PACKED)
