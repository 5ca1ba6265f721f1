"""Cells of CSV that a spreadsheet would take for formulas: told apart, and made harmless."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from contracts.safe_cells import FORMULA, NUMBER


def formula_safe(batch: Any) -> tuple[Any, int]:
    """The record batch with an apostrophe before each text that `safe_cell` puts one before; how many there were.

    Numbers and times stay: only text can hold what somebody else wrote.
    """
    columns = list(batch.columns)
    found = 0
    for place, column in enumerate(columns):
        if not pa.types.is_string(column.type):
            continue
        begins, harmless = (pc.match_substring_regex(column, one) for one in (FORMULA, rf"^(?:{NUMBER})\z"))
        risky = pc.fill_null(pc.and_not(begins, harmless), False)
        count = pc.sum(risky).as_py() or 0
        if count:
            found += count
            columns[place] = pc.if_else(risky, pc.binary_join_element_wise("'", column, ""), column)
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema), found
