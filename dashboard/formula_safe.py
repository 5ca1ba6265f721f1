"""Cells of CSV that a spreadsheet would take for formulas: told apart, and made harmless."""

from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

_BEGINNING: Final = "^[=+\\-@\t\r\n'\uff1d\uff0b\uff0d\uff20]"
"""What OWASP's page on CSV injection names, full-width signs, and what begins with an apostrophe already."""


def formula_safe(batch: Any) -> tuple[Any, int]:
    """The record batch with an apostrophe before each text that begins as a formula does; how many there were.

    Numbers and times stay: only text can hold what somebody else wrote.
    """
    columns = list(batch.columns)
    found = 0
    for place, column in enumerate(columns):
        if not pa.types.is_string(column.type):
            continue
        risky = pc.fill_null(pc.match_substring_regex(column, _BEGINNING), False)
        count = pc.sum(risky).as_py() or 0
        if count:
            found += count
            columns[place] = pc.if_else(risky, pc.binary_join_element_wise("'", column, ""), column)
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema), found
