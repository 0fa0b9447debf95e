"""Which themes a verbatim touches, and the words that say so.

Everything here is a function of the taxonomy and the one text: no other text, no order and no
chance has a say. A theme is a topic and not a judgement: "no waiting" is about waiting.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from services.loop.themes.domain.matching import Entry, Findings, Hit, Index, rules_of
from services.loop.themes.domain.taxonomy import ANY_LANGUAGE, Taxonomy
from shared.text.language import guess
from shared.text.stems import primary
from shared.text.tokens import PATTERN

if TYPE_CHECKING:
    from services.loop.themes.domain.examples import ExampleModel

_NOTHING: Final = Findings([], [], [])


@dataclass(frozen=True, slots=True)
class Mention:
    """A verbatim touching a theme; ``evidence`` is the span of code points that decided.

    ``by`` is what it was known by: a keyword as the taxonomy lists it, or "example".
    """

    theme_id: str
    score: float
    evidence: tuple[int, int] | None
    by: str | None = None


class Classifier:
    """A taxonomy made ready for classifying; build it once and share it among threads."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self.taxonomy = taxonomy = taxonomy.in_use()
        rules = rules_of(_entries(taxonomy))
        spoken = [
            {language for language, words in theme.keywords.items() if words}
            for theme in taxonomy.themes
        ]
        self._languages = tuple(sorted(set().union(*spoken) - {ANY_LANGUAGE}))
        self._every = Index(rules)
        # A theme without a word in some language listens there with the words it has.
        self._of_language = {
            language: Index(
                rule
                for rule in rules
                if rule.language in {language, ""} or language not in spoken[rule.theme]
            )
            for language in self._languages
        }
        self._models = self._learn()

    def classify(self, text: str, language: str | None = None) -> list[Mention]:
        """Return the themes of *text*, the surest first, equally sure ones by their id.

        *language* is a BCP 47 tag. Without one that the taxonomy speaks, the words of all its
        languages are looked for, unless the text itself makes clear which one it is in.
        """
        known, alike = self._mentions(text, primary(language))
        ranked = sorted([*known, *alike], key=lambda one: (-one.score, one.theme_id))
        return ranked[: self.taxonomy.max_themes]

    def covers(self, text: str, language: str | None = None) -> bool:
        """Return whether a keyword tells a theme of *text*, so that there is nothing new in it.

        To sound like an example is not enough: whatever is new sounds like some example, too.
        """
        return bool(self._heard(primary(language), text))

    def _mentions(self, text: str, language: str) -> tuple[list[Mention], list[Mention]]:
        """Return what keywords tell of *text*, and what its likeness to examples does."""
        source = _lowered(text)
        words = PATTERN.findall(source)
        found = self._find(source, words, language) or _NOTHING
        known = {
            theme: Mention(
                self.taxonomy.themes[theme].id,
                score,
                (found.spans[surest.first][0], found.spans[surest.last][1]),
                surest.rule.text,
            )
            for theme, score, surest in _weighed(found)
        }
        model = self._model(words, language) if self._models else None
        if model is None:
            return list(known.values()), []
        excluded = {hit.rule.theme for hit in found.hits if hit.rule.excludes}
        kept, verdicts = model.decide(
            words,
            {theme: mention.score for theme, mention in known.items()},
            excluded - known.keys(),
        )
        spans = [match.span() for match in PATTERN.finditer(source)] if verdicts else []
        return [known[theme] for theme in sorted(kept)], [
            Mention(
                self.taxonomy.themes[verdict.theme].id,
                verdict.score,
                (spans[verdict.first][0], spans[verdict.last][1]),
                verdict.by,
            )
            for verdict in verdicts
        ]

    def _model(self, words: list[str], language: str) -> ExampleModel | None:
        """Return the examples to compare a text with: those in its own language."""
        told = self._models.get(language)
        meant = self._models.get(guess(words, self._models))
        if self.taxonomy.max_themes == 1:
            return told or meant or next(iter(self._models.values()))
        # Examples in another language would only take away what keywords found.
        if language:
            return told if meant in {None, told} else None
        return meant

    def _learn(self) -> Mapping[str, ExampleModel]:
        """Learn from the examples, per language; nothing where there is nothing to learn.

        Where a text has one theme at most, names and keywords alone are enough to learn from.
        """
        themes = self.taxonomy.themes
        shown = [theme.examples for theme in themes]
        if self.taxonomy.max_themes == 1:
            shown += [theme.keywords for theme in themes]
        given = sorted({language for words in shown for language in words if words[language]})
        if not given:
            return {}
        # Only those who learn need the library for it.
        from services.loop.themes.domain.examples import ExampleModel  # noqa: PLC0415 - not for all

        languages = [language for language in given if language != ANY_LANGUAGE] or [""]
        return {
            language: ExampleModel(self.taxonomy, language, partial(self._heard, language))
            for language in languages
        }

    def _heard(self, language: str, text: str) -> dict[int, float]:
        """Return how sure keywords are of the themes of a text."""
        source = _lowered(text)
        found = self._find(source, PATTERN.findall(source), language) or _NOTHING
        return {theme: score for theme, score, _ in _weighed(found)}

    def _find(self, text: str, words: list[str], language: str) -> Findings | None:
        told = self._of_language.get(language)
        if told is None:
            guessed = "" if language else guess(words)
            return self._of_language.get(guessed, self._every).find(text, words)
        found = told.find(text, words)
        if found is None:
            # The language may be the form's and not the customer's.
            meant = self._of_language.get(guess(words, self._languages), told)
            if meant is not told:
                found = meant.find(text, words)
        return found


