"""A theme as the fields of a form, and back: words stand one on a line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, get_args

from services.loop.pages.labels import LANGUAGES
from services.loop.themes.domain import Taxonomy, Theme
from services.loop.themes.domain.taxonomy import (
    ANY_LANGUAGE,
    LONGEST_EXAMPLE,
    LONGEST_KEYWORD,
    LONGEST_NAME,
    Need,
    Words,
)
from shared.i18n import Reader
from shared.text.stems import primary
from shared.text.tokens import PATTERN
from shared.web.forms import Fields, Form

NEW: Final = "new"
"""Stands for a language that is yet to be named."""
_EVERY: Final = "every"
"""Stands for words that are looked for in every language: an asterisk is no name of a field."""
_LISTS: Final = ("keywords", "exclude", "examples")
_MOST_LINES: Final = 5
"""Wrong lines that are named one by one."""


@dataclass(frozen=True, kw_only=True)
class Tongue:
    """One language of the form, and how many words stand in it."""

    field: str
    tag: str
    number: int


def tongues(taxonomy: Taxonomy, theme: Theme | None) -> Sequence[Tongue]:
    """Return the languages that the form offers: those of the taxonomy, ours, every one."""
    lists = [
        words for one in taxonomy.themes for words in (one.keywords, one.exclude, one.examples)
    ]
    spoken = {tag for words in lists for tag in words} - LANGUAGES.keys() - {ANY_LANGUAGE}
    return [
        Tongue(
            field=_EVERY if tag == ANY_LANGUAGE else tag,
            tag=tag,
            number=0 if theme is None else _number(theme, tag),
        )
        for tag in (*LANGUAGES, *sorted(spoken), ANY_LANGUAGE)
    ]


def form_of(theme: Theme | None) -> Form:
    """Return the form of a theme; without one that of a new theme."""
    if theme is None:
        return Form(name="theme")
    values = {
        "name": theme.name,
        "department": theme.department or "",
        "parent": theme.parent or "",
        "need": theme.need or "",
        "intent": "yes" if theme.intent else "",
        **{f"name_{tag}": name for tag, name in theme.names.items()},
    }
    for name, words in zip(
        _LISTS, (theme.keywords, theme.exclude, theme.examples), strict=True
    ):
        for tag, listed in words.items():
            field = _EVERY if tag == ANY_LANGUAGE else tag
            values[f"{name}_{field}"] = "\n".join(listed)
    return Form(name="theme", values=values)


def theme_of(
    fields: Fields, theme: Theme, languages: Iterable[Tongue], reader: Reader
) -> Theme:
    """Return the theme that the form describes; of use while ``fields`` has no errors."""
    tags = {one.field: one.tag for one in languages}
    if tag := _new_tag(fields, reader):
        tags[NEW] = tag
    names = {
        tag: name
        for field, tag in tags.items()
        if (name := fields.optional(f"name_{field}", most=LONGEST_NAME)) is not None
    }
    need = fields.values.get("need", "")
    return replace(
        theme,
        name=fields.text("name", most=LONGEST_NAME),
        names=names,
        department=fields.optional("department", most=LONGEST_NAME),
        parent=fields.values.get("parent") or None,
        need=next((one for one in get_args(Need) if one == need), None),
        intent=fields.values.get("intent") == "yes",
        keywords=_words(fields, "keywords", tags, LONGEST_KEYWORD, reader),
        exclude=_words(fields, "exclude", tags, LONGEST_KEYWORD, reader),
        examples=_words(fields, "examples", tags, LONGEST_EXAMPLE, reader),
    )


def _new_tag(fields: Fields, reader: Reader) -> str:
    given = fields.values.get("new_tag", "")
    tag = primary(given)
    wanted = given or any(fields.values.get(f"{name}_{NEW}") for name in (*_LISTS, "name"))
    if wanted and not (tag.isascii() and tag.isalpha() and 2 <= len(tag) <= 3):
        fields.errors["new_tag"] = reader.gettext(
            "Please name the language by its code, like fr for French."
        )
    return tag if wanted else ""


def _words(
    fields: Fields, name: str, tags: dict[str, str], longest: int, reader: Reader
) -> Words:
    words: dict[str, tuple[str, ...]] = {}
    for field, tag in tags.items():
        lines = _lines(fields, f"{name}_{field}", longest, reader, found=name != "examples")
        if listed := (*words.get(tag, ()), *lines):
            words[tag] = tuple(dict.fromkeys(listed))
    return words


def _lines(
    fields: Fields, name: str, longest: int, reader: Reader, *, found: bool
) -> Sequence[str]:
    """Return what stands on the lines, and note which of them can be of no use."""
    lines, wrong = [], []
    for number, line in enumerate(fields.values.get(name, "").split("\n"), start=1):
        text = line.strip()
        if not text:
            continue
        if len(text) > longest:
            wrong.append(
                reader.gettext(
                    "Line %(line)s is longer than %(most)s characters.",
                    line=number,
                    most=longest,
                )
            )
        elif found and PATTERN.search(text) is None:
            wrong.append(
                reader.gettext(
                    "Line %(line)s holds no letter and no digit and so can never be found.",
                    line=number,
                )
            )
        lines.append(text)
    if wrong:
        fields.errors[name] = " ".join(wrong[:_MOST_LINES])
    return lines


def _number(theme: Theme, tag: str) -> int:
    lists = (theme.keywords, theme.exclude, theme.examples)
    return sum(len(words.get(tag, ())) for words in lists)
