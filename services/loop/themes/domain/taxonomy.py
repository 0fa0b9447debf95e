"""The taxonomy: themes with their words per language, and how one is read from JSON.

This is the format of taxonomy files and of ``GET|PUT /v1/taxonomy``. Reading is strict about
what would silently never work and lenient about everything that merely is not there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal, get_args

from shared.errors import Finding, Invalid
from shared.text.stems import primary
from shared.text.tokens import PATTERN

Words = Mapping[str, tuple[str, ...]]
"""Words and phrases by language, as they were given."""

Need = Literal["rational", "emotional", "both"]
"""What a theme is about: whether things work, how it feels, or both."""

ANY_LANGUAGE: Final = "*"
"""Words filed under this are looked for in every text: brands, signs, codes."""

_VERSION: Final = 1
MOST_THEMES: Final = 1_000
MOST_WORDS: Final = 100_000
"""Keywords, exclusions and examples of all themes together."""
MOST_BYTES: Final = 8_000_000
"""A taxonomy file is read as a whole."""

_LONGEST_ID: Final = 100
LONGEST_NAME: Final = 200
LONGEST_KEYWORD: Final = 200
LONGEST_EXAMPLE: Final = 10_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Theme:
    """Something customers talk about, and the words they do it with.

    A theme that is ``retired`` is looked for no more and keeps what was found; one that was
    merged names the theme ``merged_into`` which it became a part of, and is retired with it.
    ``intent`` says that customers ask for something, in any words, rather than name it.
    """

    id: str
    name: str
    department: str | None = None
    parent: str | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    keywords: Words = field(default_factory=dict)
    exclude: Words = field(default_factory=dict)
    examples: Words = field(default_factory=dict)
    need: Need | None = None
    intent: bool = False
    retired: bool = False
    merged_into: str | None = None

    def name_in(self, language: str | None) -> str:
        """Return the name in *language*, else the name that every theme has."""
        return self.names.get(primary(language), self.name)

    @property
    def size(self) -> int:
        """Return the number of its keywords, exclusions and examples."""
        lists = (self.keywords, self.exclude, self.examples)
        return sum(len(words) for listed in lists for words in listed.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class Taxonomy:
    """The themes of an installation; ``max_themes`` 1 means the best theme only."""

    themes: tuple[Theme, ...] = ()
    max_themes: int | None = None

    def in_use(self) -> Taxonomy:
        """Return the taxonomy without its retired themes: what texts are held against."""
        return replace(self, themes=tuple(theme for theme in self.themes if not theme.retired))

    def find(self, theme_id: str) -> Theme | None:
        """Return the theme with this id, or None."""
        return next((theme for theme in self.themes if theme.id == theme_id), None)

    def as_document(self) -> dict[str, object]:
        """Return what ``parse_taxonomy`` reads, for a file or an answer."""
        return {
            "version": _VERSION,
            "max_themes": self.max_themes,
            "themes": [_theme_document(theme) for theme in self.themes],
        }


def parse_taxonomy(document: object) -> Taxonomy:
    """Read a taxonomy, or raise ``Invalid`` with every finding and where it stands.

    Unknown members are ignored and any part may be missing, null or empty; languages are
    BCP 47 tags of which the region does not matter.
    """
    findings: list[Finding] = []
    reader = _Reader(findings)
    taxonomy = reader.taxonomy(document)
    if findings:
        raise Invalid("The taxonomy cannot be used as it is; nothing was changed.", findings)
    return taxonomy


def _theme_document(theme: Theme) -> dict[str, object]:
    document: dict[str, object] = {"id": theme.id, "name": theme.name}
    if theme.names:
        document["names"] = dict(theme.names)
    if theme.department is not None:
        document["department"] = theme.department
    if theme.parent is not None:
        document["parent"] = theme.parent
    document["keywords"] = _words_document(theme.keywords)
    if theme.exclude:
        document["exclude"] = _words_document(theme.exclude)
    if theme.examples:
        document["examples"] = _words_document(theme.examples)
    if theme.need is not None:
        document["need"] = theme.need
    if theme.intent:
        document["intent"] = True
    if theme.retired:
        document["retired"] = True
    if theme.merged_into is not None:
        document["merged_into"] = theme.merged_into
    return document


def _words_document(words: Words) -> dict[str, list[str]]:
    return {language: list(given) for language, given in words.items()}


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads on after a finding, so that one answer names everything that is wrong."""

    findings: list[Finding]

    def taxonomy(self, document: object) -> Taxonomy:
        if not isinstance(document, Mapping):
            self._find("", "type", "A taxonomy is a JSON object.", 'Send {"themes": […]}.')
            return Taxonomy()
        version = document.get("version")
        if version is not None and (version is True or version != _VERSION):
            self._find("/version", "version", "This version is not known.", "Send 1.")
        most = document.get("max_themes")
        if most is not None and (most is True or most != 1):
            self._find(
                "/max_themes",
                "value",
                "A text gets its best theme only (1) or every theme found (null).",
                "Send 1 or null.",
            )
            most = None
        themes = self._list(document.get("themes"), "/themes", "of themes")
        if len(themes) > MOST_THEMES:
            self._find(
                "/themes",
                "too_many",
                f"There are more than {MOST_THEMES} themes.",
                "Merge themes, or split the taxonomy by department.",
            )
        read = list(self._themes(themes[:MOST_THEMES]))
        self._no_theme_twice(read)
        self._no_theme_below_itself(read)
        self._not_too_many_words(read)
        return Taxonomy(
            themes=tuple(theme for _, theme in read), max_themes=None if most is None else 1
        )

    def _themes(self, themes: list[object]) -> Iterator[tuple[int, Theme]]:
        for index, given in enumerate(themes):
            at = f"/themes/{index}"
            if not isinstance(given, Mapping):
                self._find(
                    at, "type", "A theme is a JSON object.", 'Send {"id", "name", "keywords"}.'
                )
                continue
            id_ = self._id(given.get("id"), f"{at}/id")
            if id_ is None:
                continue
            need, merged = given.get("need"), given.get("merged_into")
            # Like the names these are extras of ours: what makes no sense there is left out.
            into = merged.strip() if isinstance(merged, str) else ""
            into = "" if into == id_ or len(into) > _LONGEST_ID else into
            yield (
                index,
                Theme(
                    id=id_,
                    name=self._text(given.get("name"), f"{at}/name", LONGEST_NAME) or id_,
                    department=self._text(
                        given.get("department"), f"{at}/department", LONGEST_NAME
                    ),
                    parent=self._text(given.get("parent"), f"{at}/parent", _LONGEST_ID),
                    names=self._names(given.get("names")),
                    keywords=self._keywords(given.get("keywords"), f"{at}/keywords"),
                    exclude=self._keywords(given.get("exclude"), f"{at}/exclude"),
                    examples=self._words(
                        given.get("examples"), f"{at}/examples", LONGEST_EXAMPLE
                    ),
                    need=next((one for one in get_args(Need) if one == need), None),
                    intent=given.get("intent") is True,
                    retired=given.get("retired") is True or into != "",
                    merged_into=into or None,
                ),
            )

    def _id(self, given: object, at: str) -> str | None:
        if given is not None and not (isinstance(given, str) and not given.strip()):
            return self._text(given, at, _LONGEST_ID)
        self._find(
            at,
            "missing",
            "Every theme needs an id; results name it.",
            "Send a short text that stays the same when the name changes.",
        )
        return None

    def _no_theme_twice(self, read: list[tuple[int, Theme]]) -> None:
        first: dict[str, int] = {}
        for index, theme in read:
            if first.setdefault(theme.id, index) != index:
                self._find(
                    f"/themes/{index}/id",
                    "duplicate",
                    f"The theme at /themes/{first[theme.id]} has the same id.",
                    "Merge the two, or give one of them another id.",
                )

    def _no_theme_below_itself(self, read: list[tuple[int, Theme]]) -> None:
        parents = {theme.id: theme.parent for _, theme in read}
        for index, theme in read:
            above, steps = theme.parent, 0
            while above is not None and above != theme.id and steps < len(parents):
                above, steps = parents.get(above), steps + 1
            if above == theme.id:
                self._find(
                    f"/themes/{index}/parent",
                    "circle",
                    "Following the parents leads back to this theme.",
                    "Name a parent that does not stand below this theme.",
                )

    def _not_too_many_words(self, read: list[tuple[int, Theme]]) -> None:
        number = 0
        for index, theme in read:
            before, number = number, number + theme.size
            if before <= MOST_WORDS < number:
                self._find(
                    f"/themes/{index}",
                    "too_many",
                    f"Up to here there are more than {MOST_WORDS} keywords, exclusions and"
                    " examples.",
                    "Keep the words that tell most; a few hundred for a theme are plenty.",
                )

    def _keywords(self, given: object, at: str) -> Words:
        words = self._words(given, at, LONGEST_KEYWORD)
        for language, listed in words.items():
            for word in listed:
                if PATTERN.search(word) is None:
                    self._find(
                        f"{at}/{language}",
                        "never_matches",
                        "An entry holds no letter and no digit and so can never be found.",
                        "Remove it, or write out the word.",
                    )
        return words

    def _words(self, given: object, at: str, longest: int) -> Words:
        if given is None:
            return {}
        if not isinstance(given, Mapping):
            self._find(
                at,
                "type",
                "Words are given by language.",
                'Send {"en": ["first", "second phrase"], "de": […]}.',
            )
            return {}
        words: dict[str, dict[str, None]] = {}
        for tag, listed in given.items():
            language = primary(str(tag)) or ANY_LANGUAGE
            place = f"{at}/{_escaped(str(tag))}"
            for index, word in enumerate(self._list(listed, place, "of words and phrases")):
                text = self._text(word, f"{place}/{index}", longest)
                if text is not None:
                    words.setdefault(language, {})[text] = None
        return {language: tuple(listed) for language, listed in words.items()}

    @staticmethod
    def _names(given: object) -> Mapping[str, str]:
        """Read names by language; an extra of ours, so nothing in it is ever refused."""
        if not isinstance(given, Mapping):
            return {}
        return {
            primary(str(tag)): name.strip()
            for tag, name in given.items()
            if isinstance(name, str) and 0 < len(name.strip()) <= LONGEST_NAME
        }

    def _list(self, given: object, at: str, of_what: str) -> list[object]:
        if given is None:
            return []
        if isinstance(given, list | tuple):
            return list(given)
        self._find(at, "type", f"A list {of_what} stands here.", "Send an array: […].")
        return []

    def _text(self, given: object, at: str, longest: int) -> str | None:
        if given is None:
            return None
        if not isinstance(given, str):
            self._find(at, "type", "A text stands here.", 'Send a string: "…".')
            return None
        text = given.strip()
        if len(text) > longest:
            self._find(
                at,
                "too_long",
                f"This is longer than {longest} characters.",
                f"Shorten it to at most {longest} characters.",
            )
            return None
        return text or None

    def _find(self, pointer: str, code: str, detail: str, fix: str) -> None:
        self.findings.append(Finding(pointer=pointer, code=code, detail=detail, fix=fix))


def _escaped(member: str) -> str:
    """Write a member's name as RFC 6901 wants it, shortened: a pointer is no echo."""
    return member[:20].replace("~", "~0").replace("/", "~1")
