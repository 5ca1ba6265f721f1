"""How large a file is once it is unpacked, found out before anything believes in what it says of itself."""

import zipfile
import zlib
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from producer.dialect import DialectError, open_bytes
from producer.table import UNREADABLE, TableError
from producer.workbook import SUFFIXES as WORKBOOKS

_PACKED: Final = frozenset({".gz", ".bz2", ".xz", ".zst", ".zip"})
_PARQUET: Final = frozenset({".parquet", ".pq"})
_PIECE: Final = 1024 * 1024
_LOCAL_HEADER: Final = 30
_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})


def check_unpacked(path: Path, most: int) -> None:
    """Raises TableError for a file that becomes more than so many bytes, or that can not be unpacked."""
    suffix = path.suffix.lower()
    try:
        if suffix in WORKBOOKS:
            size = _of_workbook(path, most)
        elif suffix in _PARQUET:
            size = _of_parquet(path)
        elif suffix in _PACKED:
            size = _of_stream(path, most)
        else:
            return
    except DialectError as error:
        raise TableError(str(error)) from error
    except UNREADABLE as error:
        raise TableError(f"{path}: cannot be unpacked: {error}") from error
    if size > most:
        raise TableError(f"{path}: unpacked it is larger than {most:,} bytes: import it in parts, such as one a year")


def _of_stream(path: Path, most: int) -> int:
    size = 0
    with open_bytes(path) as stream:
        while size <= most and (piece := stream.read(_PIECE)):
            size += len(piece)
    return size


def _of_workbook(path: Path, most: int) -> int:
    """By unpacking all parts: the sizes that an archive states may be anything."""
    size = 0
    with zipfile.ZipFile(path) as packed, path.open("rb") as file:
        for part in packed.infolist():
            if part.compress_type not in _METHODS:
                raise TableError(f"{path}: is packed in a way that no workbook is")
            file.seek(part.header_offset)
            head = file.read(_LOCAL_HEADER)
            file.seek(int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little"), 1)
            left, stream = part.compress_size, zlib.decompressobj(-zlib.MAX_WBITS)
            while left > 0 and size <= most and (piece := file.read(min(left, _PIECE))):
                left -= len(piece)
                if part.compress_type == zipfile.ZIP_STORED:
                    size += len(piece)
                    continue
                while piece and size <= most:
                    size += len(stream.decompress(piece, _PIECE))
                    piece = stream.unconsumed_tail
            if size > most:
                break
    return size


def _of_parquet(path: Path) -> int:
    """What its columns have as they are; a value that stands once for many rows counts for each."""
    about = pq.read_metadata(path)
    width = sum(_width(field.type) for field in pq.read_schema(path))
    stated = sum(about.row_group(place).total_byte_size for place in range(about.num_row_groups))
    return max(int(stated), int(about.num_rows) * width)


def _width(kind: pa.DataType) -> int:
    try:
        return max(1, int(kind.bit_width) // 8)
    except ValueError:
        return 4
