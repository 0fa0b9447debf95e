"""Bags of words become groups: latent semantic analysis, nearest neighbours, communities.

Time and memory are bounded: the rows are kept sparse, the neighbours are sought in slices.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.loop.themes.domain.communities import communities
from services.loop.themes.domain.sparse import Rows, principal

Floats = NDArray[np.float32]

_DIMENSIONS: Final = 100
_NEIGHBOURS: Final = 15
_SLICE: Final = 1_024
_RAREST: Final = 2


@dataclass(frozen=True, slots=True)
class Bag:
    """How often each word stands in a text, and how many comments have this text."""

    words: Mapping[str, int]
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Grouping:
    """Groups of places, how near each place is to its group's centre, how rare a word is."""

    groups: Sequence[Sequence[int]]
    nearness: Mapping[int, float]
    rarity: Mapping[str, float]


def group(bags: Sequence[Bag], *, seed: int) -> Grouping:
    """Group *bags* that share words; those with no word of anybody else's stay alone."""
    heard: Counter[str] = Counter()
    for bag in bags:
        heard.update(dict.fromkeys(bag.words, bag.weight))
    total = sum(bag.weight for bag in bags)
    words = sorted(word for word, count in heard.items() if count >= _RAREST)
    rarity = {word: float(np.log(1 + total / heard[word])) for word in words}
    number = {word: place for place, word in enumerate(words)}
    kept = [place for place, bag in enumerate(bags) if not number.keys().isdisjoint(bag.words)]
    if not kept:
        return Grouping((), {}, rarity)
    rows = Rows.of(
        [
            {
                number[word]: (1 + np.log(count)) * rarity[word]
                for word, count in sorted(bags[place].words.items())
                if word in number
            }
            for place in kept
        ],
        len(words),
    )
    points = _unit(principal(rows, _DIMENSIONS, seed))
    near, likeness = _neighbours(points)
    labels = communities(near, likeness, seed=seed)
    groups: dict[int, list[int]] = {}
    for place, label in enumerate(labels):
        groups.setdefault(label, []).append(place)
    nearness: dict[int, float] = {}
    for members in groups.values():
        centre = points[members].sum(axis=0)
        for member, likeness_to_centre in zip(members, points[members] @ centre, strict=True):
            nearness[kept[member]] = float(likeness_to_centre)
    return Grouping(
        [[kept[member] for member in members] for members in groups.values()], nearness, rarity
    )


def _unit(points: Floats) -> Floats:
    length = np.linalg.norm(points, axis=1, keepdims=True)
    scaled: Floats = points / np.maximum(length, 1e-9)
    return scaled


def _neighbours(points: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Return for each point the nearest others and how like they are, in slices."""
    many = len(points)
    most = min(_NEIGHBOURS, many - 1)
    near = np.empty((many, most), dtype=np.int64)
    likeness = np.empty((many, most), dtype=np.float32)
    for start in range(0, many, _SLICE):
        like = points[start : start + _SLICE] @ points.T
        own = np.arange(len(like))
        like[own, own + start] = -1.0
        order = np.argsort(-like, axis=1, kind="stable")[:, :most]
        near[start : start + _SLICE] = order
        likeness[start : start + _SLICE] = np.take_along_axis(like, order, axis=1)
    return near, likeness
