"""A guess at the language of a text, for customers who came without one.

Short words that hold a sentence together, and letters that only some alphabets have, are
counted. That is enough to choose among the languages of a word list; it is no more than that,
and it says nothing rather than something doubtful.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Final

_STOP_WORDS: Final = {
    "en": "the and i to was a of is it in that for my they with not have had this were but "
    "are very on you be so we at me as no all when an been there has from their would what "
    "your which by or will who could don't can't because after did it's than just",
    "de": "und die der ich das nicht ist war es zu sehr mit ein auf eine den man bei wurde "
    "für hat auch aber wir mir dass noch keine kein nur werden haben habe von im dem sich "
    "wie alles immer als sind nach mehr wird zum zur oder bin einen über waren hatte "
    "hatten wenn wäre wurden würde mal",
    "pl": "nie i w na się z do jest to że bardzo po za jak o od było ale przez był tak co "
    "była dla tylko już ma czy mnie mi są przy ze bez jestem można żeby tego oraz nic być "
    "mam gdy nawet pan pani jeszcze sie bylo",
    "da": "og i det at er jeg en til ikke på meget af for der som med var den de har et men "
    "så man fra blev mig skulle godt være vi kan om havde ikke eller hvor da efter alt min "
    "når også vil kunne jeg ingen bliver selv ved",
    "cs": "a se na je v to že s z jsem jako si do za pro ale i po bylo velmi byla byl jsou "
    "co tak jen k o by od jsme už při nebo které mi není ve která když také bez aby není "
    "může vždy až nic mě který ještě než jsem byl ze",
    "sk": "a sa na je v to že s z som ako si do za pre ale aj po bolo veľmi bola bol sú čo "
    "tak len k o by od sme už pri alebo ktoré mi nie vo ktorá keď tiež bez aby môže vždy až "
    "nič ma ktorý ešte než zo",
    "ru": "и в не на я что с очень по это как за все но у от так было к для был из а только "
    "мне то была бы мы они нет уже или их меня до вы если же при еще ещё есть когда без даже "
    "просто чтобы быть были",
    "uk": "і в не на я що з дуже по це як за все але у від так було до для був та тільки мені "
    "то була ми вони немає вже або їх мене ви якщо при ще є коли без навіть щоб",
    "fr": "le la les et de un une est pas je à des en que pour très qui dans ne du il avec "
    "sur mais ce au plus on par nous c'est j'ai été sont vous se était cette tout",
    "es": "el la los y de un una es no que en por muy para con se lo me mi pero las del al "
    "como más está fue su son bien hay todo han nos cuando si porque",
    "it": "il la i e di un una è non che in per molto con si lo mi ma le del al come più "
    "sono della ho nel anche gli alla ci stato questo perché ha dei da",
    "nl": "de het en een van ik niet is te dat zijn met op voor was heel er maar ze om aan "
    "bij ook werd naar mijn geen wel goed deze wordt hebben heb dan nog",
    "sv": "och det att är jag en till inte på mycket av för som med var den de har ett men "
    "så man från blev mig skulle bra vara vi kan om hade eller efter allt min när också",
    "no": "og det at er jeg en til ikke på veldig av for som med var den de har et men så "
    "man fra ble meg skulle bra være vi kan om hadde eller etter alt min når også",
    "pt": "o a os e de um uma é não que em por muito para com se me meu mas as do da ao como "
    "mais está foi são bem tudo no na eu pois quando",
    "fi": "ja on ei oli se että hyvin en kun mutta niin minun olen mitä ole vain myös jo kuin "
    "sitä oli ovat siitä",
    "hu": "a az és nem hogy egy is nagyon volt van de meg csak már mert ez ha el azt még "
    "voltak mint sem",
}  # fmt: skip
_LETTERS: Final = {
    "de": "ßäöü",
    "pl": "łąęćńśźż",
    "da": "åæø",
    "no": "åæø",
    "sv": "åäö",
    "cs": "ěřůčšžýáíťď",
    "sk": "ľĺŕôčšžýáíťď",
    "ru": "ыэёъ",
    "uk": "іїєґ",
    "fr": "çèêâîûœë",
    "es": "ñ¿¡",
    "pt": "ãõç",
    "fi": "äö",
    "hu": "őű",
}
_CYRILLIC: Final = ("ru", "uk")
_WEIGHT_OF_A_LETTER: Final = 0.5
_ENOUGH: Final = 1.0
_MARGIN: Final = 0.5

_LANGUAGES: Final = tuple(_STOP_WORDS)
_VOTES: Final[dict[str, tuple[str, ...]]] = {}
for _language, _words in _STOP_WORDS.items():
    for _word in dict.fromkeys(_words.split()):
        _VOTES[_word] = (*_VOTES.get(_word, ()), _language)
_LETTER_VOTES: Final = {
    letter: tuple(language for language in _LANGUAGES if letter in _LETTERS.get(language, ""))
    for letter in sorted({letter for letters in _LETTERS.values() for letter in letters})
}


@cache
def stop_words(language: str) -> frozenset[str]:
    """Return the short words that hold sentences of *language* together, in lower case."""
    return frozenset(_STOP_WORDS.get(language, "").split())


def guess(words: Iterable[str], among: Iterable[str] | None = None) -> str:
    """Return the language that *words* (in lower case) are in, "" where it is doubtful.

    *among* narrows the choice; a language we know no stop words of is never guessed.
    """
    votes = dict.fromkeys(_LANGUAGES if among is None else among, 0.0)
    seen: set[str] = set()
    cyrillic = False
    for word in words:
        for language in _VOTES.get(word, ()):
            if language in votes:
                votes[language] += 1.0
        if not word.isascii():
            seen.update(word)
            cyrillic = cyrillic or "а" <= word[0] <= "я"
    # A letter counts once, however often it comes: one foreign name must not decide.
    for letter in seen & _LETTER_VOTES.keys():
        for language in _LETTER_VOTES[letter]:
            if language in votes:
                votes[language] += _WEIGHT_OF_A_LETTER
    if cyrillic:
        votes = {language: votes[language] for language in _CYRILLIC if language in votes}
        if len(votes) == 1:
            return next(iter(votes))
    return _clear_winner(votes)


def _clear_winner(votes: dict[str, float]) -> str:
    ranked = sorted(votes.items(), key=lambda item: (-item[1], item[0]))
    if not ranked or ranked[0][1] < _ENOUGH:
        return ""
    if len(ranked) > 1 and ranked[0][1] - ranked[1][1] < _MARGIN:
        return ""
    return ranked[0][0]
