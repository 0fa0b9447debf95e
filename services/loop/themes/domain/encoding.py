"""Texts as vectors of words, pairs, pieces and meanings of words, for learning from examples.

A piece is three to five letters inside a word, so that an ending, a slip of the pen or half a
compound does not make it another one. Everything is counted in the documents that are learnt
from and frozen there: a text's vector never depends on which other texts came with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.loop.themes.domain.concepts import concepts
from shared.text.background import rarity
from shared.text.stems import stem
from shared.text.tokens import PATTERN, fold

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]

_WORD, _PAIR, _PIECE, _CONCEPT = range(4)
# How much words, pairs, pieces and what words mean say beside each other.
_SHARES: Final = np.array([1.0, 0.7, 1.5, 0.7])
_PIECE_LENGTHS: Final = range(3, 6)
_EDGE: Final = " "
_REMEMBERED: Final = 20_000

_Term = tuple[int, str]


class Vector(NamedTuple):
    """Which terms a text has, in ascending order, and how much each weighs."""

    terms: Ids
    weights: Floats


class Encoder:
    """The terms of some documents; makes vectors of length one from these terms only."""

    def __init__(self, documents: Sequence[str], language: str, *, most: int) -> None:
        self._language = language
        self._known: dict[str, tuple[str, tuple[int, ...]]] = {}
        holding: Counter[_Term] = Counter()
        for document in documents:
            holding.update(set(self._terms(words_of(document))))
        kept = sorted(holding, key=lambda term: (-holding[term], term))[:most]
        self._ids = {term: number for number, term in enumerate(kept)}
        self._blocks = np.array([block for block, _ in kept], dtype=np.int64)
        counts = np.array([holding[term] for term in kept], dtype=np.float64)
        self._rarity: Floats = np.log((1.0 + len(documents)) / (1.0 + counts)) + 1.0
        for number, (block, term) in enumerate(kept):
            if block == _WORD:
                self._rarity[number] *= rarity(term, language)

    def __len__(self) -> int:
        """Return the number of terms."""
        return len(self._ids)

    def encode(self, words: Sequence[str]) -> Vector:
        """Return the vector of a text with these folded *words*; empty where none is known."""
        found = [term for terms in self.terms_by_word(words) for term in terms]
        terms, counts = np.unique(np.array(found, dtype=np.int64), return_counts=True)
        weights = (1.0 + np.log(counts)) * self._rarity[terms]
        blocks = self._blocks[terms]
        lengths = np.sqrt(np.bincount(blocks, weights * weights, len(_SHARES)))
        weights *= (_SHARES / np.where(lengths > 0, lengths, 1.0))[blocks]
        length = np.sqrt(weights @ weights)
        return Vector(terms, weights / length if length > 0 else weights)

    def terms_by_word(self, words: Sequence[str]) -> list[tuple[int, ...]]:
        """Return the known terms of each word; a pair belongs to its second word."""
        found = []
        before = ""
        for word in words:
            root, terms = self._known.get(word) or self._look_up(word)
            pair = self._ids.get((_PAIR, f"{before} {root}"))
            found.append(terms if pair is None else (*terms, pair))
            before = root
        return found

    def _look_up(self, word: str) -> tuple[str, tuple[int, ...]]:
        terms = tuple(self._ids[term] for term in self._terms_of(word) if term in self._ids)
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        known = self._known[word] = (stem(word, self._language), terms)
        return known

    def _terms(self, words: Sequence[str]) -> Iterable[_Term]:
        before = ""
        for word in words:
            yield from self._terms_of(word)
            root = stem(word, self._language)
            yield _PAIR, f"{before} {root}"
            before = root

    def _terms_of(self, word: str) -> Iterable[_Term]:
        yield _WORD, stem(word, self._language)
        edged = f"{_EDGE}{word}{_EDGE}"
        for length in _PIECE_LENGTHS:
            for start in range(len(edged) - length + 1):
                yield _PIECE, edged[start : start + length]
        for concept in concepts(word, self._language):
            yield _CONCEPT, concept


def words_of(text: str) -> list[str]:
    """Return the folded words of *text*."""
    return [fold(word) for word in PATTERN.findall(text)]
