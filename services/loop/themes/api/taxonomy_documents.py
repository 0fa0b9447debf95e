"""What the versions, the draft and the preview of the taxonomy look like over the interface."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import AwareDatetime, BaseModel

from services.loop.themes.domain.differing import Kind
from services.loop.themes.handlers.drafting import Draft, Version
from services.loop.themes.handlers.previewing import Preview
from services.loop.themes.schemas import TaxonomyOut

_MOST_MOVES = 20


class ChangeOut(BaseModel):
    """One difference to the version before; ``more`` and ``fewer`` count words."""

    kind: Kind
    theme: str | None
    to: str | None
    more: int
    fewer: int


class ByOut(BaseModel):
    """Who published or changed it."""

    id: str
    name: str


class VersionOut(BaseModel):
    """A version of the taxonomy; the one that is shipped was published by nobody."""

    version: int
    published_at: AwareDatetime
    published_by: ByOut | None
    themes: int
    changes: list[ChangeOut]


class VersionList(BaseModel):
    """Versions, the latest first."""

    data: list[VersionOut]
    next_cursor: str | None
    has_more: bool


class DraftOut(TaxonomyOut):
    """The taxonomy that somebody works on, in the format of its files.

    The version of the draft itself is the ETag; ``based_on`` is the version of the taxonomy
    that it began with.
    """

    based_on: int
    changed_at: AwareDatetime
    changed_by: ByOut


class ShiftOut(BaseModel):
    """One theme now and afterwards, with up to five responses that come to it or leave it."""

    id: str
    before: int
    after: int
    gained: int
    lost: int
    gained_ids: list[str]
    lost_ids: list[str]


class MoveOut(BaseModel):
    """Responses that lose one theme and gain another."""

    lost: str
    gained: str
    responses: int


class PreviewOut(BaseModel):
    """What would be found in the comments of the last 90 days.

    ``whole`` is false where there were more than are looked at: then only the latest were,
    since ``first``. ``unreadable`` comments are of customers who were forgotten.
    """

    first: AwareDatetime
    last: AwareDatetime
    whole: bool
    responses: int
    changed: int
    unreadable: int
    without_before: int
    without_after: int
    themes: list[ShiftOut]
    moves: list[MoveOut]


def shown_version(version: Version, names: Mapping[str, str]) -> dict[str, Any]:
    """Return a version as the list shows it."""
    return VersionOut(
        version=version.version,
        published_at=version.created_at,
        published_by=_by(version.created_by, names),
        themes=len(version.taxonomy.themes),
        changes=[
            ChangeOut(
                kind=one.kind,
                theme=one.theme_id or None,
                to=one.to,
                more=one.more,
                fewer=one.fewer,
            )
            for one in version.changes
        ],
    ).model_dump(mode="json")


def shown_draft(draft: Draft, names: Mapping[str, str]) -> dict[str, Any]:
    """Return the draft with who changed it last."""
    return {
        **draft.taxonomy.as_document(),
        "based_on": draft.based_on,
        "changed_at": draft.changed_at.isoformat().replace("+00:00", "Z"),
        "changed_by": {
            "id": draft.changed_by,
            "name": names.get(draft.changed_by, draft.changed_by),
        },
    }


def shown_preview(made: Preview) -> dict[str, Any]:
    """Return what a preview came to."""
    comparison = made.comparison
    return PreviewOut(
        first=made.first,
        last=made.last,
        whole=made.whole,
        responses=comparison.responses,
        changed=comparison.changed,
        unreadable=made.unreadable,
        without_before=comparison.without_before,
        without_after=comparison.without_after,
        themes=[
            ShiftOut(
                id=one.theme_id,
                before=one.before,
                after=one.after,
                gained=one.gained,
                lost=one.lost,
                gained_ids=list(one.gained_ids),
                lost_ids=list(one.lost_ids),
            )
            for one in comparison.shifts()
        ],
        moves=[
            MoveOut(lost=one.theme_id, gained=one.to, responses=one.responses)
            for one in comparison.moves(_MOST_MOVES)
        ],
    ).model_dump(mode="json")


def _by(who: str | None, names: Mapping[str, str]) -> ByOut | None:
    return None if who is None else ByOut(id=who, name=names.get(who, who))
