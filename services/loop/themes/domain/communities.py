"""Communities in a graph of nearest neighbours: Louvain's method, seeded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Links = list[dict[int, float]]

_LIKE: Final = 0.05
"""Less likeness than this is noise."""


def communities(
    near: NDArray[np.int64], likeness: NDArray[np.float32], *, resolution: float, seed: int
) -> Sequence[int]:
    """Return the community of each point; *near* and *likeness* say who is next to whom.

    With a *resolution* above 1 there are more and smaller communities, below fewer and larger.
    """
    links = _mutual(near, likeness)
    member_of = list(range(len(links)))
    chance = np.random.default_rng(seed)
    while True:
        moved = _moved(links, resolution, chance)
        names = {label: number for number, label in enumerate(dict.fromkeys(moved))}
        if len(names) == len(links):
            return member_of
        member_of = [names[moved[node]] for node in member_of]
        links = _merged(links, [names[label] for label in moved], len(names))


def _mutual(near: NDArray[np.int64], likeness: NDArray[np.float32]) -> Links:
    """Return who is linked to whom, twice as strongly where each is near the other."""
    links: Links = [{} for _ in range(len(near))]
    for one, (others, strengths) in enumerate(
        zip(near.tolist(), likeness.tolist(), strict=True)
    ):
        for other, strength in zip(others, strengths, strict=True):
            if strength > _LIKE:
                links[one][other] = links[one].get(other, 0.0) + strength
                links[other][one] = links[other].get(one, 0.0) + strength
    return links


def _moved(links: Links, resolution: float, chance: np.random.Generator) -> list[int]:
    """Move each node to the neighbouring community that gains most, until none gains."""
    label = list(range(len(links)))
    degree = [sum(linked.values()) for linked in links]
    total = sum(degree) or 1.0
    weight = list(degree)
    waiting = [int(node) for node in chance.permutation(len(links))]
    queued = [True] * len(links)
    while waiting:
        upcoming: list[int] = []
        for node in waiting:
            queued[node] = False
            home = label[node]
            weight[home] -= degree[node]
            drawn: dict[int, float] = {home: 0.0}
            for other, strength in links[node].items():
                if other != node:
                    drawn[label[other]] = drawn.get(label[other], 0.0) + strength
            best = min(
                drawn,
                key=lambda each: (
                    -(drawn[each] - resolution * degree[node] * weight[each] / total),
                    each != home,
                    each,
                ),
            )
            weight[best] += degree[node]
            label[node] = best
            if best != home:
                for other in links[node]:
                    if not queued[other] and label[other] != best:
                        queued[other] = True
                        upcoming.append(other)
        waiting = upcoming
    return label


def _merged(links: Links, label: Sequence[int], many: int) -> Links:
    merged: Links = [{} for _ in range(many)]
    for node, linked in enumerate(links):
        own = merged[label[node]]
        for other, strength in linked.items():
            own[label[other]] = own.get(label[other], 0.0) + strength
    return merged
