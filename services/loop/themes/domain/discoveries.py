"""What was discovered, kept the same from night to night, and what becomes of it.

A group of comments without a theme is shown once it was found in two nights in a row; one night
alone proves little. It stays the same group as long as enough of its comments stay.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from services.loop.responses.domain import Response
from services.loop.themes.domain.assignment import paired
from services.loop.themes.domain.masking import EMAIL, NAME, NUMBER
from services.loop.themes.domain.taxonomy import ANY_LANGUAGE, Words
from shared.text.stems import primary, stem
from shared.text.tokens import tokens

if TYPE_CHECKING:  # it brings a library along that is needed at night only
    from services.loop.themes.domain.discovery import Cluster

State = Literal["waiting", "shown", "adopted", "dismissed"]

WEEKS: Final = 12
"""How far back comments are looked through."""
SEEN_TWICE: Final = 2
"""In so many nights in a row a group is found before anybody hears of it."""
MISSED_AT_MOST: Final = 3
"""So many nights in a row a shown group may be missing before it is given up."""
SAME_FROM: Final = 0.3
"""How much of both groups must be the same comments, as Jaccard's index."""
PERSONS_AT_LEAST: Final = 3
"""So many customers must have said a word before it stands anywhere by itself."""

_COVERS: Final = (NAME, EMAIL, NUMBER)
_LABEL_WORDS: Final = 3


@dataclass(frozen=True, kw_only=True)
class Found:
    """A group as one night found it, in words that several customers used."""

    label: str
    keywords: Words
    members: tuple[str, ...]
    typical: tuple[str, ...]
    persons: int
    rated: int
    low: int
    weekly: tuple[int, ...]
    """How many of its comments each of the last weeks has, the current one last."""


@dataclass(frozen=True, kw_only=True)
class Discovery:
    """A group with an identity, and what somebody decided about it."""

    id: str
    version: int = 1
    state: State = "waiting"
    label: str
    keywords: Words
    size: int
    persons: int
    rated: int
    low: int
    weekly: tuple[int, ...]
    nights: int = 1
    missed: int = 0
    first_seen_at: datetime
    last_seen_at: datetime
    decided_at: datetime | None = None
    decided_by: str | None = None
    theme_id: str | None = None
    taxonomy_version: int | None = None

    def seen(self, found: Found, *, now: datetime) -> Discovery:
        """Return it as of a night that found it again; what was decided stays decided."""
        nights = self.nights + 1
        ripe = self.state == "waiting" and nights >= SEEN_TWICE
        return replace(
            self,
            **_facts(found),
            version=self.version + 1,
            state="shown" if ripe else self.state,
            nights=nights,
            missed=0,
            last_seen_at=now,
        )

    def missing(self, *, now: datetime) -> Discovery | None:
        """Return it as of a night that did not find it, or None where it is given up.

        What nobody has been shown is given up at once. What was decided is remembered as long
        as comments go back, so that it is not found anew the next time.
        """
        gone = {
            "waiting": True,
            "shown": self.missed + 1 >= MISSED_AT_MOST,
            "adopted": now - self.last_seen_at > timedelta(weeks=WEEKS),
            "dismissed": now - self.last_seen_at > timedelta(weeks=WEEKS),
        }[self.state]
        return None if gone else replace(self, missed=self.missed + 1)

    def decided(
        self,
        state: State,
        *,
        by: str,
        now: datetime,
        theme_id: str | None = None,
        taxonomy_version: int | None = None,
    ) -> Discovery:
        """Return it as somebody decided."""
        return replace(
            self,
            version=self.version + 1,
            state=state,
            decided_at=now,
            decided_by=by,
            theme_id=theme_id,
            taxonomy_version=taxonomy_version,
        )


def begun(new_id: str, found: Found, *, now: datetime) -> Discovery:
    """Return what a night found for the first time."""
    return Discovery(id=new_id, **_facts(found), first_seen_at=now, last_seen_at=now)


