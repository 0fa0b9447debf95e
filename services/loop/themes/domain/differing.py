"""What tells one taxonomy from another, theme by theme, and two changes of one put together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from services.loop.themes.domain.taxonomy import Taxonomy, Theme, Words

Kind = Literal[
    "added",
    "removed",
    "merged",
    "retired",
    "brought_back",
    "renamed",
    "translated",
    "department",
    "parent",
    "need",
    "intent",
    "keywords",
    "exclude",
    "examples",
    "best_only",
    "every_theme",
]


@dataclass(frozen=True, kw_only=True)
class Change:
    """One difference; ``more`` and ``fewer`` count words that came and went."""

    kind: Kind
    theme_id: str = ""
    name: str = ""
    to: str | None = None
    """What is there now: a name, a department, a theme."""
    more: int = 0
    fewer: int = 0

    def as_detail(self) -> dict[str, object]:
        """Return it for the audit trail: ids and numbers, no words."""
        counted = {"more": self.more, "fewer": self.fewer} if self.more or self.fewer else {}
        theme = {"theme": self.theme_id} if self.theme_id else {}
        return {"kind": self.kind, **theme, **counted}


def differences(before: Taxonomy, after: Taxonomy) -> Sequence[Change]:
    """Return what is different in ``after``, in the order of its themes."""
    return list(_differences(before, after))


def _differences(before: Taxonomy, after: Taxonomy) -> Iterator[Change]:
    former = {theme.id: theme for theme in before.themes}
    names = {theme.id: theme.name for theme in (*before.themes, *after.themes)}
    if before.max_themes != after.max_themes:
        yield Change(kind="best_only" if after.max_themes == 1 else "every_theme")
    for theme in after.themes:
        was = former.pop(theme.id, None)
        if was is None:
            yield Change(
                kind="added", theme_id=theme.id, name=theme.name, more=_number(theme.keywords)
            )
        elif was != theme:
            for change in _of_theme(was, theme):
                to = change.to
                named = names.get(to, to) if to and change.kind in {"merged", "parent"} else to
                yield replace(change, theme_id=theme.id, name=theme.name, to=named)
    for theme in former.values():
        yield Change(kind="removed", theme_id=theme.id, name=theme.name)


def _of_theme(was: Theme, theme: Theme) -> Iterator[Change]:
    if theme.merged_into is not None and was.merged_into != theme.merged_into:
        yield Change(kind="merged", to=theme.merged_into)
    elif was.retired != theme.retired:
        yield Change(kind="retired" if theme.retired else "brought_back")
    if was.name != theme.name:
        yield Change(kind="renamed", to=was.name)
    if was.names != theme.names:
        yield Change(kind="translated")
    if was.department != theme.department:
        yield Change(kind="department", to=theme.department)
    if was.parent != theme.parent:
        yield Change(kind="parent", to=theme.parent)
    if was.need != theme.need:
        yield Change(kind="need", to=theme.need)
    if was.intent != theme.intent:
        yield Change(kind="intent", to="yes" if theme.intent else None)
    yield from _of_words("keywords", was.keywords, theme.keywords)
    yield from _of_words("exclude", was.exclude, theme.exclude)
    yield from _of_words("examples", was.examples, theme.examples)


def _of_words(kind: Kind, was: Words, words: Words) -> Iterator[Change]:
    before = {(language, word) for language, listed in was.items() for word in listed}
    after = {(language, word) for language, listed in words.items() for word in listed}
    if before != after:
        yield Change(kind=kind, more=len(after - before), fewer=len(before - after))


def _number(words: Words) -> int:
    return sum(len(listed) for listed in words.values())


def in_both(base: Taxonomy, ours: Taxonomy, theirs: Taxonomy) -> Sequence[str]:
    """Return the ids of themes that two changes of ``base`` changed differently."""
    was, mine, other = (
        {theme.id: theme for theme in one.themes} for one in (base, ours, theirs)
    )
    return [
        one
        for one in dict.fromkeys((*was, *mine, *other))
        if was.get(one) not in (mine.get(one), other.get(one))
        and mine.get(one) != other.get(one)
    ]


def carried_over(base: Taxonomy, ours: Taxonomy, theirs: Taxonomy) -> Taxonomy:
    """Return ``theirs`` with what ``ours`` changed of ``base``; ours wins where both did."""
    was, mine = ({theme.id: theme for theme in one.themes} for one in (base, ours))
    themes = [
        mine.get(theme.id) if mine.get(theme.id) != was.get(theme.id) else theme
        for theme in theirs.themes
    ]
    there = {theme.id for theme in theirs.themes}
    added = [
        theme for theme in ours.themes if theme.id not in there and theme != was.get(theme.id)
    ]
    most = ours.max_themes if ours.max_themes != base.max_themes else theirs.max_themes
    return Taxonomy(
        themes=tuple(theme for theme in (*themes, *added) if theme is not None), max_themes=most
    )
