"""Pairing two lists so that what the pairs weigh together is most (the Hungarian method)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf


def paired(weights: Mapping[tuple[int, int], float]) -> dict[int, int]:
    """Return which left goes with which right; only what has a positive weight is paired.

    Each left and each right stands in at most one pair. Lists that share nothing are paired
    apart, so the time goes with what overlaps and not with how many there are.
    """
    pairs: dict[int, int] = {}
    for part in _parts({pair: weight for pair, weight in weights.items() if weight > 0}):
        lefts = sorted({left for left, _ in part})
        rights = sorted({right for _, right in part})
        if len(lefts) > len(rights):
            turned = _solved(rights, lefts, {(b, a): each for (a, b), each in part.items()})
            pairs |= {left: right for right, left in turned.items()}
        else:
            pairs |= _solved(lefts, rights, part)
    return pairs


def _parts(
    weights: Mapping[tuple[int, int], float],
) -> Sequence[dict[tuple[int, int], float]]:
    """Split into parts that share no left and no right."""
    of_left: dict[int, list[tuple[int, int]]] = {}
    of_right: dict[int, list[tuple[int, int]]] = {}
    for pair in sorted(weights):
        of_left.setdefault(pair[0], []).append(pair)
        of_right.setdefault(pair[1], []).append(pair)
    parts = []
    seen: set[tuple[int, int]] = set()
    for pair in sorted(weights):
        if pair in seen:
            continue
        part: dict[tuple[int, int], float] = {}
        waiting = [pair]
        while waiting:
            one = waiting.pop()
            if one not in seen:
                seen.add(one)
                part[one] = weights[one]
                waiting += of_left[one[0]] + of_right[one[1]]
        parts.append(part)
    return parts


def _solved(
    rows: Sequence[int], columns: Sequence[int], weights: Mapping[tuple[int, int], float]
) -> dict[int, int]:
    """Pair every row with a column of its own, by shortest augmenting paths with potentials.

    There are no more rows than columns. Kuhn (1955), Munkres (1957), in the form of Jonker and
    Volgenant (1987); a pair without a weight costs nothing and is left out of the answer.
    """
    n, m = len(rows), len(columns)
    cost = [[-weights.get((row, column), 0.0) for column in columns] for row in rows]
    row_potential, column_potential = [0.0] * (n + 1), [0.0] * (m + 1)
    owner = [n] * (m + 1)  # the row of each column; the last column is where a search begins
    for row in range(n):
        owner[m] = row
        at = m
        reached: list[int] = []
        free = list(range(m))
        least, before = [inf] * m, [m] * m
        while owner[at] != n:
            reached.append(at)
            here = owner[at]
            for column in free:
                reduced = cost[here][column] - row_potential[here] - column_potential[column]
                if reduced < least[column]:
                    least[column], before[column] = reduced, at
            following = min(free, key=lambda column: least[column])
            step = least[following]
            for column in reached:
                row_potential[owner[column]] += step
                column_potential[column] -= step
            free.remove(following)
            for column in free:
                least[column] -= step
            at = following
        while at != m:
            owner[at] = owner[before[at]]
            at = before[at]
        owner[m] = n
    return {
        rows[owner[column]]: columns[column]
        for column in range(m)
        if owner[column] != n and (rows[owner[column]], columns[column]) in weights
    }
