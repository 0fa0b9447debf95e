"""Rows with few words among many, and their principal directions, in plain numpy."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_OVERSAMPLED: Final = 20
_POWERS: Final = 4
_AT_ONCE: Final = 50_000


@dataclass(frozen=True, slots=True)
class Rows:
    """A matrix in compressed rows, every row of unit length; no row is empty."""

    starts: NDArray[np.int64]
    columns: NDArray[np.int32]
    values: Floats
    width: int

    @classmethod
    def of(cls, rows: Iterable[Mapping[int, float]], width: int) -> Rows:
        """Build the matrix from the filled columns of each row, leaving empty rows out."""
        lengths, columns, values = array("q"), array("i"), array("f")
        for row in rows:
            if row:
                lengths.append(len(row))
                columns.extend(row.keys())
                values.extend(row.values())
        starts = np.concatenate([[0], np.cumsum(np.array(lengths, dtype=np.int64))])
        filled = np.frombuffer(values, dtype=np.float32) if values else np.empty(0, np.float32)
        if len(lengths):
            length = np.sqrt(np.add.reduceat(filled * filled, starts[:-1]))
            filled = filled / np.repeat(length, np.diff(starts))
        return cls(starts.astype(np.int64), np.array(columns, dtype=np.int32), filled, width)

    def times(self, dense: Floats) -> Floats:
        """Return this matrix times *dense*, some rows at a time."""
        result = np.empty((len(self.starts) - 1, dense.shape[1]), dtype=np.float32)
        first = 0
        while first < len(result):
            last = int(np.searchsorted(self.starts, self.starts[first] + _AT_ONCE, "right")) - 1
            last = max(last, first + 1)
            span = slice(self.starts[first], self.starts[last])
            parts = dense[self.columns[span]] * self.values[span, None]
            result[first:last] = np.add.reduceat(
                parts, self.starts[first:last] - self.starts[first], axis=0
            )
            first = last
        return result

    def only(self, wanted: NDArray[np.int64]) -> Rows:
        """Return the rows at the places in *wanted* alone."""
        if len(wanted) == len(self.starts) - 1:
            return self
        lengths = np.diff(self.starts)[wanted]
        starts = np.concatenate([[0], np.cumsum(lengths)])
        inside = np.arange(starts[-1]) - np.repeat(starts[:-1], lengths)
        places = np.repeat(self.starts[wanted], lengths) + inside
        return Rows(starts, self.columns[places], self.values[places], self.width)

    def transposed(self) -> Rows:
        """Return columns as rows; every column must be filled somewhere."""
        order = np.argsort(self.columns, kind="stable")
        row_of = np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))
        starts = np.zeros(self.width + 1, dtype=np.int64)
        np.cumsum(np.bincount(self.columns, minlength=self.width), out=starts[1:])
        return Rows(
            starts, row_of[order].astype(np.int32), self.values[order], len(self.starts) - 1
        )


def principal(rows: Rows, dimensions: int, seed: int) -> Floats:
    """Return the *dimensions* principal directions as columns (randomised, seeded).

    The rows times these are the rows in as few dimensions as tell them apart best.
    """
    height = len(rows.starts) - 1
    most = min(dimensions + _OVERSAMPLED, height, rows.width)
    chance = np.random.default_rng(seed)
    turned = rows.transposed()
    basis = rows.times(chance.standard_normal((rows.width, most)).astype(np.float32))
    for _ in range(_POWERS):
        basis = np.linalg.qr(basis)[0]
        basis = rows.times(np.linalg.qr(turned.times(basis))[0])
    basis = np.linalg.qr(basis)[0]
    directions: Floats = np.linalg.svd(turned.times(basis), full_matrices=False)[0]
    return directions[:, :dimensions]
