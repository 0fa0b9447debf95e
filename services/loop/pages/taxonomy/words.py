"""Changes of the taxonomy in a reader's words, and why something was not taken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from services.loop.pages.labels import LANGUAGES
from services.loop.themes.domain.differing import Change, Kind
from services.loop.themes.domain.taxonomy import ANY_LANGUAGE
from shared.errors import Invalid, Refused, Stale
from shared.i18n import Reader, marked

NEEDS: Final[Mapping[str, str]] = {
    "rational": marked("rational: whether it works"),
    "emotional": marked("emotional: how it feels"),
    "both": marked("both"),
}
KINDS: Final[Mapping[Kind, str]] = {
    "added": marked("“%(theme)s” is new, keywords: %(more)s."),
    "removed": marked("“%(theme)s” is removed."),
    "merged": marked("“%(theme)s” is merged into “%(to)s”."),
    "retired": marked("“%(theme)s” is retired."),
    "brought_back": marked("“%(theme)s” is looked for again."),
    "renamed": marked("“%(theme)s” was called “%(to)s”."),
    "translated": marked("“%(theme)s”: other names in other languages."),
    "department": marked("“%(theme)s” belongs to the department %(to)s."),
    "parent": marked("“%(theme)s” stands below “%(to)s”."),
    "need": marked("“%(theme)s”: the need is %(to)s."),
    "intent": marked("“%(theme)s”: whether examples decide."),
    "keywords": marked("“%(theme)s”: keywords %(more)s, %(fewer)s."),
    "exclude": marked("“%(theme)s”: exclusions %(more)s, %(fewer)s."),
    "examples": marked("“%(theme)s”: examples %(more)s, %(fewer)s."),
    "best_only": marked("Each text gets its best theme only."),
    "every_theme": marked("Each text gets every theme that is found."),
}
_GONE: Final[Mapping[str, str]] = {
    "department": marked("“%(theme)s” belongs to no department."),
    "parent": marked("“%(theme)s” stands below no other theme."),
    "need": marked("“%(theme)s”: no need is given."),
}
SAID: Final[Mapping[str, str]] = {
    "circle": marked("Following the parents leads back to this theme."),
    "never_matches": marked("An entry holds no letter and no digit and so can never be found."),
    "too_many": marked("There are more themes or more words than can be kept."),
    "too_long": marked("An entry is too long."),
    "duplicate": marked("Two themes have the same id."),
    "theme-retired": marked("Please choose two different themes that are in use."),
    "nothing-to-split": marked(
        "Please choose some of the keywords, and leave some with the theme."
    ),
    "overtaken-draft": marked(
        "Another version was published since this draft was begun. Bring the draft up to date"
        " first, or drop it."
    ),
}
_STALE: Final = marked(
    "Somebody changed the draft meanwhile. Look at it again and repeat the change."
)


def change(one: Change, departments: Mapping[str, str], reader: Reader) -> str:
    """Return what is different, as a sentence."""
    to = one.to or ""
    if one.kind == "department":
        to = departments.get(to, to)
    elif one.kind == "need":
        to = reader.gettext(NEEDS.get(to, to))
    text = KINDS[one.kind] if one.to or one.kind not in _GONE else _GONE[one.kind]
    return reader.gettext(
        text,
        theme=one.name,
        to=to,
        more=reader.number(one.more) if one.kind == "added" else reader.signed(one.more),
        fewer=reader.signed(-one.fewer),
    )


def language(tag: str, reader: Reader) -> str:
    """Return what a language is called; one that we do not know stands for itself."""
    if tag == ANY_LANGUAGE:
        return reader.gettext("Every language")
    return reader.gettext(LANGUAGES[tag]) if tag in LANGUAGES else tag


def why(refusal: Refused, reader: Reader) -> str:
    """Return why the whole was not taken."""
    if isinstance(refusal, Invalid):
        found = dict.fromkeys(
            f"{one.pointer} {reader.gettext(SAID.get(one.code, one.detail))}"
            for one in refusal.findings
        )
        return " ".join(found)
    if isinstance(refusal, Stale):
        return reader.gettext(_STALE)
    return reader.gettext(SAID.get(refusal.slug, refusal.detail))
