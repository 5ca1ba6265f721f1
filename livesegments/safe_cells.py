"""Cells of CSV files that go to people with spreadsheets."""

import re
from typing import Final

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "'", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_NUMBER: Final = re.compile(r"[+-]?[0-9][0-9 .,]*")


def safe_cell(text: str) -> str:
    """A cell that no spreadsheet takes for a formula: ' before what might be one, and before what begins with it.

    Taking one ' off the front of a cell gives the text back. Numbers, signed ones and phone numbers, are left alone.

    >>> safe_cell("=1+1"), safe_cell("+44 20 7946 0000"), safe_cell("ann"), safe_cell("'tis")
    ("'=1+1", '+44 20 7946 0000', 'ann', "''tis")
    """
    return f"'{text}" if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text
