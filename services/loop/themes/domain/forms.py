"""Which keyword a word may be a form of, where its stem alone does not say so.

Stemmers know endings. Customers also write participles ("geputzt" is "putzen"), verbs of
another aspect ("zaparkovat" is "parkovat"), words whose last consonant changed ("pracownicy"
is "pracownik") and compounds ("Preissenkung" is about a "Preis").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from shared.text.stems import stem

# Languages that write compounds as one word: "Kundenberater" is a "Berater".
_COMPOUNDING: Final = frozenset({"da", "de", "nl", "no", "sv"})
_SHORTEST_COMPOUND: Final = 8
_SHORTEST_PART: Final = 4
_SHORTEST_REST: Final = 3
# A part of four letters is too easily an ending; more must stand beside it.
_SHORT_ROOT: Final = 5
_REST_OF_A_SHORT_ROOT: Final = 4
_LONGEST_INFLECTION: Final = 3
# What only derives another word: somebody "persönlich" is no "Person" in the sense of staff.
_DERIVING: Final = (
    "lichkeit", "igkeit", "schaft", "isch", "keit", "heit", "haft", "lich", "ling", "bar",
    "los", "sam", "ung", "ende", "else", "ning", "ska", "ligt", "lijk", "heid", "hed", "ere",
)  # fmt: skip
_ENDINGS: Final = frozenset(
    ending[cut:] for ending in _DERIVING for cut in range(len(ending) - _SHORTEST_REST + 1)
)
# What stands before a verb and makes another one of it: "versprechen" is not "sprechen".
_NO_MODIFIERS: Final = frozenset({"ent", "for", "mis", "ont", "und", "ver", "zer"})

# Verbs that open up for a participle or an infinitive: "ab-ge-holt", "ab-zu-holen".
_SEPARABLE_WORDS: Final = {
    "de": "ab an auf aus ein her hin los mit nach um vor weg weiter zu zurück",
    "nl": "aan af door in mee na om op over terug toe uit weg",
}
_SEPARABLE: Final = {
    language: tuple(words.split()) for language, words in _SEPARABLE_WORDS.items()
}
_MARKS: Final = {"de": ("ge", "zu"), "nl": ("ge", "te")}
_SHORTEST_VERB: Final = 4

# Prefixes by which Slavic verbs change their aspect and not what they are about.
_ASPECT_WORDS: Final = {
    "cs": "za po vy u na pře do od z se s roz při",
    "sk": "za po vy u na pre do od z zo s roz pri",
    "pl": "za po wy u na prze do od z ze s roz przy",
    "ru": "за по вы у на пере до от с раз рас при про",
    "uk": "за по ви у на пере до від з роз при",
}
_ASPECTS: Final = {language: tuple(words.split()) for language, words in _ASPECT_WORDS.items()}
_SHORTEST_OF_ASPECT: Final = 5
# Consonants that change into one another at the end of Slavic roots.
_CHANGING: Final = (
    "kc kč gz gż gd hz hž hs hš rř łl tć tc dz nń nň tť dď тч дж кч гж хш сш цч цк"
)
_CHANGES: Final = frozenset(pair for both in _CHANGING.split() for pair in (both, both[::-1]))
# An ending that makes a noun of a verb: "доставка" and "доставили" are of one root.
_MAKING_NOUNS: Final = frozenset("kк")
_SHORTEST_NEAR: Final = 5
_NEAR_ROOT: Final = 6
_NEAR_SLAVIC_ROOT: Final = 5
_LONGEST_REST: Final = 3
_REST_OF_A_SHORT_NEAR: Final = 2
# English stems are reliable, and what begins alike there means something else.
_NEVER_NEAR: Final = frozenset({"en"})

NEAR_KEY: Final = 4
"""How many letters two roots must share at the least to be compared by ``nearest``."""


def verbs_of(word: str, language: str) -> Iterator[str]:
    """Yield the verbs that *word* may be a form of, by what stands before its root."""
    if language in _MARKS:
        participle, infinitive = _MARKS[language]
        yield from _without(word, participle)
        for prefix in _SEPARABLE[language]:
            if word.startswith(prefix):
                rest = word[len(prefix) :]
                for mark in (participle, infinitive):
                    yield from (prefix + verb for verb in _without(rest, mark))
    for prefix in _ASPECTS.get(language, ()):
        if word.startswith(prefix) and len(word) - len(prefix) >= _SHORTEST_OF_ASPECT:
            yield word[len(prefix) :]


def _without(word: str, mark: str) -> Iterator[str]:
    rest = word[len(mark) :]
    if word.startswith(mark) and len(rest) >= _SHORTEST_VERB:
        yield rest
        if rest.endswith("t"):
            yield rest[:-1] + "en"


def nearest(word: str, roots: Iterable[str], language: str) -> str | None:
    """Return the root among *roots* that *word* comes closest to, None if it is none of them.

    The word must begin with the whole root and go on for an ending at most; in a Slavic
    language the last consonant of the root may have changed.
    """
    if language in _NEVER_NEAR or len(word) < _SHORTEST_NEAR:
        return None
    best, most = None, 0
    for root in roots:
        shared = _shared(root, word)
        if shared > most and _is_near(root, word, shared, language):
            best, most = root, shared
    return best


def _shared(root: str, word: str) -> int:
    count = 0
    for one, other in zip(root, word, strict=False):
        if one != other:
            break
        count += 1
    return count


def _is_near(root: str, word: str, shared: int, language: str) -> bool:
    rest = len(word) - shared
    if rest > _LONGEST_REST:
        return False
    if language not in _ASPECTS:
        return shared == len(root) >= _NEAR_ROOT
    if shared == len(root):
        return shared >= _NEAR_SLAVIC_ROOT or (
            shared >= NEAR_KEY and rest <= _REST_OF_A_SHORT_NEAR
        )
    if shared < max(_NEAR_SLAVIC_ROOT, len(root) - 1) or rest == 0:
        return False
    return root[-1] in _MAKING_NOUNS or root[-1] + word[shared] in _CHANGES


def roots_within(word: str, language: str) -> Iterator[str]:
    """Yield the stems of the parts of *word* where it may be a compound, heads first."""
    if language not in _COMPOUNDING or len(word) < _SHORTEST_COMPOUND:
        return
    for cut in range(_SHORTEST_REST, len(word) - _SHORTEST_PART + 1):
        if word[:cut] not in _NO_MODIFIERS:
            yield from _root(word[cut:], cut, language)
    for cut in range(len(word) - _SHORTEST_REST, _SHORTEST_PART - 1, -1):
        if word[cut:] not in _ENDINGS:
            yield from _root(word[:cut], len(word) - cut, language)


def _root(part: str, rest: int, language: str) -> Iterator[str]:
    root = stem(part, language)
    # A long ending lost is a derivation: "ver-antwortlich" is no "Antwort".
    if len(root) < _SHORTEST_PART or len(part) - len(root) > _LONGEST_INFLECTION:
        return
    if len(root) >= _SHORT_ROOT or rest >= _REST_OF_A_SHORT_ROOT:
        yield root
