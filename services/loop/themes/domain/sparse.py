"""Rows with few words among many, and their principal directions, in plain numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_OVERSAMPLED: Final = 20
_POWERS: Final = 4
_AT_ONCE: Final = 200_000


@dataclass(frozen=True, slots=True)
class Rows:
    """A matrix in compressed rows, every row of unit length; no row is empty."""

    starts: NDArray[np.int64]
    columns: NDArray[np.int64]
    values: Floats
    width: int

    @classmethod
    def of(cls, rows: Sequence[Mapping[int, float]], width: int) -> Rows:
        """Build the matrix from the filled columns of each row."""
        starts = np.cumsum([0, *(len(row) for row in rows)], dtype=np.int64)
        if not rows:
            return cls(starts, np.empty(0, np.int64), np.empty(0, np.float32), width)
        columns = np.fromiter((column for row in rows for column in row), np.int64, starts[-1])
        values = np.fromiter(
            (value for row in rows for value in row.values()), np.float32, starts[-1]
        )
        length = np.sqrt(np.add.reduceat(values * values, starts[:-1]))
        return cls(starts, columns, values / np.repeat(length, np.diff(starts)), width)

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
        return Rows(starts, row_of[order], self.values[order], len(self.starts) - 1)


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
