"""What customers talk about that no theme covers yet: comments grouped by what they say.

A function of the comments and nothing else: they are sorted first, chance has a fixed seed, and
the same comments in any order give the same groups. ``reading`` says what is counted of a text,
``grouping`` who belongs together; here the groups get their words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Final

from services.loop.themes.domain.grouping import group
from services.loop.themes.domain.reading import Words, read_all
from shared.text.background import rarity
from shared.text.stems import primary

SMALLEST: Final = 5
"""How many comments make a group: fewer are an anecdote."""

_LABEL_WORDS: Final = 3
_KEYWORDS: Final = 8
_TYPICAL: Final = 3
_HEARD_FROM: Final = 3

_Term = tuple[str, str]
"""A stem and its language."""


@dataclass(frozen=True, slots=True)
class Verbatim:
    """A comment with an id of the caller's; *language* is a BCP 47 tag, if one is known."""

    id: str
    text: str
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Cluster:
    """Comments that speak of the same, in the customers' words.

    ``members`` are sorted ids, ``keywords`` the most telling words by language ("*" where the
    language could not be told) and ``typical`` the three comments nearest the centre, the
    nearest first. ``label`` is "" where no word was used in three comments.
    """

    members: tuple[str, ...]
    label: str
    keywords: Mapping[str, tuple[str, ...]]
    typical: tuple[str, str, str]


def discover(
    verbatims: Sequence[Verbatim], *, known: Sequence[Verbatim] = (), seed: int = 7
) -> Sequence[Cluster]:
    """Return the groups among *verbatims*, the largest first; not every comment is in one.

    What is *known* (comments that a theme covers, a theme's examples) comes back in no group,
    and neither do the comments that are rather like these than like one another. Equal texts
    are grouped once, so that they never part.
    """
    spoken_for = {_key(verbatim) for verbatim in known}
    ids: dict[tuple[str, str], list[str]] = {}
    for verbatim in sorted(verbatims, key=lambda each: each.id):
        if _key(verbatim) not in spoken_for:
            ids.setdefault(_key(verbatim), []).append(verbatim.id)
    texts = sorted(spoken_for | ids.keys())
    taken = [place for place, text in enumerate(texts) if text in spoken_for]
    read = read_all(texts)
    named = [ids.get(text, []) for text in texts]
    grouping = group(
        [words.counted() for words in read],
        [max(1, len(each)) for each in named],
        known=taken,
        seed=seed,
    )
    groups = [
        sorted(places, key=lambda place: (-grouping.nearness[place], place))
        for places in grouping.groups
        if sum(len(named[place]) for place in places) >= SMALLEST
    ]
    telling = _telling(groups, read, named)
    clusters = [
        _cluster(nearest, named, words) for nearest, words in zip(groups, telling, strict=True)
    ]
    return sorted(clusters, key=lambda each: (-len(each.members), each.members))


def _key(verbatim: Verbatim) -> tuple[str, str]:
    return verbatim.text.strip(), primary(verbatim.language)


def _cluster(
    nearest: Sequence[int], ids: Sequence[Sequence[str]], words: Sequence[tuple[str, str]]
) -> Cluster:
    typical = [ids[place][0] for place in nearest[:_TYPICAL]]
    # Few texts, often repeated: the repetitions are as typical as the text.
    typical += [id_ for place in nearest for id_ in ids[place][1:]][: _TYPICAL - len(typical)]
    return Cluster(
        members=tuple(sorted(id_ for place in nearest for id_ in ids[place])),
        label=", ".join(dict.fromkeys(word for word, _ in words[:_LABEL_WORDS])),
        keywords=_by_language(words),
        typical=(typical[0], typical[1], typical[2]),
    )


def _telling(
    groups: Sequence[Sequence[int]], read: Sequence[Words], ids: Sequence[Sequence[str]]
) -> list[list[tuple[str, str]]]:
    """Return for each group its most telling words with their language, in common forms.

    A word tells the more, the more comments of the group have it and the fewer groups do
    (class-based TF-IDF), and the less it is said everywhere anyway. No word counts that fewer
    than three comments have, and none with a digit: neither is a theme.
    """
    heard = [_heard(places, read, ids) for places in groups]
    everywhere: Counter[_Term] = Counter()
    for forms in heard:
        everywhere.update({term: sum(counts.values()) for term, counts in forms.items()})
    average = sum(everywhere.values()) / max(len(groups), 1)
    telling = []
    for forms in heard:
        scored = []
        for term, counts in forms.items():
            count = sum(counts.values())
            form = min(counts, key=lambda each: (-counts[each], each))
            if count >= _HEARD_FROM and not any(letter.isdigit() for letter in form):
                weight = count * log(1 + average / everywhere[term]) * rarity(form, term[1])
                scored.append((-weight, form, term[1]))
        telling.append([(form, language) for _, form, language in sorted(scored)])
    return telling


def _heard(
    places: Sequence[int], read: Sequence[Words], ids: Sequence[Sequence[str]]
) -> Mapping[_Term, Counter[str]]:
    """Return in how many comments each term stands, and in which form."""
    forms: dict[_Term, Counter[str]] = {}
    for place in places:
        once = {root: form for form, root in reversed(read[place].words)}
        for root, form in once.items():
            counts = forms.setdefault((root, read[place].language), Counter())
            counts[form] += len(ids[place])
    return forms


def _by_language(words: Sequence[tuple[str, str]]) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for word, language in words:
        listed = found.setdefault(language or "*", [])
        if len(listed) < _KEYWORDS:
            listed.append(word)
    return {language: tuple(found[language]) for language in sorted(found)}
