"""Where the words of a text are, and how two spellings of one word become equal.

Spans always count code points of the text as it was given, whatever normalisation a word
needs afterwards, so that a page can underline exactly what the customer wrote.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

# Scripts written without spaces: one token a character, so that a word is a short phrase.
_UNSPACED: Final = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\u1780-\u17ff"  # Myanmar, Khmer
    "\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"  # Kana, Han
)
# What continues a word although it is no letter: combining marks (a decomposed accent must
# not split a word), soft hyphen, joiners, variation selectors. The Indic blocks stand here
# whole but for their full stops, because vowel signs and letters alternate in them.
_CONTINUES: Final = (
    "\u00ad\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"
    "\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06ed\u0711\u0730-\u074a"
    "\u0900-\u0963\u0966-\u0df3\u1ab0-\u1aff\u1dc0-\u1dff\u200c\u200d\u2060\u20d0-\u20f0"
    "\u302a-\u302f\u3099\u309a\ufe00-\ufe0f\ufe20-\ufe2f"
)
_APOSTROPHES: Final = "'\u2019\u02bc\uff07\u2018\u00b4"
_LETTER: Final = rf"[^\W_{_UNSPACED}]"
_WORD: Final = rf"{_LETTER}+(?:[{_CONTINUES}]+{_LETTER}*|[{_APOSTROPHES}]{_LETTER}+)*"
# Signs that customers use as words: currencies, per cent, pictographs.
_SIGN: Final = "[$%\u00a2-\u00a5\u20a0-\u20c0\u2600-\u27bf\U0001f000-\U0001faff]"

PATTERN: Final = re.compile(rf"{_WORD}|[{_UNSPACED}]|{_SIGN}")
"""Matches one token; without groups, so that ``findall`` gives the tokens themselves."""

_DROPPED: Final = dict.fromkeys(map(ord, "\u00ad\u200c\u200d\u2060"))
_STRAIGHT: Final = {**dict.fromkeys(map(ord, _APOSTROPHES), "'"), **_DROPPED}


class Token(NamedTuple):
    """A word, folded for comparing, and its span in the text as given."""

    word: str
    start: int
    end: int


def tokens(text: str) -> Iterator[Token]:
    """Yield the words of *text* in order; punctuation, blanks and hyphens only divide."""
    for match in PATTERN.finditer(text):
        yield Token(fold(match[0]), match.start(), match.end())


def fold(word: str) -> str:
    """Return the form in which two spellings of one word are equal.

    Case, Unicode composition, kind of apostrophe, soft hyphens and joiners do not matter.
    """
    if word.isascii():
        return word.lower()
    composed = unicodedata.normalize("NFC", word.translate(_STRAIGHT))
    return unicodedata.normalize("NFC", composed.casefold())


def bare(word: str) -> str:
    """Return a folded *word* as typed on a keyboard without its accents.

    Latin letters only: Cyrillic й is a letter of its own and not an и with an accent.
    """
    if word.isascii():
        return word
    kept: list[str] = []
    on_latin = False
    for letter in unicodedata.normalize("NFD", word.translate(_BARE)):
        if not unicodedata.combining(letter):
            on_latin = letter.isascii()
        elif on_latin:
            continue
        kept.append(letter)
    return unicodedata.normalize("NFC", "".join(kept))


_BARE: Final = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ð": "d", "ß": "ss", "æ": "ae", "œ": "oe", "ı": "i"}
)
