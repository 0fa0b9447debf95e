"""A taxonomy's words, compiled for looking up: one hash index per set of languages.

A word list becomes rules, a rule is filed under its most telling word, and each distinct word
of the texts is looked up once and then remembered. This room knows words and positions only;
what a match means for a theme is decided in ``classifier``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from services.loop.themes.domain.forms import NEAR_KEY, nearest, roots_within, verbs_of
from services.loop.themes.domain.taxonomy import ANY_LANGUAGE
from shared.text.background import rarity
from shared.text.language import stop_words
from shared.text.stems import accepted_forms, accepted_keys, is_stem, keys, stem
from shared.text.tokens import PATTERN, fold

_REMEMBERED: Final = 20_000
_WEIGHT_OF_A_WORD: Final = 0.6
_WEIGHT_OF_A_PHRASE: Final = 0.75
_PART_OF_A_COMPOUND: Final = 0.85
_ANOTHER_FORM: Final = 0.8

# Small words that may stand between the words of a phrase: "answered (my) phone".
_FILLER_WORDS: Final = {
    "en": "a an the my your our their his her its this that these those any some very so too "
    "quite really just all of to me us you him them",
    "de": "der die das den dem des ein eine einen einem einer mein meine meinen meiner unser "
    "unsere ihr ihre sehr so zu ganz viel mich mir uns sich",
    "da": "en et den det de min mit mine vores meget så for alt",
    "pl": "bardzo tak za mój moja moje mojej ten ta to tę tej się mi",
    "cs": "velmi moc tak můj moje mou mé ten ta to tu se si mi",
    "ru": "очень так слишком мой моя мою моё это этот эта эту мне",
}
_FILLERS: Final = {
    language: frozenset(words.split()) for language, words in _FILLER_WORDS.items()
}
_HYPHENS: Final = frozenset("-\u2010\u2011\u2013")
_SENTENCE_ENDS: Final = frozenset(".!?;\n\r\u2026\u3002\uff01\uff1f")


@dataclass(frozen=True, slots=True)
class Entry:
    """A keyword or an exclusion as the taxonomy gives it; ``theme`` counts its themes."""

    theme: int
    excludes: bool
    language: str
    text: str


class Rule(NamedTuple):
    """An entry compiled: the keys that each of its words accepts, and how it was given."""

    theme: int
    excludes: bool
    language: str
    positions: tuple[frozenset[str], ...]
    anchor: int
    weight: float
    crosses_sentences: bool
    text: str


class Hit(NamedTuple):
    """A rule that matched, and the first and last token that it covers."""

    rule: Rule
    first: int
    last: int
    weight: float


class Findings(NamedTuple):
    """What an index found in a text: hits, and per token its span and its sentence."""

    hits: list[Hit]
    spans: list[tuple[int, int]]
    sentence_of: list[int]


def rules_of(entries: Iterable[Entry]) -> list[Rule]:
    """Compile *entries*; a word that several themes share weighs less for each of them."""
    compiled: dict[object, Rule] = {}
    sharing: dict[object, int] = {}
    for entry in entries:
        for rule in _rules(entry):
            meaning = (rule.excludes, rule.language, rule.positions)
            if compiled.setdefault((rule.theme, meaning), rule) is rule:
                sharing[meaning] = sharing.get(meaning, 0) + 1
    return [
        rule._replace(
            weight=rule.weight / sharing[rule.excludes, rule.language, rule.positions] ** 0.5
        )
        for rule in compiled.values()
    ]


def _rules(entry: Entry) -> Iterator[Rule]:
    matches = list(PATTERN.finditer(entry.text))
    words = [fold(match[0]) for match in matches]
    gaps = [
        entry.text[matches[place].end() : matches[place + 1].start()]
        for place in range(len(matches) - 1)
    ]
    yield _rule(entry, words, crosses_sentences=any(map(_ends_sentence, gaps)))
    # "check-in" is also written "checkin"; "check in" is the same phrase anyway.
    if gaps and _HYPHENS.issuperset(gaps):
        yield _rule(entry, ["".join(words)], crosses_sentences=False)


def _rule(entry: Entry, words: list[str], *, crosses_sentences: bool) -> Rule:
    language = "" if entry.language == ANY_LANGUAGE else entry.language
    # In quotes a word is meant as it stands: "caring" and not every form of "care".
    exact = len(entry.text) > 1 and entry.text[0] == entry.text[-1] == '"'
    fillers = _FILLERS.get(language, frozenset())
    telling = [word for word in words if word not in fillers]
    if len(set(telling) - stop_words(language)) > 1:
        words = telling
    weights = [rarity(word, language) for word in words]
    # Filed under the rarest and longest word: the fewer texts get as far as that the better.
    anchor = max(
        range(len(words)), key=lambda place: (weights[place], len(words[place]), -place)
    )
    return Rule(
        theme=entry.theme,
        excludes=entry.excludes,
        language=language,
        positions=tuple(
            accepted_forms(word) if exact else accepted_keys(word, language) for word in words
        ),
        anchor=anchor,
        weight=max(weights) * (_WEIGHT_OF_A_PHRASE if len(words) > 1 else _WEIGHT_OF_A_WORD),
        crosses_sentences=crosses_sentences,
        text=entry.text,
    )


class Index:
    """The rules of some languages, answering which of them match a text."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._filed: dict[tuple[str, str], list[Rule]] = {}
        for rule in rules:
            for key in sorted(rule.positions[rule.anchor]):
                self._filed.setdefault((rule.language, key), []).append(rule)
        self._languages = tuple(sorted({language for language, _ in self._filed}))
        self._roots: dict[tuple[str, str], list[str]] = {}
        for language, key in self._filed:
            if is_stem(key) and self._single(key, language):
                self._roots.setdefault((language, key[:NEAR_KEY]), []).append(key)
        self._known: dict[str, tuple[tuple[Rule, float], ...]] = {}

    def find(self, text: str, words: Sequence[str]) -> Findings | None:
        """Return what matches in *text*, of which *words* are the tokens, or None.

        The first loop runs for every word of every text, so it does nothing but look up.
        """
        known = self._known.get
        candidates = []
        for place, word in enumerate(words):
            filed = known(word)
            if filed is None:
                filed = self._look_up(word)
            if filed:
                candidates.append((place, filed))
        if not candidates and _HYPHENS.isdisjoint(text):
            return None
        spans = [match.span() for match in PATTERN.finditer(text)]
        sentence_of = _sentences(text, spans)
        hits = [*self._hits(words, candidates, sentence_of), *self._joined(text, words, spans)]
        return Findings(hits, spans, sentence_of) if hits else None

    @staticmethod
    def _hits(
        words: Sequence[str],
        candidates: Iterable[tuple[int, tuple[tuple[Rule, float], ...]]],
        sentence_of: Sequence[int],
    ) -> Iterator[Hit]:
        for place, filed in candidates:
            for rule, factor in filed:
                if len(rule.positions) == 1:
                    yield Hit(rule, place, place, rule.weight * factor)
                elif span := _phrase(rule, words, place, sentence_of):
                    yield Hit(rule, *span, rule.weight)

    def _joined(
        self, text: str, words: Sequence[str], spans: Sequence[tuple[int, int]]
    ) -> Iterator[Hit]:
        """Try two words that a hyphen joins as the one word they are elsewhere."""
        if _HYPHENS.isdisjoint(text):
            return
        for place in range(len(words) - 1):
            if text[spans[place][1] : spans[place + 1][0]] in _HYPHENS:
                for rule, factor in self._look_up(words[place] + words[place + 1]):
                    if len(rule.positions) == 1:
                        yield Hit(rule, place, place + 1, rule.weight * factor)

    def _look_up(self, word: str) -> tuple[tuple[Rule, float], ...]:
        filed = self._known.get(word)
        if filed is None:
            folded = fold(word)
            filed = tuple(
                found
                for language in self._languages
                for found in self._filed_under(folded, language)
            )
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[word] = filed
        return filed

    def _filed_under(self, word: str, language: str) -> list[tuple[Rule, float]]:
        exact = {
            id(rule): (rule, 1.0)
            for key in keys(word, language)
            for rule in self._filed.get((language, key), ())
        }
        if exact or word in stop_words(language):
            return list(exact.values())
        for verb in verbs_of(word, language):
            if rules := self._single(stem(verb, language), language):
                return [(rule, _ANOTHER_FORM) for rule in rules]
        near = nearest(word, self._roots.get((language, word[:NEAR_KEY]), ()), language)
        if near is not None:
            return [(rule, _ANOTHER_FORM) for rule in self._single(near, language)]
        for part in roots_within(word, language):
            if rules := self._single(part, language):
                return [(rule, _PART_OF_A_COMPOUND) for rule in rules]
        return []

    def _single(self, root: str, language: str) -> list[Rule]:
        """Return the keywords of one word that are filed under *root*."""
        return [
            rule
            for rule in self._filed.get((language, root), ())
            if len(rule.positions) == 1 and not rule.excludes
        ]


