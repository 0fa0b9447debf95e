"""What ``/v1/discoveries`` takes and gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from services.loop.journey.schemas.touchpoints import Text
from services.loop.themes.domain.discoveries import Discovery
from services.loop.themes.domain.masking import masked, secrets_of
from services.loop.themes.handlers.discoveries import Nights, OtherWatch, Voice
from services.loop.themes.schemas import Interval
from shared.identity.principal import Principal
from shared.stats.intervals import Estimate, share


class DiscoveryOut(BaseModel):
    """A group of comments without a theme, found in two nights in a row.

    ``label`` and ``keywords`` are words that at least three customers used. ``comments`` and
    ``customers`` are those of the last night that found it, of the last twelve weeks; ``weeks``
    are its comments week by week, the current one last. ``detractor_share`` is the part of
    unhappy customers among the ``rated`` comments. ``theme_id`` and ``taxonomy_version`` say
    which theme was made of it.
    """

    id: str
    version: int
    state: Literal["shown", "adopted", "dismissed"]
    label: str
    keywords: dict[str, list[str]]
    comments: int
    customers: int
    weeks: list[int]
    rated: int
    detractors: int
    detractor_share: float | None
    detractor_share_ci95: Interval | None
    enough: bool
    nights: int
    first_seen_at: AwareDatetime
    last_seen_at: AwareDatetime
    decided_at: AwareDatetime | None
    decided_by: str | None
    theme_id: str | None
    taxonomy_version: int | None


class VerbatimOut(BaseModel):
    """A comment that shows what a group is about; ``comment`` only for those who may read it.

    Staff read it with names, addresses and numbers covered up.
    """

    response_id: str
    answered_at: AwareDatetime
    language: str | None
    score: int | None
    category: str | None
    comment: str | None


class DiscoveryDetail(DiscoveryOut):
    """A group with up to three comments that show what it is about."""

    typical: list[VerbatimOut]


class NightOut(BaseModel):
    """The last night in which comments were looked through."""

    at: AwareDatetime
    comments: int
    found: int
    taxonomy_version: int


class WeekOut(BaseModel):
    """The comments of a week, from Monday in UTC, and those of them without a theme."""

    first: date = Field(serialization_alias="from")
    comments: int
    without_theme: int
    share: float | None
    share_ci95: Interval | None


class WatchOut(BaseModel):
    """Whether more comments are without a theme than the weeks before let expect.

    ``word`` speaks of the last ``judged_weeks`` whole weeks; ``expected_range`` holds 95 of 100
    such counts.
    """

    word: Literal["beyond", "inside", "too_few"]
    has_grown: bool
    judged_weeks: int
    without_theme: int
    comments: int
    expected_range: tuple[int, int] | None
    ratio: float | None
    ratio_ci95: Interval | None
    weeks: list[WeekOut]


class DiscoveryList(BaseModel):
    """Groups, the largest first; ``waiting`` were found in one night only, nobody sees them."""

    last_night: NightOut | None
    next_night_at: AwareDatetime | None
    waiting: int
    without_theme: WatchOut
    data: list[DiscoveryDetail]
    next_cursor: str | None
    has_more: bool


class AdoptIn(BaseModel):
    """What the theme is called that a group becomes, and whose it is.

    Without an id one is made of the name.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Text
    department: Text | None = None
    id: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^\S+$")] | None = None


class AdoptedOut(DiscoveryOut):
    """The group that became a theme, and where history can be gone through again with it."""

    replays: str


def shown(one: Discovery) -> dict[str, object]:
    """Return a group as ``/v1/discoveries`` shows it."""
    unhappy = share(hits=one.low, n=one.rated)
    return {
        "id": one.id,
        "version": one.version,
        "state": one.state,
        "label": one.label,
        "keywords": {language: list(words) for language, words in one.keywords.items()},
        "comments": one.size,
        "customers": one.persons,
        "weeks": list(one.weekly),
        "rated": one.rated,
        "detractors": one.low,
        **_estimated("detractor_share", unhappy),
        "enough": unhappy.enough,
        "nights": one.nights,
        "first_seen_at": one.first_seen_at,
        "last_seen_at": one.last_seen_at,
        "decided_at": one.decided_at,
        "decided_by": one.decided_by,
        "theme_id": one.theme_id,
        "taxonomy_version": one.taxonomy_version,
    }


def shown_in_detail(
    one: Discovery, voices: Sequence[Voice], caller: Principal
) -> dict[str, object]:
    """Return a group with the comments that show what it is about."""
    covered = caller.kind == "staff"
    return {
        **shown(one),
        # Whoever was erased has nothing to show any more.
        "typical": [_voice(each, covered=covered) for each in voices if each.person],
    }


def _voice(voice: Voice, *, covered: bool) -> dict[str, object]:
    response, person = voice.response, voice.person
    comment = person.comment if person else None
    if covered and person:
        secrets = secrets_of(person.customer, person.attributes, person.transaction_id)
        comment = masked(comment, secrets)
    return {
        "response_id": response.id,
        "answered_at": response.answered_at,
        "language": response.language,
        "score": response.score,
        "category": response.category,
        "comment": comment,
    }


def shown_nights(found: Nights) -> Mapping[str, object]:
    """Return when comments were looked through and when they will be."""
    last = found.last
    return {
        "last_night": last
        and {
            "at": last.ended_at,
            "comments": last.read,
            "found": last.found,
            "taxonomy_version": last.taxonomy_version,
        },
        "next_night_at": found.next_at,
        "waiting": found.waiting,
    }


def shown_watch(watch: OtherWatch) -> dict[str, object]:
    """Return how much no theme covers, and whether it is more than before."""
    verdict = watch.verdict
    return {
        "word": verdict.word,
        "has_grown": verdict.rises,
        "judged_weeks": verdict.weeks,
        "without_theme": verdict.mentions,
        "comments": verdict.comments,
        "expected_range": verdict.range95,
        "ratio": verdict.ratio and round(verdict.ratio, 3),
        "ratio_ci95": verdict.ci95 and tuple(round(end, 3) for end in verdict.ci95),
        "weeks": [
            {
                "first": week.first,
                "comments": week.comments,
                "without_theme": week.without,
                **_estimated("share", week.share),
            }
            for week in watch.weeks
        ],
    }


def _estimated(name: str, estimate: Estimate) -> dict[str, object]:
    between = estimate.ci95
    return {
        name: None if estimate.value is None else round(estimate.value, 4),
        f"{name}_ci95": between and (round(between[0], 4), round(between[1], 4)),
    }