def same_as(
    former: Mapping[str, Collection[str]], found: Sequence[Collection[str]]
) -> Mapping[int, str]:
    """Return which former group each found one is, by place, where it is one.

    Pairs share at least ``SAME_FROM`` of their comments, and all pairs together share most.
    """
    ids = sorted(former)
    holders: dict[str, list[int]] = {}
    for place, one in enumerate(ids):
        for member in former[one]:
            holders.setdefault(member, []).append(place)
    weights: dict[tuple[int, int], float] = {}
    for place, members in enumerate(found):
        common: dict[int, int] = {}
        for member in members:
            for other in holders.get(member, ()):
                common[other] = common.get(other, 0) + 1
        for other, number in common.items():
            jaccard = number / (len(members) + len(former[ids[other]]) - number)
            if jaccard >= SAME_FROM:
                weights[place, other] = jaccard
    return {place: ids[other] for place, other in paired(weights).items()}


@dataclass(frozen=True, kw_only=True)
class Read:
    """A comment as it is looked through: without whoever wrote it."""

    response: Response
    text: str = field(repr=False)


def without_covers(masked: str) -> str:
    """Return a masked text without the signs that stand where something was covered up."""
    for cover in _COVERS:
        masked = masked.replace(cover, " ")
    return masked


def worth_telling(
    cluster: Cluster, read: Mapping[str, Read], *, names: Collection[str], now: datetime
) -> Found | None:
    """Return a group with the words that enough customers used; None where that is nothing.

    ``names`` are colleagues', folded: how often somebody is named is no theme.
    """
    comments = [read[one] for one in cluster.members]
    persons = {each.response.person_ref for each in comments}
    if len(persons) < PERSONS_AT_LEAST:
        return None
    said_by = _said_by(comments)
    keywords = {
        language: kept
        for language, words in cluster.keywords.items()
        if (
            kept := tuple(
                word
                for word in words
                if _is_common(word, language, said_by) and not _is_name(word, language, names)
            )
        )
    }
    common = {word for words in keywords.values() for word in words}
    named = [word for word in cluster.label.split(", ") if word in common]
    label = named or [words[0] for words in keywords.values()][:_LABEL_WORDS]
    if not label:
        return None
    return Found(
        label=", ".join(label)[:200],
        keywords=keywords,
        members=cluster.members,
        typical=tuple(dict.fromkeys(cluster.typical)),
        persons=len(persons),
        rated=sum(each.response.is_rated for each in comments),
        low=sum(each.response.is_low for each in comments),
        weekly=_weekly([each.response.answered_at for each in comments], now),
    )


def _said_by(comments: Sequence[Read]) -> Mapping[str, set[str]]:
    """Return by the folded form of each word, and by its stem, who said it."""
    said_by: dict[str, set[str]] = {}
    for each in comments:
        person = each.response.person_ref
        spoken = primary(each.response.language)
        for token in tokens(each.text):
            for form in (token.word, _stemmed(token.word, spoken)):
                said_by.setdefault(form, set()).add(person)
    return said_by


def _is_common(word: str, language: str, said_by: Mapping[str, set[str]]) -> bool:
    """Tell whether enough customers said each part of a keyword, and it counts nothing."""
    spoken = "" if language == ANY_LANGUAGE else language
    parts = [token.word for token in tokens(word)]
    return bool(parts) and all(
        not any(letter.isdigit() for letter in part)
        and len(
            said_by.get(part, set())
            | said_by.get(_stemmed(part, spoken), set())
            | said_by.get(_stemmed(part, ""), set())
        )
        >= PERSONS_AT_LEAST
        for part in parts
    )


def _is_name(word: str, language: str, names: Collection[str]) -> bool:
    """Tell whether a part of a keyword is somebody's name, in whatever case it stands."""
    spoken = "" if language == ANY_LANGUAGE else language
    stems = {stem(name, spoken) for name in names}
    return any(stem(token.word, spoken) in stems for token in tokens(word))


def _stemmed(word: str, language: str) -> str:
    return f"{language}:{stem(word, language)}"


def _weekly(moments: Sequence[datetime], now: datetime) -> tuple[int, ...]:
    weeks = [0] * WEEKS
    for at in moments:
        ago = (now - at) // timedelta(weeks=1)
        # Clocks of senders may be ahead of ours.
        weeks[WEEKS - 1 - min(max(ago, 0), WEEKS - 1)] += 1
    return tuple(weeks)


def _facts(found: Found) -> dict[str, Any]:
    return {
        "label": found.label,
        "keywords": found.keywords,
        "size": len(found.members),
        "persons": found.persons,
        "rated": found.rated,
        "low": found.low,
        "weekly": found.weekly,
    }
