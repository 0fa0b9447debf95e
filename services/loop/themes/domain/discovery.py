"""What customers talk about that no theme covers yet: comments grouped by the words they share.

A function of the comments and nothing else: they are sorted first, chance has a fixed seed, and
the same comments in any order give the same groups. Words are read once and then counted; how
the counted words become groups is the business of ``grouping``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from services.loop.themes.domain.grouping import Bag, Grouping, group
from shared.text.language import guess, stop_words
from shared.text.stems import primary, stem
from shared.text.tokens import PATTERN, fold

SMALLEST: Final = 5
"""How many comments make a group: fewer are an anecdote."""

_LABEL_WORDS: Final = 3
_KEYWORDS: Final = 8
_TYPICAL: Final = 3
_HEARD_FROM: Final = 3
_LONGEST_TEXT: Final = 4_000
_COVERED_UP: Final = re.compile(r"\[(?:name|number|e-mail)\]")
_SHORTEST_WORD: Final = 2


@dataclass(frozen=True, slots=True)
class Verbatim:
    """A comment with an id of the caller's; *language* is a BCP 47 tag, if one is known."""

    id: str
    text: str
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Cluster:
    """Comments that speak of the same, in the customers' words.

    ``members`` are sorted ids, ``keywords`` the most telling words by language and ``typical``
    the three comments nearest the centre, the nearest first. ``label`` is "" where no word
    was used in three comments.
    """

    members: tuple[str, ...]
    label: str
    keywords: Mapping[str, tuple[str, ...]]
    typical: tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class _Read:
    """A text with its language and its words: folded form and stem of each."""

    language: str
    words: tuple[tuple[str, str], ...]


def discover(verbatims: Sequence[Verbatim], *, seed: int = 7) -> Sequence[Cluster]:
    """Return the groups among *verbatims*, the largest first; not every comment is in one.

    Equal texts count as often as they come but are grouped once, so that they never part.
    """
    ids: dict[tuple[str, str], list[str]] = {}
    for verbatim in sorted(verbatims, key=lambda each: each.id):
        text = verbatim.text.strip()[:_LONGEST_TEXT]
        ids.setdefault((text, primary(verbatim.language)), []).append(verbatim.id)
    texts = sorted(ids)
    read = [_read(text, language) for text, language in texts]
    bags = [_bag(each, len(ids[key])) for each, key in zip(read, texts, strict=True)]
    grouping = group(bags, seed=seed)
    named = [ids[key] for key in texts]
    clusters = [
        _cluster(places, read, named, grouping)
        for places in grouping.groups
        if sum(len(named[place]) for place in places) >= SMALLEST
    ]
    return sorted(clusters, key=lambda each: (-len(each.members), each.members))


def _read(text: str, language: str) -> _Read:
    forms = [fold(word) for word in PATTERN.findall(_COVERED_UP.sub(" ", text))]
    spoken = language or guess(forms)
    silent = stop_words(spoken)
    return _Read(
        spoken,
        tuple(
            (form, stem(form, spoken))
            for form in forms
            if form not in silent and len(form) >= _SHORTEST_WORD and not form.isdigit()
        ),
    )


def _bag(read: _Read, weight: int) -> Bag:
    """Count the stems of a text; equal spellings count as one word in every language."""
    return Bag(Counter(root for _, root in read.words), weight)


def _cluster(
    places: Sequence[int],
    read: Sequence[_Read],
    ids: Sequence[Sequence[str]],
    grouping: Grouping,
) -> Cluster:
    nearest = sorted(places, key=lambda place: (-grouping.nearness[place], place))
    typical = [ids[place][0] for place in nearest[:_TYPICAL]]
    # Few texts, often repeated: the repetitions are as typical as the text.
    typical += [id_ for place in nearest for id_ in ids[place][1:]][: _TYPICAL - len(typical)]
    words = _telling(places, read, ids, grouping)
    return Cluster(
        members=tuple(sorted(id_ for place in places for id_ in ids[place])),
        label=", ".join(word for word, _ in words[:_LABEL_WORDS]),
        keywords=_by_language(words),
        typical=(typical[0], typical[1], typical[2]),
    )


def _telling(
    places: Sequence[int],
    read: Sequence[_Read],
    ids: Sequence[Sequence[str]],
    grouping: Grouping,
) -> list[tuple[str, str]]:
    """Return the most telling words with their language, each in its commonest form.

    A word tells the more, the more comments of the group have it and the fewer others do. No
    word counts that fewer than three comments have, and none with a digit: neither is a theme.
    """
    heard: Counter[tuple[str, str]] = Counter()
    forms: dict[tuple[str, str], Counter[str]] = {}
    for place in places:
        for form, root in dict(read[place].words).items():
            key = (root, read[place].language)
            forms.setdefault(key, Counter())[form] += len(ids[place])
        for root in {root for _, root in read[place].words}:
            heard[root, read[place].language] += len(ids[place])
    scored = sorted(
        (
            (-count * grouping.rarity.get(key[0], 0.0), key)
            for key, count in heard.items()
            if count >= _HEARD_FROM and not any(letter.isdigit() for letter in key[0])
        ),
    )
    return [
        (min(forms[key], key=lambda form: (-forms[key][form], form)), key[1])
        for _, key in scored
    ]


def _by_language(words: Sequence[tuple[str, str]]) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for word, language in words:
        listed = found.setdefault(language or "*", [])
        if len(listed) < _KEYWORDS:
            listed.append(word)
    return {language: tuple(found[language]) for language in sorted(found)}
