"""Counted texts become groups: latent semantic analysis, nearest neighbours, communities.

Time and memory are bounded whatever the number of texts: what takes the square of it is done
with a sample, and the others join the group whose centre they are nearest to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from services.loop.themes.domain.communities import communities
from services.loop.themes.domain.sparse import Rows, principal

Floats = NDArray[np.float32]
Numbers = NDArray[np.int64]


class Countable(Protocol):
    """A text in which things can be counted, each time anew: all at once fill the memory."""

    def counted(self) -> tuple[Mapping[str, float], ...]:
        """Return how often the text has each thing, for each kind of thing."""
        ...


SAMPLE: Final = 8_000
"""So many texts are compared with one another; the rest joins them."""

_DIMENSIONS: Final = 100
_HEARD_AT_LEAST: Final = (2, 3, 1)
_SMOOTHED_BY: Final = 15
_NEIGHBOURS: Final = 25
_FEW: Final = 5
_RESOLUTIONS: Final = (2.0, 1.0, 0.5)
_MOST: Final = 0.8
_ROUNDS: Final = 20
_WITNESSES: Final = 10
_UNLIKE: Final = 0.05
_LONELY: Final = 0.5
_SLICE: Final = 1_024
_NEAR_ENOUGH: Final = 0.15
_NOBODY: Final = -1
_KNOWN_SHARE: Final = 0.8
"""Of the share of known texts among all: a group with more of them than this is known."""


@dataclass(frozen=True, slots=True)
class Grouping:
    """Groups of places, and how near each place is to its group's centre."""

    groups: Sequence[Sequence[int]]
    nearness: Mapping[int, float]


def group(
    texts: Sequence[Countable],
    weights: Sequence[int],
    *,
    known: Collection[int] = (),
    seed: int,
) -> Grouping:
    """Group *texts* that are alike; who is like nobody stays alone.

    *weights* say how many comments have each text. The places in *known* are spoken for: they
    shape the groups, and a group that holds many of them is none of the new ones.
    """
    chance = np.random.default_rng(seed)
    sample = np.sort(chance.permutation(len(texts))[:SAMPLE])
    rows, kept = _rows(texts, weights, sample)
    if not len(kept):
        return Grouping((), {})
    sampled = np.flatnonzero(np.isin(kept, sample))
    points = _unit(rows.times(principal(rows.only(sampled), _DIMENSIONS, seed)))
    smooth = _smoothed(points[sampled])
    heavy = np.array(weights, dtype=np.int64)[kept[sampled]]
    centres = _settled(smooth, heavy, _labels(smooth, heavy, seed))
    points[sampled] = smooth
    likest = points @ centres.T
    nearest = likest.argmax(axis=1)
    nearness = likest.max(axis=1)
    spoken_for = np.isin(kept, np.fromiter(known, np.int64, len(known)))
    usual = spoken_for.mean()
    new = ~spoken_for & (_known_nearby(points, sampled, spoken_for) <= usual)
    groups = []
    for number in range(len(centres)):
        members = np.flatnonzero((nearest == number) & (nearness >= _NEAR_ENOUGH))
        if new[members].any() and spoken_for[members].mean() <= _KNOWN_SHARE * usual:
            groups.append(kept[members[new[members]]].tolist())
    return Grouping(groups, dict(zip(kept.tolist(), nearness.tolist(), strict=True)))


def _rows(
    texts: Sequence[Countable], weights: Sequence[int], sample: Numbers
) -> tuple[Rows, Numbers]:
    """Return the texts as rows, each kind of thing weighing the same, and whose rows they are.

    A thing weighs the more the fewer comments have it (TF-IDF). What next to nobody else has
    and what stands outside the sample only is left out, and with it who has nothing else.
    """
    total = sum(weights[place] for place in sample.tolist())
    numbers: list[dict[str, int]] = []
    rarity: list[dict[str, float]] = []
    width = 0
    heard: list[Counter[str]] = [Counter() for _ in _HEARD_AT_LEAST]
    for place in sample.tolist():
        for kind, things in enumerate(texts[place].counted()):
            heard[kind].update(dict.fromkeys(things, weights[place]))
    for heard_of, least in zip(heard, _HEARD_AT_LEAST, strict=True):
        names = sorted(name for name, count in heard_of.items() if count >= least)
        numbers.append({name: width + place for place, name in enumerate(names)})
        rarity.append({name: log(1 + total / heard_of[name]) for name in names})
        width += len(names)
    kept: list[int] = []

    def filled() -> Iterator[Mapping[int, float]]:
        for place, text in enumerate(texts):
            row: dict[int, float] = {}
            for things, number, rare in zip(text.counted(), numbers, rarity, strict=True):
                weight = {
                    number[name]: rare[name] * (1.0 + log(max(count, 1.0)))
                    for name, count in things.items()
                    if name in number
                }
                length = sum(value * value for value in weight.values()) ** 0.5
                row.update((column, value / length) for column, value in weight.items())
            if row:
                kept.append(place)
                yield row

    return Rows.of(filled(), width), np.array(kept, dtype=np.int64)


