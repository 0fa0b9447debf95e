"""Changing a taxonomy: themes added, changed, merged, split, retired and brought back.

Everything here makes a new taxonomy of the one that is given. What a theme was called by in
results stays in it for good: a theme is retired and never removed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Final

from services.loop.themes.domain.taxonomy import (
    Taxonomy,
    Theme,
    Words,
    parse_taxonomy,
)
from shared.errors import Conflict, NotFound

_OTHER_PAGES: Final = frozenset({"new", "rising"})
"""What stands at ``/themes/…`` beside the themes."""


def free_id(taxonomy: Taxonomy, name: str) -> str:
    """Return an id for a theme that is made of its name and that no other theme has."""
    letters = "".join(
        letter
        for letter in unicodedata.normalize("NFKD", name.casefold())
        if not unicodedata.combining(letter)
    )
    plain = re.sub(r"[^a-z0-9]+", "-", letters).strip("-")[:50].strip("-") or "theme"
    taken = {theme.id for theme in taxonomy.themes} | _OTHER_PAGES
    tries = [plain, *(f"{plain}-{n}" for n in range(2, len(taken) + 3))]
    return next(one for one in tries if one not in taken)


def with_theme(taxonomy: Taxonomy, theme: Theme) -> Taxonomy:
    """Return the taxonomy with one theme more, checked as if it had been read."""
    return _checked(replace(taxonomy, themes=(*taxonomy.themes, theme)))


def changed(taxonomy: Taxonomy, theme: Theme) -> Taxonomy:
    """Return the taxonomy with this theme in the place of the one with its id."""
    known(taxonomy, theme.id)
    return _checked(_put(taxonomy, theme))


def retired(taxonomy: Taxonomy, theme_id: str) -> Taxonomy:
    """Return the taxonomy in which this theme is looked for no more."""
    return _put(taxonomy, replace(known(taxonomy, theme_id), retired=True))


def brought_back(taxonomy: Taxonomy, theme_id: str) -> Taxonomy:
    """Return the taxonomy in which this theme is looked for again, with the words it has."""
    theme = known(taxonomy, theme_id)
    return _put(taxonomy, replace(theme, retired=False, merged_into=None))


def merged(taxonomy: Taxonomy, theme_id: str, into: str) -> Taxonomy:
    """Return the taxonomy in which one theme became a part of another.

    The other one takes over its words, and whatever stood below it; what was found stays under
    the old name until history is gone through again.
    """
    source, target = known(taxonomy, theme_id), known(taxonomy, into)
    if source.id == target.id or source.retired or target.retired:
        raise Conflict(
            "Only two different themes that are in use can be merged. Choose two such themes.",
            slug="theme-retired",
        )
    above = source.parent if target.parent == source.id else target.parent
    whole = replace(
        target,
        parent=None if above == target.id else above,
        keywords=_joined(target.keywords, source.keywords),
        exclude=_joined(target.exclude, source.exclude),
        examples=_joined(target.examples, source.examples),
    )
    gone = replace(source, retired=True, merged_into=target.id, parent=None)
    themes = {theme.id: theme for theme in taxonomy.themes} | {gone.id: gone, whole.id: whole}
    return _checked(
        replace(
            taxonomy,
            themes=tuple(
                replace(theme, parent=target.id)
                if theme.parent == source.id and theme.id != target.id
                else theme
                for theme in themes.values()
            ),
        )
    )


def split(
    taxonomy: Taxonomy, theme_id: str, *, name: str, words: Mapping[str, Collection[str]]
) -> tuple[Taxonomy, Theme]:
    """Return the taxonomy with a new theme that takes these keywords along, and that theme.

    The new theme belongs where the old one does and keeps what the old one rules out.
    """
    source = known(taxonomy, theme_id)
    taken = {
        language: tuple(word for word in listed if word in words.get(language, ()))
        for language, listed in source.keywords.items()
    }
    taken = {language: listed for language, listed in taken.items() if listed}
    if not taken or taken == dict(source.keywords):
        raise Conflict(
            "A split leaves some keywords with the theme and takes others along. Choose some.",
            slug="nothing-to-split",
        )
    new = Theme(
        id=free_id(taxonomy, name),
        name=name,
        department=source.department,
        parent=source.parent,
        keywords=taken,
        exclude=source.exclude,
        need=source.need,
        intent=source.intent,
    )
    left = {
        language: tuple(word for word in listed if word not in taken.get(language, ()))
        for language, listed in source.keywords.items()
    }
    rest = replace(source, keywords={tag: listed for tag, listed in left.items() if listed})
    return with_theme(_put(taxonomy, rest), new), new


def known(taxonomy: Taxonomy, theme_id: str) -> Theme:
    """Return the theme with this id, or raise ``NotFound``."""
    theme = taxonomy.find(theme_id)
    if theme is None:
        raise NotFound("There is no theme with this id. List them at /v1/taxonomy.")
    return theme


def _put(taxonomy: Taxonomy, theme: Theme) -> Taxonomy:
    return replace(
        taxonomy,
        themes=tuple(theme if one.id == theme.id else one for one in taxonomy.themes),
    )


def _joined(words: Words, more: Words) -> Words:
    return {
        language: tuple(dict.fromkeys((*words.get(language, ()), *more.get(language, ()))))
        for language in dict.fromkeys((*words, *more))
    }


def _checked(taxonomy: Taxonomy) -> Taxonomy:
    """Hold a changed taxonomy to everything that one from a file is held to."""
    return parse_taxonomy(taxonomy.as_document())
