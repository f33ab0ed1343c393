"""Columns as Arrow tables, which DuckDB reads in place: no value becomes a Python object.

Column layouts follow the Arrow Columnar Format, version 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import nanoarrow
import numpy as np
import numpy.typing as npt
from nanoarrow.c_array_stream import CArrayStream

Column: TypeAlias = Any
"""A nanoarrow array; nanoarrow ships no types."""

Columns: TypeAlias = dict[str, Column]


@dataclass(frozen=True, slots=True)
class ArrowTable:
    """Rows in batches, all with the same column names and types. DuckDB may read it repeatedly."""

    batches: Sequence[Columns]

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The Arrow PyCapsule interface: all rows, from the beginning."""
        kinds = {name: each.schema for name, each in self.batches[0].items()}
        schema = nanoarrow.struct(kinds)
        arrays = [
            nanoarrow.c_array_from_buffers(
                schema, len(next(iter(batch.values()))), [None], children=map(batch.get, kinds)
            )
            for batch in self.batches
        ]
        stream = CArrayStream.from_c_arrays(arrays, nanoarrow.c_schema(schema))
        return stream.__arrow_c_stream__(requested_schema)


def integers(values: npt.NDArray[np.integer[Any]]) -> Column:
    """A 64-bit integer column."""
    return _plain(nanoarrow.int64(), values, np.int64)


def timestamps(seconds: npt.NDArray[np.int64]) -> Column:
    """A timestamp column, from seconds since 1970."""
    return _plain(nanoarrow.timestamp("us"), seconds * 1_000_000, np.int64)


def _plain(schema: object, values: npt.NDArray[Any], kind: type[np.integer[Any]]) -> Column:
    return nanoarrow.c_array_from_buffers(
        schema, len(values), [None, np.ascontiguousarray(values, kind)]
    )


def texts(content: bytes, sizes: npt.NDArray[np.int64], *, empty_is_null: bool = False) -> Column:
    """A string column from concatenated UTF-8; sizes are in bytes."""
    ends = np.zeros(len(sizes) + 1, np.int32)
    np.cumsum(sizes, out=ends[1:])
    valid = np.packbits(sizes > 0, bitorder="little") if empty_is_null else None
    return nanoarrow.c_array_from_buffers(nanoarrow.string(), len(sizes), [valid, ends, content])


def timestamps_of(seconds: Sequence[int | None]) -> Column:
    """Like ``timestamps``; None is null."""
    values = [None if each is None else each * 1_000_000 for each in seconds]
    return nanoarrow.c_array(values, nanoarrow.timestamp("us"))


def texts_of(values: Sequence[str | None]) -> Column:
    """A string column; None is null."""
    return nanoarrow.c_array(values, nanoarrow.string())