def _ends_sentence(gap: str) -> bool:
    return not _SENTENCE_ENDS.isdisjoint(gap)


def _sentences(text: str, spans: Sequence[tuple[int, int]]) -> list[int]:
    """Return for every token the number of the sentence it stands in."""
    numbers, number, end = [], 0, 0
    for start, after in spans:
        # Most gaps are one blank.
        if start - end > 1 or text[end:start] in _SENTENCE_ENDS:
            number += _ends_sentence(text[end:start])
        numbers.append(number)
        end = after
    return numbers


def _phrase(
    rule: Rule, words: Sequence[str], place: int, sentence_of: Sequence[int]
) -> tuple[int, int] | None:
    """Return the span of tokens in which the phrase of *rule* stands around its anchor."""
    first = _walk(rule, words, place, -1)
    last = _walk(rule, words, place, 1)
    if first is None or last is None:
        return None
    if sentence_of[first] != sentence_of[last] and not rule.crosses_sentences:
        return None
    return first, last


def _walk(rule: Rule, words: Sequence[str], place: int, step: int) -> int | None:
    """Go from the anchor to an end of the phrase, passing one small word before each word."""
    fillers = _FILLERS.get(rule.language, frozenset())
    position = rule.anchor + step
    while 0 <= position < len(rule.positions):
        place += step
        if not _accepts(rule, position, words, place):
            if not (0 <= place < len(words) and fold(words[place]) in fillers):
                return None
            place += step
            if not _accepts(rule, position, words, place):
                return None
        position += step
    return place


def _accepts(rule: Rule, position: int, words: Sequence[str], place: int) -> bool:
    if not 0 <= place < len(words):
        return False
    accepted = rule.positions[position]
    return not accepted.isdisjoint(keys(fold(words[place]), rule.language))
