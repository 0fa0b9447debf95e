"""What the examples of a taxonomy add to its keywords, in one language.

Where a text has one theme at most, what it says is weighed as a whole: the model learns from
names, keywords and examples alike and always has a best theme, unless nothing in the text was
heard before. Where it may have several, keywords decide, because a model of whole texts is a
poor judge of texts about many things; the examples take away what a keyword finds in texts
that do not sound like its theme at all, and speak where no keyword does and they are sure.
On a theme without keywords and on an intent, asked for in any words, they decide alone.
Every threshold is what would have been best for the examples themselves, each left out once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice, zip_longest
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.loop.themes.domain.encoding import Floats, Vector, words_of
from services.loop.themes.domain.learning import Document, LinearModel
from services.loop.themes.domain.taxonomy import ANY_LANGUAGE, Taxonomy, Theme, Words
from shared.text.tokens import fold

EXAMPLE: Final = "example"
"""What a mention was known by where no keyword was."""

_WORTH_OF_AN_EXAMPLE: Final = 1.0
_WORTH_OF_A_KEYWORD: Final = 0.8
_MOST_DOCUMENTS: Final = 3_000

# What a keyword that fired adds to a text's likeness to its theme.
_KEYWORD_BESIDE_EXAMPLES: Final = 0.1
_KEYWORD_ALONE: Final = 0.2
_UNHEARD: Final = 0.03
_DOUBTFUL: Final = 0.2
_DOUBT: Final = 0.1
_HELD_BACK: Final = 1.2

_VETOES: Final = (-np.inf, 0.0, 0.05, 0.1, 0.15)
# Differences below this are chance: as few examples as there are cannot tell more.
_AS_GOOD: Final = 0.01
_FALLBACKS: Final = (0.3, 0.35, 0.4, 0.5)
_ALONE: Final = (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5)
_SURE_ENOUGH: Final = 0.7
_FEWEST_FALLBACKS: Final = 5

# Words beside the surest one that say nearly as much belong to the evidence.
_PART_OF_THE_SUREST: Final = 0.6
_LEAST, _MOST = 0.0001, 0.9999

Flags = NDArray[np.bool_]

Heard = Mapping[int, float]
"""How sure keywords are of which themes of a text, by the number of the theme."""


class Verdict(NamedTuple):
    """A theme that a text sounds like, and the first and last word by which it does."""

    theme: int
    score: float
    first: int
    last: int
    by: str


class ExampleModel:
    """The examples of a taxonomy in one language, and when they are to be listened to."""

    def __init__(self, taxonomy: Taxonomy, language: str, hear: Callable[[str], Heard]) -> None:
        documents = list(_documents(taxonomy.themes, language))
        self._model = LinearModel(documents, len(taxonomy.themes), language)
        alone = np.array([_by_examples(theme, language) for theme in taxonomy.themes])
        rows = [
            row
            for row, document in enumerate(documents)
            if document.weight == _WORTH_OF_AN_EXAMPLE
        ]
        self._has_examples = bool(rows)
        self._one_only = taxonomy.max_themes == 1
        said = self._model.left_out[rows]
        heard = np.zeros_like(said)
        truth = np.zeros_like(said)
        for row, number in enumerate(rows):
            truth[row, sorted(documents[number].themes)] = 1.0
            for theme, score in hear(documents[number].text).items():
                heard[row, theme] = score
        self._keyword = _KEYWORD_BESIDE_EXAMPLES if rows else _KEYWORD_ALONE
        self._doubtful, self._doubt = _DOUBTFUL, _DOUBT
        self._veto = -np.inf
        self._enough: Floats = np.full(len(alone), np.inf)
        if rows and self._one_only:
            self._doubtful, self._doubt = _opening(said + self._keyword * heard, truth)
        elif rows:
            words = ~alone
            self._veto = _best_veto(said[:, words], heard[:, words], truth[:, words])
            self._enough[words] = _best_fallback(said, heard, truth)
            said += self._keyword * heard
            self._enough[alone] = _best_alone(said[:, alone], truth[:, alone])
        self._alone = alone

    def decide(
        self, words: Sequence[str], heard: Heard, barred: Iterable[int]
    ) -> tuple[frozenset[int], list[Verdict]]:
        """Return which of the *heard* themes stand, and which others a text sounds like.

        ``barred`` are themes that an exclusion took away.
        """
        folded = [fold(word) for word in words]
        vector = self._model.encode(folded)
        scores = self._model.scores(vector)
        decide = self._best if self._one_only else self._all
        kept, others = decide(scores, heard, list(barred))
        verdicts = (
            self._verdict(folded, vector, theme, float(scores[theme])) for theme in others
        )
        return kept, [verdict for verdict in verdicts if verdict is not None]

    def _best(
        self, scores: Floats, heard: Heard, barred: list[int]
    ) -> tuple[frozenset[int], list[int]]:
        for theme, sure in heard.items():
            scores[theme] += self._keyword * sure
        scores[barred] = -np.inf
        theme = int(np.argmax(scores))
        if theme in heard:
            return frozenset({theme}), []
        return frozenset(), [theme] if scores[theme] >= _UNHEARD else []

    def _all(
        self, scores: Floats, heard: Heard, barred: list[int]
    ) -> tuple[frozenset[int], list[int]]:
        for theme, sure in heard.items():
            scores[theme] += self._keyword * sure if self._alone[theme] else 0.0
        least = np.where(self._alone, self._enough, self._veto)
        kept = frozenset(theme for theme in heard if scores[theme] > least[theme])
        missed = scores > self._enough
        if kept:
            missed &= self._alone
        missed[[*heard, *barred]] = False
        return kept, np.flatnonzero(missed).tolist()

    def _verdict(
        self, words: Sequence[str], vector: Vector, theme: int, score: float
    ) -> Verdict | None:
        said = self._model.said_by(words, vector, theme)
        surest = max(range(len(said)), key=lambda place: (said[place], -place), default=None)
        if surest is None or said[surest] <= 0:
            return None
        first = last = surest
        enough = said[surest] * _PART_OF_THE_SUREST
        while first > 0 and said[first - 1] >= enough:
            first -= 1
        while last < len(said) - 1 and said[last + 1] >= enough:
            last += 1
        sure = 1.0 / (1.0 + np.exp((self._doubtful - score) / self._doubt))
        nearest = None if self._has_examples else self._model.nearest(vector, theme)
        return Verdict(
            theme=theme,
            score=round(float(np.clip(sure, _LEAST, _MOST)), 4),
            first=first,
            last=last,
            by=EXAMPLE if nearest is None else nearest.text,
        )


def _by_examples(theme: Theme, language: str) -> bool:
    """Return whether examples alone decide on a theme: one that no keyword can describe."""
    return not _given(theme.keywords, language) or (
        theme.intent and bool(_given(theme.examples, language))
    )


def _documents(themes: Sequence[Theme], language: str) -> Iterator[Document]:
    """Yield what there is to learn from, the same words of several themes once."""
    quota = max(1, _MOST_DOCUMENTS // max(1, len(themes)))
    weights: dict[str, float] = {}
    meant: dict[str, set[int]] = {}
    for number, theme in enumerate(themes):
        for text, weight in islice(_texts(theme, language), quota):
            if words_of(text):
                weights[text] = max(weight, weights.get(text, 0.0))
                meant.setdefault(text, set()).add(number)
    for text, weight in weights.items():
        yield Document(text, frozenset(meant[text]), weight)


def _texts(theme: Theme, language: str) -> Iterator[tuple[str, float]]:
    """Yield a theme's words: its name, and in turn its keywords and its examples."""
    yield theme.name_in(language), _WORTH_OF_A_KEYWORD
    for keyword, example in zip_longest(
        _given(theme.keywords, language), _given(theme.examples, language)
    ):
        if keyword is not None:
            yield keyword, _WORTH_OF_A_KEYWORD
        if example is not None:
            yield example, _WORTH_OF_AN_EXAMPLE


