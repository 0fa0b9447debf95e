"""A linear model of which theme a text is about, learnt from labelled texts in closed form.

Ridge regression on one column per theme. Its answers for a text it was not shown
(leave-one-out) follow from the same inverse, exactly, so that thresholds can be calibrated on
the very texts it learns from. Nothing is drawn by chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from services.loop.themes.domain.encoding import Encoder, Floats, Vector, words_of

_RIDGE: Final = 1.0
# Terms times themes; four bytes each.
_MOST_CELLS: Final = 8_000_000
# Terms that fewer documents share are cheaper one by one than as a matrix.
_OFTEN: Final = 32
_BLOCK: Final = 256


class Document(NamedTuple):
    """A text to learn from: the numbers of its themes, and how much it counts."""

    text: str
    themes: frozenset[int]
    weight: float


class LinearModel:
    """How much a text sounds like each theme: about 1 like its documents, about 0 unlike."""

    def __init__(self, documents: Sequence[Document], themes: int, language: str) -> None:
        self.documents = documents
        self._encoder = Encoder(
            [document.text for document in documents], language, most=_MOST_CELLS // themes
        )
        vectors = [self._encoder.encode(words_of(document.text)) for document in documents]
        self.vectors = vectors
        shown = np.zeros((len(documents), themes))
        for row, document in enumerate(documents):
            shown[row, sorted(document.themes)] = 1.0
        roots = np.sqrt([document.weight for document in documents])
        holders = _holders(vectors, len(self._encoder))
        alike = _products(holders, len(documents)) * np.outer(roots, roots)
        inverse = np.linalg.inv(alike + _RIDGE * np.eye(len(documents)))
        shares = inverse @ (shown * roots[:, None])
        self.left_out: Floats = shown - shares / (np.diag(inverse) * roots)[:, None]
        """What the model would say of each document if it had not seen that one."""
        shares *= roots[:, None]
        self._weights = np.zeros((len(self._encoder), themes), dtype=np.float32)
        for term, (rows, weights) in enumerate(holders):
            self._weights[term] = weights @ shares[rows]

    def encode(self, words: Sequence[str]) -> Vector:
        """Return the vector of a text with these folded *words*."""
        return self._encoder.encode(words)

    def scores(self, vector: Vector) -> Floats:
        """Return how much a text sounds like each theme."""
        return np.asarray(vector.weights @ self._weights[vector.terms], dtype=np.float64)

    def said_by(self, words: Sequence[str], vector: Vector, theme: int) -> list[float]:
        """Return how much each of the *words* speaks for a theme, and not for all of them."""
        chosen = self._weights[vector.terms]
        telling = vector.weights * (chosen[:, theme] - chosen.mean(axis=1))
        by_word = self._encoder.terms_by_word(words)
        times: dict[int, int] = {}
        for terms in by_word:
            for term in terms:
                times[term] = times.get(term, 0) + 1
        share = {
            term: float(value) / times[term]
            for term, value in zip(vector.terms.tolist(), telling, strict=True)
        }
        return [sum(share[term] for term in terms) for terms in by_word]

    def nearest(self, vector: Vector, theme: int) -> Document | None:
        """Return the document of a theme that a text is most like, None if it is like none."""
        known = dict(zip(vector.terms.tolist(), vector.weights.tolist(), strict=True))
        best, most = None, 0.0
        for document, other in zip(self.documents, self.vectors, strict=True):
            if theme in document.themes:
                alike = sum(
                    known.get(term, 0.0) * weight
                    for term, weight in zip(
                        other.terms.tolist(), other.weights.tolist(), strict=True
                    )
                )
                if alike > most:
                    best, most = document, alike
        return best


_Holders = list[tuple[np.ndarray, Floats]]


def _holders(vectors: Sequence[Vector], terms: int) -> _Holders:
    """Return for every term which documents have it, and how much it weighs there."""
    rows = np.repeat(np.arange(len(vectors)), [len(vector.terms) for vector in vectors])
    ids = np.concatenate([vector.terms for vector in vectors])
    weights = np.concatenate([vector.weights for vector in vectors])
    order = np.argsort(ids, kind="stable")
    ends = np.cumsum(np.bincount(ids, minlength=terms))[:-1]
    return list(zip(np.split(rows[order], ends), np.split(weights[order], ends), strict=True))


def _products(holders: _Holders, documents: int) -> Floats:
    """Return how alike every two documents are: the products of their vectors."""
    products = np.zeros((documents, documents))
    frequent = [holder for holder in holders if len(holder[0]) >= _OFTEN]
    for start in range(0, len(frequent), _BLOCK):
        block = np.zeros((documents, min(_BLOCK, len(frequent) - start)))
        for column, (rows, weights) in enumerate(frequent[start : start + _BLOCK]):
            block[rows, column] = weights
        products += block @ block.T
    for rows, weights in holders:
        if len(rows) < _OFTEN:
            products[np.ix_(rows, rows)] += np.outer(weights, weights)
    return products
