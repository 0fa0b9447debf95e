"""Stems of words per language, by the Snowball algorithms and a light rule for the rest.

A stem is a key for comparing and never shown. Stemmers are kept per language and lent to
one thread at a time; words that were met before come from a bounded cache in front of them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import Stemmer

from shared.text.language import stop_words
from shared.text.tokens import bare, tokens

# Languages whose nearest relative has an algorithm, where they have none themselves.
_ALGORITHMS: Final = {
    "ar": "arabic",
    "bs": "serbian",
    "ca": "catalan",
    "cs": "czech",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "eo": "esperanto",
    "es": "spanish",
    "et": "estonian",
    "eu": "basque",
    "fa": "persian",
    "fi": "finnish",
    "fr": "french",
    "ga": "irish",
    "hi": "hindi",
    "hr": "serbian",
    "hu": "hungarian",
    "hy": "armenian",
    "id": "indonesian",
    "it": "italian",
    "lt": "lithuanian",
    "ne": "nepali",
    "nl": "dutch",
    "no": "norwegian",
    "pl": "polish",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sk": "czech",
    "sr": "serbian",
    "sv": "swedish",
    "ta": "tamil",
    "tr": "turkish",
    "yi": "yiddish",
}
# Other codes in use for the same languages (ISO 639-2 in both forms, retired and close ones).
_SAME: Final = {
    "nb": "no", "nn": "no", "nor": "no", "iw": "he", "in": "id", "ji": "yi", "sh": "sr",
    "eng": "en", "ger": "de", "deu": "de", "pol": "pl", "dan": "da", "cze": "cs", "ces": "cs",
    "rus": "ru", "slo": "sk", "slk": "sk", "fre": "fr", "fra": "fr", "spa": "es", "ita": "it",
    "dut": "nl", "nld": "nl", "swe": "sv", "fin": "fi", "hun": "hu", "ukr": "uk", "por": "pt",
}  # fmt: skip
# How umlauts and ligatures are spelled out where the keyboard has none.
_SPELLED_OUT: Final = {
    "de": str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"}),
    "da": str.maketrans({"æ": "ae", "ø": "oe", "å": "aa"}),
    "no": str.maketrans({"æ": "ae", "ø": "oe", "å": "aa"}),
    "sv": str.maketrans({"ä": "ae", "ö": "oe", "å": "aa"}),
}
_ELIDING: Final = frozenset({"fr", "it", "ca"})
_VOWELS: Final = "aeiouyąęěéíáýóúůőűāēīōūăâîàèòùаеєиіїоуыэюяьйё"
_LIGHT_MINIMUM: Final = 4
_BARE_MARK: Final = "~"
_EXACT_MARK: Final = "="


def primary(tag: str | None) -> str:
    """Return the language of a BCP 47 *tag* in lower case, "" where there is none to tell."""
    if not tag:
        return ""
    code = tag.strip().replace("_", "-").partition("-")[0].lower()
    return "" if code in {"und", "mul", "zxx", "*"} else _SAME.get(code, code)


@lru_cache(maxsize=32_768)
def stem(word: str, language: str) -> str:
    """Return the stem of a folded *word*; *language* is one that ``primary`` gave."""
    if "'" in word and language in _ELIDING:
        word = word.rpartition("'")[2]
    if language == "ru":
        word = word.replace("ё", "е")
    algorithm = _ALGORITHMS.get(language)
    if algorithm is None:
        return _light(word)
    # Two threads must not share a stemmer. Taking one off a list and putting it back are
    # single steps of the interpreter, so whoever finds none idle makes another.
    try:
        stemmer = _idle[algorithm].pop()
    except IndexError:
        stemmer = Stemmer.Stemmer(algorithm, 0)  # without its own cache: ours is in front
    root: str = stemmer.stemWord(word)
    _idle[algorithm].append(stemmer)
    return root


@lru_cache(maxsize=32_768)
def keys(word: str, language: str) -> tuple[str, ...]:
    """Return what a folded *word* of a text is looked up by.

    That is its stem, its very form and, for a word in plain letters, the mark under which
    ``accepted_keys`` files accented words as they are typed without accents. A stop word
    has its form only: "war" is not the stem of "Ware" in any text that anybody wrote.
    """
    root, form = stem(word, language), _EXACT_MARK + word
    if word in stop_words(language):
        return (form,)
    return (root, form, _BARE_MARK + root) if word.isascii() else (root, form)


def accepted_keys(word: str, language: str) -> frozenset[str]:
    """Return the keys by which a folded *word* of a word list accepts words of a text.

    "čekání" accepts "cekani" and "før" accepts "foer", but "cekani" never accepts "čekání":
    an accent may be missing in haste, nobody adds one.
    """
    if word in stop_words(language):
        return accepted_forms(word)
    root = stem(word, language)
    typed = {bare(word), *_spelled_out(word, language)} - {word}
    plain = {bare(root)} if typed else set()
    return frozenset(
        {root}
        | {_BARE_MARK + stem(form, language) for form in typed if form.isascii()}
        | {_BARE_MARK + form for form in plain if form.isascii()}
    )


def accepted_forms(word: str) -> frozenset[str]:
    """Return the keys by which a folded *word* accepts itself only, with accents or without.

    For words whose stem means something else: "caring" is praise, "care" is everywhere.
    """
    return frozenset({_EXACT_MARK + word, _EXACT_MARK + bare(word)})


def is_stem(key: str) -> bool:
    """Return whether a key is a stem, and not a form or a word typed without its accents."""
    return not key.startswith((_BARE_MARK, _EXACT_MARK))


def terms(text: str, language: str | None) -> frozenset[str]:
    """Return the distinct stems of *text*: what a search index holds for it."""
    known = primary(language)
    return frozenset(stem(token.word, known) for token in tokens(text))


def _spelled_out(word: str, language: str) -> set[str]:
    table = _SPELLED_OUT.get(language)
    return set() if table is None else {word.translate(table)}


def _light(word: str) -> str:
    """Drop up to two closing vowels: most endings of the languages nobody wrote rules for."""
    shortest = max(_LIGHT_MINIMUM, len(word) - 2)
    while len(word) > shortest and word[-1] in _VOWELS:
        word = word[:-1]
    return word


_idle: Final[dict[str, list[Stemmer.Stemmer]]] = {name: [] for name in _ALGORITHMS.values()}
