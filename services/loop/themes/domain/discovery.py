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

from services.loop.themes.domain.concepts import concepts
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


@dataclass(frozen=True, slots=True)
class _Word:
    """A word in its commonest form, what it means, and how many comments have it."""

    form: str
    language: str
    meaning: str
    comments: int
    listed: bool

    @property
    def is_harmless(self) -> bool:
        """Return whether nobody can be known by this word."""
        told = self.listed or self.comments >= _HEARD_FROM
        return told and not any(letter.isdigit() for letter in self.form)


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
        read,
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
    nearest: Sequence[int], ids: Sequence[Sequence[str]], words: Sequence[_Word]
) -> Cluster:
    typical = [ids[place][0] for place in nearest[:_TYPICAL]]
    # Few texts, often repeated: the repetitions are as typical as the text.
    typical += [id_ for place in nearest for id_ in ids[place][1:]][: _TYPICAL - len(typical)]
    return Cluster(
        members=tuple(sorted(id_ for place in nearest for id_ in ids[place])),
        label=", ".join(_different(words)),
        keywords=_by_language(words),
        typical=(typical[0], typical[1], typical[2]),
    )


def _telling(
    groups: Sequence[Sequence[int]], read: Sequence[Words], ids: Sequence[Sequence[str]]
) -> list[list[_Word]]:
    """Return for each group its words, the most telling first, each in its commonest form.

    A word tells the more, the more comments of the group say it, in whichever language, the
    fewer groups do (class-based TF-IDF), and the less it is said everywhere anyway. What fewer
    than three comments say counts for nothing, and neither do words of fewer than three that
    are on no list, nor any with a digit: a person might be known by them.
    """
    heard = [_heard(places, read, ids) for places in groups]
    said: list[Counter[str]] = [Counter() for _ in heard]
    for words, counts in zip(heard, said, strict=True):
        for word in words:
            counts[word.meaning] += word.comments
    everywhere: Counter[str] = Counter()
    for counts in said:
        everywhere.update(counts)
    average = sum(everywhere.values()) / max(len(groups), 1)

    telling = []
    for words, counts in zip(heard, said, strict=True):
        words.sort(key=lambda word: (-word.comments, word.form, word.language))
        rare: dict[str, float] = {}
        for word in words:
            # How rare a meaning is, the word says that most use for it.
            rare.setdefault(word.meaning, rarity(word.form, word.language))
        weight = {
            meaning: count * log(1 + average / everywhere[meaning]) * rare[meaning]
            for meaning, count in counts.items()
            if count >= _HEARD_FROM
        }
        kept = [word for word in words if word.is_harmless and word.meaning in weight]
        telling.append(sorted(kept, key=lambda word: (-weight[word.meaning], word.meaning)))
    return telling


def _heard(
    places: Sequence[int], read: Sequence[Words], ids: Sequence[Sequence[str]]
) -> list[_Word]:
    """Return the words of some texts, and how many comments have each."""
    forms: dict[tuple[str, str], Counter[str]] = {}
    for place in places:
        once = {root: form for form, root in reversed(read[place].words)}
        for root, form in once.items():
            counts = forms.setdefault((root, read[place].language), Counter())
            counts[form] += len(ids[place])
    words = []
    for (root, language), counts in forms.items():
        form = min(counts, key=lambda each: (-counts[each], each))
        concept = min(concepts(form, language), default="")
        words.append(
            _Word(
                form, language, concept or f"{language} {root}", counts.total(), bool(concept)
            )
        )
    return words


def _different(words: Sequence[_Word]) -> Sequence[str]:
    """Return the first words of which each says something else."""
    said: dict[str, str] = {}
    for word in words:
        if word.form not in said.values():
            said.setdefault(word.meaning, word.form)
    return list(said.values())[:_LABEL_WORDS]


def _by_language(words: Sequence[_Word]) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for word in words:
        listed = found.setdefault(word.language or "*", [])
        if len(listed) < _KEYWORDS:
            listed.append(word.form)
    return {language: tuple(found[language]) for language in sorted(found)}