def _lowered(text: str) -> str:
    """Return *text* in lower case, at once where that leaves every character in its place."""
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    # The few letters whose lower case is longer would shift the spans: fold() sees to them.
    return "".join(small if len(small := letter.lower()) == 1 else letter for letter in text)


def _entries(taxonomy: Taxonomy) -> Iterator[Entry]:
    for number, theme in enumerate(taxonomy.themes):
        for excludes, listed in ((False, theme.keywords), (True, theme.exclude)):
            for language, words in listed.items():
                for word in words:
                    yield Entry(number, excludes, language, word)


def _weighed(found: Findings) -> Iterator[tuple[int, float, Hit]]:
    """Yield the themes that keywords find, how sure they are together and the surest."""
    for theme, hits in _by_theme(found):
        yield theme, *_weigh(hits)


def _by_theme(found: Findings) -> Iterator[tuple[int, list[Hit]]]:
    """Yield the themes whose keywords remain when the exclusions have had their say."""
    wanted: dict[int, list[Hit]] = {}
    unwanted: dict[int, list[Hit]] = {}
    for hit in found.hits:
        (unwanted if hit.rule.excludes else wanted).setdefault(hit.rule.theme, []).append(hit)
    for theme, hits in wanted.items():
        remaining = hits
        if theme in unwanted:
            remaining = _without(hits, unwanted[theme], found.sentence_of)
        if remaining:
            yield theme, remaining


def _without(hits: list[Hit], exclusions: list[Hit], sentence_of: list[int]) -> list[Hit]:
    """Return *hits* without those that an exclusion takes away.

    An exclusion that lies on a hit takes that one away ("can't wait"); one that stands apart
    takes away what its sentence says of the theme ("river", for the theme of banks).
    """
    keywords = {place for hit in hits for place in range(hit.first, hit.last + 1)}
    covered: set[int] = set()
    silenced: set[int] = set()
    for exclusion in exclusions:
        places = range(exclusion.first, exclusion.last + 1)
        if keywords.isdisjoint(places):
            silenced.update(sentence_of[place] for place in places)
        else:
            covered.update(places)
    return [
        hit
        for hit in hits
        if covered.isdisjoint(range(hit.first, hit.last + 1))
        and sentence_of[hit.first] not in silenced
    ]


def _weigh(hits: list[Hit]) -> tuple[float, Hit]:
    """Return how sure *hits* make us together, and the surest of them.

    Hits count as independent witnesses, 1 - (1 - w1)(1 - w2)…, each word of the text and each
    rule once, so that neither a repeated word nor a keyword inside a phrase counts double.
    """
    ranked = sorted(hits, key=lambda hit: (-hit.weight, hit.first, -hit.last))
    doubt = 1.0
    taken: set[int] = set()
    heard: set[object] = set()
    for hit in ranked:
        places = range(hit.first, hit.last + 1)
        if hit.rule.positions not in heard and taken.isdisjoint(places):
            doubt *= 1.0 - hit.weight
            heard.add(hit.rule.positions)
            taken.update(places)
    return round(1.0 - doubt, 4), ranked[0]
