"""What words of several languages mean in customers' feedback, as a frozen list.

"Wartezeit", "ventetid" and "queue" share no letter pattern, and comments of a few languages
hold no hint that they mean the same. So that discovery can see it nonetheless, a list says it
of some thousand common words. It names what things are and never whether they are good.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Final

from services.loop.themes.domain.matching import Entry, Index, rules_of
from shared.text.tokens import PATTERN

# What one language has no list of its own for, a near relative may say.
_RELATIVES: Final = {"sk": ("cs",), "no": ("da",)}


def concepts(text: str, language: str) -> Mapping[str, float]:
    """Return the concepts that words of *text* stand for, a word of two half for each."""
    index = _index(language)
    lowered = text.lower()
    found = None if index is None else index.find(lowered, PATTERN.findall(lowered))
    if found is None:
        return {}
    meant: dict[int, set[int]] = {}
    for hit in found.hits:
        meant.setdefault(hit.first, set()).add(hit.rule.theme)
    names = tuple(_listed())
    counted: dict[str, float] = {}
    for first in sorted(meant):
        for number in sorted(meant[first]):
            share = 1.0 / len(meant[first])
            counted[names[number]] = counted.get(names[number], 0.0) + share
    return counted


@cache
def _listed() -> Mapping[str, Mapping[str, list[str]]]:
    file = resources.files("services.loop.themes").joinpath("concepts.json")
    listed: dict[str, dict[str, list[str]]] = json.loads(file.read_text(encoding="utf-8"))
    return listed


@cache
def _index(language: str) -> Index | None:
    spoken = (language, *_RELATIVES.get(language, ()))
    entries = [
        Entry(number, False, language, word)  # noqa: FBT003 - nothing is excluded here
        for number, words in enumerate(_listed().values())
        for word in dict.fromkeys(word for each in spoken for word in words.get(each, ()))
    ]
    return Index(rules_of(entries)) if entries else None
