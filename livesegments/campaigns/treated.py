"""The treated as a table: for the tool that writes to them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from consumer.state import State
from contracts.campaigns import Campaign
from dashboard.customer_rows import COLUMNS
from dashboard.formula_safe import formula_safe
from dashboard.table_stream import schema_with_constants, with_constants
from livesegments.campaigns.book import CampaignBook
from livesegments.campaigns.consent import Consent
from livesegments.campaigns.members import Members
from livesegments.parts import consent
from livesegments.records import Records, count_partitions, read_records
from livesegments.settings import Settings
from livesegments.table_file import write_table
from livesegments.web.rows import StateRows


@dataclass(slots=True)
class TreatedRows:
    """The treated of a campaign who may be written to as of now, as record batches of `customer_rows.COLUMNS`.

    Read from rows: who was erased since is not there. Iterate once; the counts are whole when it is over.
    """

    state: State
    rows: StateRows
    members: Members
    consent: Consent
    treated: int = 0
    """Customers that the table has."""
    withdrawn: int = 0
    """Treated who may no longer be written to: they are left out, and still count in the results."""

    def __iter__(self) -> Iterator[Any]:
        for records in read_records(self.state, range(count_partitions(self.state) or 0)):
            places = [place for place, customer_id in enumerate(records.customer_ids) if self._is_treated(customer_id)]
            allowed = [place for place in places if self.consent.allows(records.attributes[place])]
            self.withdrawn += len(places) - len(allowed)
            self.treated += len(allowed)
            if allowed:
                yield self.rows.table(_chosen(records, allowed))

    @classmethod
    def of(cls, campaign: Campaign, book: CampaignBook, settings: Settings) -> "TreatedRows":
        """Those of a campaign. Raises CampaignError where its members are no longer kept."""
        rows = StateRows(book.state, settings.out_of_scope_name, settings.clock)
        return cls(book.state, rows, book.members(campaign), consent(settings))

    def _is_treated(self, customer_id: str) -> bool:
        place = self.members.place(customer_id)
        return place is not None and bool(self.members.table["treated"][place])


def _chosen(records: Records, places: list[int]) -> Records:
    return Records(
        [records.customer_ids[place] for place in places],
        records.header[np.array(places)],
        [records.attributes[place] for place in places],
        [records.heads[place] for place in places],
        [records.lines[place] for place in places],
        records.partition,
        [records.moves[place] for place in places],
    )


@dataclass(slots=True)
class Written:
    """What was written."""

    treated: int
    withdrawn: int
    gone: int
    """Treated who are no longer there: erased since."""
    formulas: int
    """Cells of CSV that got an apostrophe."""

    def said(self, file: str) -> list[str]:
        """In words."""
        told = [f"{self.treated:,} customers in {file}"]
        if self.withdrawn:
            told.append(f"{self.withdrawn:,} have taken their consent back since and are not in it")
        if self.gone:
            told.append(f"{self.gone:,} were erased since and are not in it")
        if self.formulas:
            told.append(
                f"{self.formulas:,} cells began as formulas do and have an apostrophe before them: tables in Parquet"
                " have them as they are"
            )
        return told


def write_treated(file: Path, campaign: Campaign, book: CampaignBook, settings: Settings) -> Written:
    """Write the treated to a .csv or .parquet file. Raises TableFileError, CampaignError, StateError."""
    rows = TreatedRows.of(campaign, book, settings)
    constants = campaign_column(campaign)
    written = Written(0, 0, 0, 0)
    batches: Iterable[Any] = (with_constants(batch, constants) for batch in rows)
    if file.suffix.lower() == ".csv":
        batches = _safe(batches, written)
    written.treated = write_table(file, schema_with_constants(COLUMNS, constants), iter(batches))
    written.withdrawn = rows.withdrawn
    written.gone = int(rows.members.table["treated"].sum()) - rows.treated - rows.withdrawn
    return written


def campaign_column(campaign: Campaign) -> dict[str, Any]:
    """The column that tells of which campaign a row is: tools for e-mail tag by it."""
    return {"campaign": pa.scalar(campaign.name, pa.string())}


def _safe(batches: Iterable[Any], written: Written) -> Iterator[Any]:
    for batch in batches:
        safe, found = formula_safe(batch)
        written.formulas += found
        yield safe
