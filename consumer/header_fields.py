"""Fixed columns of some rows, gathered one by one."""

from typing import Any

import numpy as np
import numpy.typing as npt

from consumer.row_columns import Rows


class HeaderFields:
    """A view of rows of a header array: `fields[name]` is that column, (rows,), gathered anew each time.

    To take the rows whole costs fifteen times as much as one column: they are packed, and a few columns are all that
    figures want.
    """

    __slots__ = ("_header", "_rows")

    def __init__(self, header: npt.NDArray[np.void], rows: Rows) -> None:
        self._header = header
        self._rows = rows

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        column: npt.NDArray[Any] = self._header[name][self._rows]
        return column
