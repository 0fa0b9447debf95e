"""Texts as discovery sees them: the language, the telling words, and what there is to count.

Three things are counted: stems, pieces of words (so that a misspelling, a compound or a loan
word finds its kin) and concepts (so that languages meet).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from services.loop.themes.domain.concepts import concepts
from shared.text.language import guess, stop_words
from shared.text.stems import primary, stem
from shared.text.tokens import PATTERN, bare, fold

_LONGEST_TEXT: Final = 2_000
_COVERED_UP: Final = re.compile(r"\[(?:name|number|e-mail)\]")
_SHORTEST_WORD: Final = 2
_PIECES: Final = (3, 4, 5)
# Words that carry a question or a judgement, whatever it is about; added to the stop words.
_SILENT_WORDS: Final = {
    "en": "how can do does did done doing get got getting need want please would like could "
    "should may might where when why there here out up down off about again any some much more "
    "most other only also then them they he she him her you your yours his its our us these "
    "those into over after before now yet still too im i'm i've i'd it's that's there's don't "
    "doesn't didn't can't isn't won't wasn't couldn't am being if than let make made making "
    "give given take taken one two many few every each both same own such ever never always "
    "really even lot lots bit thing things something anything everything nothing none way "
    "well very quite think know say said see going went go come came put keep kept use used "
    "time times good great nice excellent bad poor best better lovely amazing fantastic "
    "perfect brilliant thank thanks happy ok okay yes",
    "de": "wie kann können könnte möchte will wollen bitte gibt geht ging kommt kam macht "
    "gemacht machen schon mehr sehr viel viele ganz etwas nichts gar da hier dort dann weil "
    "ob wo wann warum was wer sein seine ihre ihr sie er es uns unser unsere vom beim durch "
    "gegen unter vor seit bis ohne um jetzt heute wieder leider einfach immer gut gute guter "
    "gutes super toll tolle schlecht schlechte danke perfekt zufrieden",
    "da": "hvordan hvornår hvorfor kunne gerne lidt mere mest rigtig helt bare nu her der ind "
    "ud op ned os vores deres dem dig din dit hans hendes være får fik gør gjorde igen aldrig "
    "altid uden ved mellem også alt alle noget intet god gode fin fint dårlig dårligt tak "
    "super dejlig dejligt fantastisk tilfreds",
    "pl": "jak można mogę może chcę chciałbym proszę kiedy gdzie dlaczego tu tam już bardzo "
    "dużo więcej trochę zawsze nigdy znowu znów nasz nasza ich ją jej go mu my wy oni są "
    "będzie byli były mieć miał dobry dobra dobrze zły źle super polecam dziękuję świetny "
    "świetna zadowolony zadowolona",
    "cs": "jak kdy kde proč můžu mohu chci chtěl prosím tady tam hodně více trochu vždy nikdy "
    "znovu opět náš naše jejich mít měl měla mají bude budou byly dobrý dobrá dobré dobře "
    "špatný špatná špatně super skvělý skvělá děkuji spokojen spokojený",
    "sk": "ako kedy kde prečo môžem chcem chcel prosím tu tam veľa viac trochu vždy nikdy "
    "znova opäť náš naše ich mať mal mala majú bude budú boli dobrý dobrá dobré dobre "
    "zlý zlá zle super skvelý skvelá ďakujem spokojný",
    "ru": "как когда где почему можно могу хочу хотел пожалуйста здесь там тут много больше "
    "немного всегда никогда опять снова наш наша их его её ее ему ей нас нам вам им него нее "
    "будет были быть хороший хорошая хорошо хорошее плохо плохой отлично отличный отличная "
    "супер спасибо довольны",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Words:
    """A text with its language and its telling words: the folded form and stem of each."""

    text: str
    language: str
    words: tuple[tuple[str, str], ...]

    def counted(self) -> tuple[Mapping[str, float], ...]:
        """Return how often the text has each stem, each piece of a word, each concept."""
        stems = Counter(root for _, root in self.words)
        pieces: Counter[str] = Counter()
        for form, _ in self.words:
            pieces.update(_pieces(form))
        return stems, pieces, concepts(self.text, self.language)


def read_all(texts: Sequence[tuple[str, str | None]]) -> list[Words]:
    """Read texts with their language tags; who is told no language is guessed.

    A text too short for a guess is in the language whose texts here use its words the most.
    """
    cleaned = [_COVERED_UP.sub(" ", text.strip()[:_LONGEST_TEXT]) for text, _ in texts]
    forms = [[fold(word) for word in PATTERN.findall(text)] for text in cleaned]
    languages = [
        primary(tag) or guess(words) for (_, tag), words in zip(texts, forms, strict=True)
    ]
    heard: dict[str, Counter[str]] = {}
    for words, language in zip(forms, languages, strict=True):
        if language:
            heard.setdefault(language, Counter()).update(set(words))
    return [
        _words(text, words, language or _likely(words, heard))
        for text, words, language in zip(cleaned, forms, languages, strict=True)
    ]


def _likely(words: Iterable[str], heard: Mapping[str, Counter[str]]) -> str:
    uses = {
        language: sum(counts[word] for word in set(words)) for language, counts in heard.items()
    }
    best = max(uses, key=lambda language: (uses[language], language), default="")
    return best if best and uses[best] else ""


def _words(text: str, forms: Sequence[str], language: str) -> Words:
    silent = _silent(language)
    return Words(
        text,
        language,
        tuple(
            (form, stem(form, language))
            for form in forms
            if form not in silent and len(form) >= _SHORTEST_WORD and not form.isdigit()
        ),
    )


@lru_cache(maxsize=64)
def _silent(language: str) -> frozenset[str]:
    return stop_words(language) | frozenset(_SILENT_WORDS.get(language, "").split())


@lru_cache(maxsize=16_384)
def _pieces(form: str) -> tuple[str, ...]:
    word = f"<{bare(form)}>"
    return tuple(
        word[start : start + length]
        for length in _PIECES
        for start in range(len(word) - length + 1)
    )
