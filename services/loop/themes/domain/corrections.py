"""What people say of the themes that were found: it stands above what any taxonomy finds.

A correction is about the words it was made on. It outlives every other version of the taxonomy
and every replay, and ends when the customer writes something else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal

from services.loop.themes.domain.classifier import Mention
from services.loop.themes.domain.taxonomy import Taxonomy

STAFF: Final = "staff"
"""What a mention is known by that somebody added; no words of the text decided."""

Verdict = Literal["not", "also", "right"]
"""The theme is not in these words; it is, and was not found; it was found and is right."""


@dataclass(frozen=True, kw_only=True)
class Correction:
    """What somebody said of one theme in one response.

    ``found`` is what the taxonomy finds there by itself, None for nothing. ``drawn`` tells
    whether the response was drawn for a check and not chosen.
    """

    response_id: str
    theme_id: str
    verdict: Verdict
    language: str
    drawn: bool
    judged_at: datetime
    judged_by: str
    found: Mention | None
    taxonomy_version: int

    @property
    def belongs(self) -> bool:
        """Tell whether the theme is in these words."""
        return self.verdict != "not"


def corrected(found: Iterable[Mention], corrections: Sequence[Correction]) -> list[Mention]:
    """Return the mentions that stand when people have had their say, the surest first."""
    judged = {one.theme_id: one for one in corrections}
    standing = [
        mention
        for mention in found
        if mention.theme_id not in judged or judged[mention.theme_id].belongs
    ]
    known = {mention.theme_id for mention in standing}
    standing += [
        Mention(one.theme_id, 1.0, None, STAFF)
        for one in corrections
        if one.belongs and one.theme_id not in known
    ]
    standing.sort(key=lambda mention: (-mention.score, mention.theme_id))
    return standing


def read_again(
    corrections: Sequence[Correction],
    found: Sequence[Mention],
    *,
    taxonomy: Taxonomy,
    version: int,
) -> list[Correction]:
    """Return what is left of the corrections of a response by another version of the taxonomy.

    What belongs to a theme belongs to the one it was merged into. That a theme is not meant
    says nothing about the other one, so that is no longer said. A theme that the taxonomy does
    not hold any more is left alone: it may come back.
    """
    now = {mention.theme_id: mention for mention in found}
    own = {one.theme_id for one in corrections}
    left: dict[str, Correction] = {}
    for one in corrections:
        theme_id = stands_for(taxonomy, one.theme_id)
        if theme_id != one.theme_id and (
            not one.belongs or theme_id in own or theme_id in left
        ):
            continue
        left[theme_id] = replace(
            one, theme_id=theme_id, found=now.get(theme_id), taxonomy_version=version
        )
    return list(left.values())


def in_force(corrections: Iterable[Correction], taxonomy: Taxonomy) -> list[Correction]:
    """Return the corrections about themes that the taxonomy holds."""
    known = {theme.id for theme in taxonomy.themes}
    return [one for one in corrections if one.theme_id in known]


def stands_for(taxonomy: Taxonomy, theme_id: str) -> str:
    """Return the theme that a theme was merged into, in the end; itself if it was not."""
    into = {theme.id: theme.merged_into for theme in taxonomy.themes if theme.merged_into}
    seen = {theme_id}
    while (after := into.get(theme_id)) is not None and after not in seen:
        seen.add(after)
        theme_id = after
    return theme_id