def _given(words: Words, language: str) -> tuple[str, ...]:
    """Return words in a language, and those of all languages where it has none."""
    own = (*words.get(language, ()), *words.get(ANY_LANGUAGE, ()))
    return own or tuple(word for listed in words.values() for word in listed)


def _opening(said: Floats, truth: Floats) -> tuple[float, float]:
    """Return the likeness at which a text is as likely about something else, and its slope.

    An example without its own theme stands for a text about something else. It comes less close
    than such a text would: what was learnt from its own theme still holds it back.
    """
    own = said.max(axis=1)
    other = np.where(truth > 0, -np.inf, said).max(axis=1)
    steps = np.unique(np.concatenate([own, other[np.isfinite(other)]]))
    right = np.array([(own >= step).mean() + (other < step).mean() for step in steps])
    threshold = float(steps[right == right.max()][-1]) * _HELD_BACK
    return threshold, max(float(np.median(own)) - threshold, _DOUBT / 2) / 2


def _best_veto(said: Floats, heard: Floats, truth: Floats) -> float:
    """Return the likeness below which a keyword is better not believed, the lowest of them."""
    gained = {veto: _macro_f1((heard > 0) & (said > veto), truth) for veto in _VETOES}
    enough = max(gained.values()) - _AS_GOOD
    return min(veto for veto, score in gained.items() if score >= enough)


def _best_fallback(said: Floats, heard: Floats, truth: Floats) -> float:
    """Return the likeness from which examples may speak where no keyword does."""
    deaf = ~(heard > 0).any(axis=1, keepdims=True)
    for threshold in _FALLBACKS:
        found = deaf & (said > threshold)
        right = found & (truth > 0)
        if found.sum() >= _FEWEST_FALLBACKS and right.sum() >= _SURE_ENOUGH * found.sum():
            return threshold
    return np.inf


def _best_alone(said: Floats, truth: Floats) -> float:
    """Return the likeness from which a text has a theme that only examples describe."""
    return max(_ALONE, key=lambda enough: (_macro_f1(said > enough, truth), enough))


def _macro_f1(found: Flags, truth: Floats) -> float:
    right = (found & (truth > 0)).sum(axis=0)
    either = found.sum(axis=0) + truth.sum(axis=0)
    counted = truth.sum(axis=0) > 0
    if not counted.any():
        return 0.0
    return float((2 * right[counted] / either[counted]).mean())
