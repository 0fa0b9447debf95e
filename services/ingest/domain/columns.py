"""A file's columns with what their headings and a sample of their values say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from services.ingest.domain.files import Layout
from services.ingest.domain.headings import DULL, MEMBERS, OURS, plain
from services.ingest.domain.profiles import Profile, profile_of

PEOPLE: Final = (
    "customer.id", "customer.name", "customer.phone", "customer.account",
    "customer.contact_owner",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: its name, the question under it, and what its values look like."""

    index: int
    name: str
    headings: tuple[str, ...]
    profile: Profile
    zone: str = ""
    """The time zone of its dates, where the export names it."""
    says_its_name: bool = False
    """Whether its name is one of its values too."""

    def strength(self, member: str) -> int:
        """Return how strongly name or question say that this is the member, 0 to 3."""
        return max(MEMBERS[member].strength(each) for each in self.headings)


def look_at(layout: Layout, rows: Sequence[Sequence[str]]) -> list[Column]:
    """Return the columns with what a sample of their cells looks like."""
    columns = []
    for n, name in enumerate(layout.names):
        if name.startswith(OURS):
            continue
        cells = [row[n] if n < len(row) else "" for row in rows]
        columns.append(
            Column(
                index=n,
                name=name,
                headings=tuple(plain(text) for text in (name, layout.labels[n]) if text),
                profile=profile_of(cells),
                zone=layout.zones[n] if n < len(layout.zones) else "",
                says_its_name=any(" ".join(cell.split()) == name for cell in cells),
            )
        )
    return columns


def has_no_heading(columns: Sequence[Column]) -> bool:
    """Tell whether the names of the columns look like an answer themselves."""
    if any(column.strength(member) == 3 for column in columns for member in MEMBERS):
        return False
    first = [profile_of([column.name]) for column in columns]
    if any(one.whole or one.emails or one.dates.share for one in first):
        return True
    # A column of ticks, "Delivery" or nothing, is called like its only value.
    return any(column.says_its_name and column.profile.distinct > 1 for column in columns)


def date_candidates(columns: Iterable[Column]) -> list[Column]:
    """Return the columns that may say when somebody answered, the likeliest first."""
    likely = [
        (column.strength("answered_at"), column.profile.filled, -column.index, column)
        for column in columns
        if column.profile.filled and not is_dull(column)
    ]
    ranked = sorted(likely, key=lambda each: each[:3], reverse=True)
    named = [one for *_, one in ranked if one.strength("answered_at") and _dated(one)]
    unread = [one for *_, one in ranked if one.strength("answered_at") == 3 and not _dated(one)]
    nameless = [
        one
        for *_, one in ranked
        if not one.strength("answered_at") and _dated(one) and not one.profile.whole
    ]
    return [*named, *unread, *nameless]


def _dated(column: Column) -> bool:
    return column.profile.dates.share >= 0.9


def is_dull(column: Column) -> bool:
    """Tell whether a column looks like something that it is not."""
    return any(DULL.strength(each) >= 2 for each in column.headings)


def is_somebody(column: Column) -> bool:
    """Tell whether a column's name says that it is about the customer."""
    return any(column.strength(member) == 3 for member in (*PEOPLE, "customer.email"))


def is_varied(column: Column) -> bool:
    """Tell whether most values come only once."""
    return column.profile.distinct * 2 > column.profile.filled