def _unit(points: Floats) -> Floats:
    length = np.linalg.norm(points, axis=1, keepdims=True)
    scaled: Floats = points / np.maximum(length, 1e-9)
    return scaled


def _smoothed(points: Floats) -> Floats:
    """Draw each point towards its neighbours: short texts share few words with their kin."""
    near, likeness = _neighbours(points, _SMOOTHED_BY)
    weight = np.maximum(likeness - _UNLIKE, 0.0)
    # Who is like nobody is drawn to nobody.
    weight /= np.maximum(weight.sum(axis=1, keepdims=True), _LONELY)
    drawn = points.copy()
    for number in range(near.shape[1]):
        drawn += points[near[:, number]] * weight[:, number, None]
    return _unit(drawn)


def _neighbours(points: Floats, most: int) -> tuple[Numbers, Floats]:
    """Return for each point the nearest others and how like they are, in slices."""
    many = len(points)
    most = min(most, many - 1)
    near = np.empty((many, most), dtype=np.int64)
    likeness = np.empty((many, most), dtype=np.float32)
    for start in range(0, many, _SLICE):
        like = points[start : start + _SLICE] @ points.T
        own = np.arange(len(like))
        like[own, own + start] = -1.0
        # In steps of a thousandth, so that the noise of adding up decides nothing.
        order = np.argsort(-np.round(like, 3), axis=1, kind="stable")[:, :most]
        near[start : start + _SLICE] = order
        likeness[start : start + _SLICE] = np.take_along_axis(like, order, axis=1)
    return near, likeness


def _known_nearby(points: Floats, sampled: Numbers, spoken_for: NDArray[np.bool_]) -> Floats:
    """Return for each point how much of its neighbourhood in the sample is spoken for."""
    share = np.zeros(len(points), dtype=np.float32)
    if not spoken_for.any():
        return share
    known = spoken_for[sampled].astype(np.float32)
    for start in range(0, len(points), _SLICE):
        like = np.maximum(points[start : start + _SLICE] @ points[sampled].T, 0.0)
        near = np.argsort(-np.round(like, 3), axis=1, kind="stable")[:, : _WITNESSES + 1]
        # Squared, so that the nearest have most of the say; the first is the point itself.
        weight = np.take_along_axis(like, near, axis=1)[:, 1:] ** 2
        told = (weight * known[near[:, 1:]]).sum(axis=1)
        share[start : start + _SLICE] = told / np.maximum(weight.sum(axis=1), 1e-9)
    return share


def _labels(points: Floats, weights: Numbers, seed: int) -> Numbers:
    """Return the finest communities of which most points are in one that is no anecdote."""
    near, likeness = _neighbours(points, min(_NEIGHBOURS, max(_FEW, len(points) // _FEW)))
    labels = np.zeros(len(points), dtype=np.int64)
    for resolution in _RESOLUTIONS:
        labels = np.array(communities(near, likeness, resolution=resolution, seed=seed))
        sizes = np.bincount(labels, weights)
        if (sizes[labels] >= _FEW).mean() >= _MOST:
            break
    return labels


def _settled(points: Floats, weights: Numbers, labels: Numbers) -> Floats:
    """Return the centres of the groups once everybody is in the group they are nearest to."""
    centres = _centres(points, weights, labels)
    for _ in range(_ROUNDS):
        likest = points @ centres.T
        moved = np.where(likest.max(axis=1) < _NEAR_ENOUGH, _NOBODY, likest.argmax(axis=1))
        if np.array_equal(moved, labels) or (moved == _NOBODY).all():
            break
        labels = moved
        centres = _centres(points, weights, labels)
    return centres


def _centres(points: Floats, weights: Numbers, labels: Numbers) -> Floats:
    """Return the centres of all groups that are more than an anecdote, else of all."""
    sizes = np.bincount(labels[labels != _NOBODY], weights[labels != _NOBODY])
    wanted = np.flatnonzero(sizes >= min(_FEW, sizes.max()))
    return _unit(np.stack([points[labels == number].sum(axis=0) for number in wanted]))
