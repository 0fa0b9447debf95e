"""How common a word is in customers' feedback anyway, as a frozen table of three steps.

A word that every other customer writes ("time", "service") says less about the theme of a
text than one that few write ("refund"). The table is fixed, so that the answer for one text
never depends on which other texts came with it.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from shared.text.language import stop_words
from shared.text.stems import stem

_COMMON: Final = {
    "en": "time service good great nice bad help helpful helped helping get got getting go "
    "went going come came told tell said say ask asked need needed want wanted work worked "
    "working day days week weeks hour hours minute minutes year month today people person "
    "staff team everyone customer company thing things way like well better best poor "
    "really always never long quick quickly call called phone back first last make made take "
    "took give given use used know see feel felt problem problems issue experience place "
    "order money new old look find found easy hard happy clear information",
    "de": "zeit service gut gute super schlecht hilfe geholfen gehen ging kommen kam gesagt "
    "sagen fragen brauchen wollen arbeiten tag tage woche stunde stunden minuten jahr heute "
    "leute person personal mitarbeiter team kunde firma sache gern besser lange schnell anruf "
    "telefon erste letzte machen gemacht nehmen geben benutzen wissen sehen problem probleme "
    "bestellung geld neu alt finden einfach schwer zufrieden information",
    "pl": "czas obsługa dobry dobra dobrze zły źle pomoc pomógł iść przyszedł powiedział "
    "pytać potrzebuję chcieć pracować dzień dni tydzień godzina godzin minut rok dzisiaj "
    "ludzie osoba personel pracownik firma klient rzecz lepiej długo szybko telefon pierwszy "
    "ostatni robić dać wiedzieć widzieć problem zamówienie pieniądze nowy stary łatwo trudno "
    "zadowolony informacja",
    "da": "tid service god godt dårlig hjælp hjalp gå kom sagde spurgte brug ville arbejde dag "
    "dage uge time timer minutter år mennesker person personale medarbejder firma kunde ting "
    "bedre lang længe hurtig ringe ringede telefon første sidste gøre tage give vide se "
    "problem bestilling penge ny gammel finde nem svær tilfreds information",
    "cs": "čas služba služby obsluha dobrý dobře špatný špatně pomoc pomohl jít přišel řekl "
    "ptát potřebovat chtít pracovat den dny týden hodina hodin minut rok dnes lidé osoba "
    "personál zaměstnanec firma zákazník věc lépe dlouho rychle telefon první poslední dělat "
    "dát vědět vidět problém objednávka peníze nový starý snadno těžko spokojený informace",
    "ru": "время сервис хороший хорошо плохой плохо помощь помог идти пришёл сказал спросил "
    "нужно хотеть работать день дней неделя час часов минут год сегодня люди человек персонал "
    "сотрудник компания клиент вещь лучше долго быстро телефон первый последний делать дать "
    "знать видеть проблема заказ деньги новый старый легко трудно доволен информация",
}
_STOPPED: Final = 0.4
_COMMONPLACE: Final = 0.7
_TELLING: Final = 1.0


def rarity(word: str, language: str) -> float:
    """Return how much a folded *word* says: from 0.4 for a stop word to 1 for a rare one."""
    if word in stop_words(language):
        return _STOPPED
    return _COMMONPLACE if stem(word, language) in _common(language) else _TELLING


@cache
def _common(language: str) -> frozenset[str]:
    return frozenset(stem(word, language) for word in _COMMON.get(language, "").split())
