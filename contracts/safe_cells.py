"""Cells of CSV files that go to people with spreadsheets."""

import re
from typing import Final

FORMULA: Final = "^[=+\\-@\t\r\n'\uff1d\uff0b\uff0d\uff20]"
"""What OWASP's page on CSV injection names, full-width signs, and what begins with an apostrophe already."""
NUMBER: Final = r"[+-]?[0-9][0-9 .,]*"
"""The whole of a cell that is no formula: negative numbers and phone numbers are to stay what they are."""
_FORMULA: Final = re.compile(FORMULA)
_NUMBER: Final = re.compile(NUMBER)


def safe_cell(text: str) -> str:
    """A cell that no spreadsheet takes for a formula: ' before what might be one, and before what begins with it.

    Taking one ' off the front of a cell gives the text back. Numbers, signed ones and phone numbers, are left alone.

    >>> safe_cell("=1+1"), safe_cell("+44 20 7946 0000"), safe_cell("ann"), safe_cell("'tis")
    ("'=1+1", '+44 20 7946 0000', 'ann', "''tis")
    """
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text
