"""How a text table is written: its encoding, what parts its columns, and where its rows begin."""

import bz2
import codecs
import csv
import gzip
import io
import lzma
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import pyarrow as pa

from contracts.errors import LivesegmentsError
from producer.day_order import OrderEvidence
from producer.numbers import looks_like_number

SEPARATORS: Final = (",", ";", "\t", "|")
_HEAD: Final = 256 * 1024
"""Bytes that are looked at for separator and header."""
_PIECE: Final = 1024 * 1024
_ROWS: Final = 200
_MANY: Final = 20
"""So many characters that are right in UTF-8 to one byte that is not: then the byte is a slip."""
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_beside = re.compile(r"/$|^__MACOSX/|(^|/)(\._[^/]*|\.DS_Store)$").search
"""Of names in a zip: folders, and what macOS puts beside the files that it packs."""


class DialectError(LivesegmentsError):
    """It can not be said how the file is written; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How to read a text table."""

    encoding: str
    separator: str
    skipped: int = 0
    """Lines before the one that names the columns, or before the first row."""
    header: bool = True


def meant_in(packed: zipfile.ZipFile, path: Path) -> str:
    """The name of the one file in a zip. Raises DialectError where there are several, or none."""
    names = [name for name in packed.namelist() if not _beside(name)]
    if len(names) != 1:
        raise DialectError(f"{path}: holds {len(names)} files; unpack it and name the one that is meant")
    return names[0]


@contextmanager
def open_bytes(path: Path) -> Iterator[IO[bytes]]:
    """The file's bytes, out of what it is packed in. Raises OSError and what the packing raises."""
    suffix = path.suffix.lower()
    if suffix == ".zip":
        with zipfile.ZipFile(path) as packed, packed.open(meant_in(packed, path)) as stream:
            yield stream
        return
    openers: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
    if suffix == ".zst":
        with pa.input_stream(str(path), compression="zstd") as stream:
            yield io.BufferedReader(stream)
        return
    with openers.get(suffix, open)(path, "rb") as stream:
        yield stream


def sniff(
    path: Path, *, encoding: str | None = None, separator: str | None = None, header: bool | None = None
) -> Dialect:
    """How the file is written; what is given is not looked for.

    The whole file is looked through for its encoding: the first é may stand in the last line.
    Raises DialectError, OSError and what a broken packing raises.
    """
    encoding = _checked(encoding) if encoding is not None else encoding_of(path)
    with open_bytes(path) as stream:
        head = stream.read(_HEAD)
    text = _decoded(head, encoding, whole=len(head) < _HEAD)
    if "\0" in text:
        raise DialectError(f"{path}: holds zero bytes, so it is no text in {encoding}; say --encoding")
    if not text.strip():
        raise DialectError(f"{path}: is empty")
    lines = text.splitlines(keepends=True)
    skipped = 0
    if lines[0].strip().lower().startswith("sep=") and len(lines[0].strip()) == len("sep=;"):
        # Spreadsheets say so, and hide the line.
        separator, skipped, lines = separator or lines[0].strip()[-1], 1, lines[1:]
    separator = separator or _separator(lines)
    rows = _rows(lines, separator)
    width = Counter(len(row) for _, row in rows).most_common(1)[0][0] if rows else 1
    first = next((place for place, (_, row) in enumerate(rows) if len(row) == width), 0)
    if rows:
        skipped += rows[first][0]
    if header is None:
        header = not rows or _names_columns(rows[first][1])
    return Dialect(encoding, separator, skipped, header)


def encoding_of(path: Path) -> str:
    """UTF-8 (with or without a mark), UTF-16 or -32, else what Windows writes in western countries."""
    with open_bytes(path) as stream:
        piece = stream.read(_PIECE)
        for mark, name in _BOMS:
            if piece.startswith(mark):
                return name
        even, odd = piece[0:4096:2], piece[1:4096:2]
        if len(odd) and odd.count(0) > len(odd) // 2:
            return "utf-16-le"
        if len(even) and even.count(0) > len(even) // 2:
            return "utf-16-be"
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        wrong = right = 0
        while piece:
            text = decoder.decode(piece)
            wrong += text.count("\ufffd")
            right += 0 if text.isascii() else sum(one > "\x7f" for one in text) - text.count("\ufffd")
            if wrong > _MANY and wrong * _MANY > right:
                return "cp1252"
            piece = stream.read(_PIECE)
        wrong += decoder.decode(b"", final=True).count("\ufffd")
    return "cp1252" if wrong * _MANY > right else "utf-8-sig"


def _checked(encoding: str) -> str:
    try:
        name = codecs.lookup(encoding).name
        "a".encode(name)
    except (LookupError, TypeError):
        raise DialectError(f"--encoding {encoding}: there is none of that name; try utf-8, cp1252, utf-16") from None
    return "utf-8-sig" if name == "utf-8" else name


def _decoded(head: bytes, encoding: str, *, whole: bool) -> str:
    text = codecs.getincrementaldecoder(encoding)(errors="replace").decode(head, final=whole)
    return text if whole else text[: text.rindex("\n") + 1] if "\n" in text else text


def _rows(lines: list[str], separator: str) -> list[tuple[int, list[str]]]:
    """The first rows, each with the number of lines before it."""
    reader = csv.reader(iter(lines), delimiter=separator)
    rows: list[tuple[int, list[str]]] = []
    before = 0
    try:
        for row in reader:
            if row:
                rows.append((before, row))
            before = reader.line_num
            if len(rows) == _ROWS:
                break
    except csv.Error:
        pass  # a cell beyond csv's limit: what was read until then is enough
    return rows


def _separator(lines: list[str]) -> str:
    """What parts most rows into one and the same number of columns, more than one."""

    def agreement(separator: str) -> tuple[float, int]:
        rows = _rows(lines, separator)
        if not rows:
            return 0.0, 0
        width, count = Counter(len(row) for _, row in rows).most_common(1)[0]
        return (count / len(rows), width) if width > 1 else (0.0, 1)

    # Of two that both part all rows alike, the one with more columns: 1,50;2,50;3,50 has commas enough.
    return max(SEPARATORS, key=lambda separator: (round(agreement(separator)[0], 1), agreement(separator)[1]))


def _names_columns(row: list[str]) -> bool:
    """Whether a row is names of columns: none a number or a date."""
    named = [cell.strip() for cell in row if cell.strip()]
    if not named:
        return False
    dates = OrderEvidence()
    dates.look(named)
    return not dates.seen and not any(looks_like_number(cell) and any(map(str.isdigit, cell)) for cell in named)
