"""A shop's rows on disk, those of one order in one bucket: what is taken apart later fits into memory."""

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from producer.cleaning import Ints, clean_id

ROW: Final = "row"
"""The column with each row's place in all files."""
_BUCKET_BYTES: Final = 48 * 1024 * 1024
"""About so many bytes of a text file make a bucket."""
MOST_BUCKETS: Final = 256


def buckets_for(size: int) -> int:
    """How many buckets for files of so many bytes as text."""
    return min(MOST_BUCKETS, 1 + size // _BUCKET_BYTES)


class Spill:
    """Rows of one table by bucket, in files of a folder."""

    def __init__(self, folder: Path, name: str, columns: Sequence[str], buckets: int) -> None:
        self._schema = pa.schema([(ROW, pa.int64()), *((column, pa.large_string()) for column in columns)])
        self._paths = [folder / f"{name}-{bucket:03d}.arrow" for bucket in range(buckets)]
        self._writers = [pa.ipc.new_stream(path, self._schema) for path in self._paths]
        self._columns = list(columns)
        self.rows = 0

    def add(self, frame: pd.DataFrame, keys: "pd.Series[Any]") -> None:
        """Put rows where their keys belong; `frame` has the columns as text."""
        places = np.arange(self.rows, self.rows + len(frame))
        self.rows += len(frame)
        belongs = bucket_of(keys, len(self._writers))
        for bucket, writer in enumerate(self._writers):
            chosen = belongs == bucket
            if not chosen.any():
                continue
            some = frame[chosen]
            arrays = [pa.array(places[chosen], pa.int64())]
            arrays += [pa.array(some[column], pa.large_string(), from_pandas=True) for column in self._columns]
            # Texts of pandas may be in several chunks, which a record batch does not take.
            writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))

    def close(self) -> None:
        """End writing."""
        for writer in self._writers:
            writer.close()

    def read(self, bucket: int) -> pd.DataFrame:
        """The rows of a bucket, in the order of the files; the file goes."""
        path = self._paths[bucket]
        with pa.ipc.open_stream(path) as reader:
            frame: pd.DataFrame = reader.read_all().to_pandas()
        path.unlink()
        return frame

    def __iter__(self) -> Iterator[pd.DataFrame]:
        return (self.read(bucket) for bucket in range(len(self._paths)))


def bucket_of(keys: "pd.Series[Any]", buckets: int) -> Ints:
    """The bucket of each key, by a hash of it as an id; 0 where there is none."""
    if buckets == 1:
        return np.zeros(len(keys), np.int64)
    codes, uniques = pd.factorize(keys, use_na_sentinel=True)
    hashed = [hash64(clean_id(unique)) % buckets for unique in uniques]
    found: Ints = np.array([*hashed, 0], np.int64)[codes]
    return found


def hash64(text: str) -> int:
    """A text as a number of 63 bits, the same everywhere."""
    return int.from_bytes(blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), "big") >> 1
