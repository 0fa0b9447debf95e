"""Words that corrections suggest: to be looked for, or to be looked for no longer.

Pure and deterministic: the same corrections and the same other comments give the same words.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from services.loop.themes.domain.masking import EMAIL, NAME, NUMBER
from shared.text.language import stop_words
from shared.text.stems import stem
from shared.text.tokens import PATTERN, fold

Kind = Literal["add", "drop"]

PERSONS: Final = 3
"""So many customers must have used a word before anybody is shown it."""
_RARELY: Final = 0.02
_TIMES_AS_OFTEN: Final = 10
_MOST: Final = 10
_SHORTEST: Final = 3
_COVERS: Final = re.compile("|".join(map(re.escape, (NAME, EMAIL, NUMBER))))
_BREAKS: Final = re.compile(r"[.!?;:,\n\r]")


@dataclass(frozen=True, kw_only=True)
class Said:
    """A comment, without whose it is: ``person`` only tells one customer from another."""

    person: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Suggested:
    """A word or phrase; ``support`` counts what speaks for it, ``against`` what does not.

    Of words to be looked for these are customers who meant the theme with them, and other
    comments that hold them too; of a keyword in use, comments where it was wrong and right.
    """

    kind: Kind
    words: str
    support: int
    against: int


class _Term(NamedTuple):
    stems: tuple[str, ...]
    surface: str


def words_to_add(
    missed: Sequence[Said],
    others: Iterable[str],
    *,
    language: str,
    known: Collection[str] = (),
    names: Collection[str] = (),
) -> Sequence[Suggested]:
    """Return words that stand in the comments where a theme was missed, and rarely elsewhere.

    At least three customers must have used them; ``known`` are the theme's words of today, and
    ``names`` what colleagues are called, folded: nobody's name tells of a theme.
    """
    persons: dict[tuple[str, ...], set[str]] = {}
    surfaces: dict[tuple[str, ...], Counter[str]] = {}
    for said in missed:
        for term in set(_terms(said.text, language)):
            persons.setdefault(term.stems, set()).add(said.person)
            surfaces.setdefault(term.stems, Counter())[term.surface] += 1
    have = {_stems(words, language) for words in known}
    people = {stem(name, language) for name in names}
    wanted = {
        stems: len(who)
        for stems, who in persons.items()
        if len(who) >= PERSONS and stems not in have and people.isdisjoint(stems)
    }
    customers = len({said.person for said in missed})
    elsewhere, n = _elsewhere(others, wanted, language)
    chosen: list[tuple[str, ...]] = []
    # Short ones first: a phrase says nothing that its telling word has not said already.
    for stems in sorted(wanted, key=lambda one: (len(one), -wanted[one], one)):
        rate = elsewhere[stems] / n if n else 0.0
        if (
            rate <= _RARELY
            and wanted[stems] / customers >= _TIMES_AS_OFTEN * rate
            and not any(set(shorter) <= set(stems) for shorter in chosen)
        ):
            chosen.append(stems)
    chosen.sort(key=lambda one: (-wanted[one], elsewhere[one], one))
    return [
        Suggested(
            kind="add",
            words=min(surfaces[stems].items(), key=lambda item: (-item[1], item[0]))[0],
            support=wanted[stems],
            against=elsewhere[stems],
        )
        for stems in chosen[:_MOST]
    ]


def words_to_drop(judged: Mapping[str, tuple[int, int]]) -> Sequence[Suggested]:
    """Return keywords that were wrong far more often than right, by how often they were each.

    ``judged`` holds for each keyword how often what it found was wrong, and how often right.
    """
    bad = [
        Suggested(kind="drop", words=words, support=wrong, against=right)
        for words, (wrong, right) in judged.items()
        if wrong >= PERSONS and wrong >= 3 * right
    ]
    return sorted(bad, key=lambda one: (-one.support, one.words))[:_MOST]


def _elsewhere(
    others: Iterable[str], wanted: Collection[tuple[str, ...]], language: str
) -> tuple[Counter[tuple[str, ...]], int]:
    """Count in how many other comments each of these stands, and the comments."""
    found: Counter[tuple[str, ...]] = Counter()
    n = 0
    for text in others:
        n += 1
        found.update({term.stems for term in _terms(text, language)} & set(wanted))
    return found, n


def _terms(text: str, language: str) -> Iterator[_Term]:
    """Yield the telling words of a text, and the pairs of words that stand together."""
    small = stop_words(language)
    for part in _parts(text):
        words = [fold(word) for word in PATTERN.findall(part)]
        for place, first in enumerate(words):
            if _tells(first, small):
                yield _Term((stem(first, language),), first)
            second = words[place + 1] if place + 1 < len(words) else ""
            if _tells(second, small) and first.isalpha():
                stems = (stem(first, language), stem(second, language))
                yield _Term(stems, f"{first} {second}")


def _parts(text: str) -> Iterator[str]:
    """Yield what stands between covers, full stops and commas: no phrase goes across them."""
    for piece in _COVERS.split(text):
        yield from _BREAKS.split(piece)


def _tells(word: str, small: Collection[str]) -> bool:
    return len(word) >= _SHORTEST and word.isalpha() and word not in small


def _stems(words: str, language: str) -> tuple[str, ...]:
    return tuple(stem(fold(word), language) for word in PATTERN.findall(words))
