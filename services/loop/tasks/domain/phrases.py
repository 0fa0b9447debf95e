"""Words that talk of rules instead of the customer: "it is our policy" and its kin.

An unhappy customer does not care what a policy says, only what happens now. The lists are ours,
of stems and short phrases in the languages that customers are served in; whatever the language
of a text, all of them are looked for, since staff write in their own.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_PHRASES: Final = {
    "en": (
        r"(our|company|the) polic(y|ies)",
        r"against (our|the) rules",
        r"those are the rules",
        r"not my (department|job|responsibility)",
        r"nothing (i|we) can do",
        r"(we are|we're) (short-staffed|short of staff|understaffed)",
        r"terms and conditions (say|state|do not allow)",
        r"you should have",
    ),
    "de": (
        r"unsere[nr]? (richtlinien?|vorschrift(en)?|bestimmung(en)?|regeln?)",
        r"(richtlinie|vorschrift) ist",
        r"das sind die regeln",
        r"nicht (meine abteilung|zuständig|meine zuständigkeit)",
        r"da kann (ich|man) nichts machen",
        r"da können wir nichts machen",
        r"(unter|personal)besetzt",
        r"laut (unseren )?agb",
        r"sie hätten .{0,30}(müssen|sollen)",
    ),
    "pl": (
        r"nasz(a|ej|ą) polityk(a|i|ą)",
        r"(taki|taka) (jest|mamy) (regulamin|procedur[aę])",
        r"zgodnie z (naszym )?regulaminem",
        r"to nie (mój|nasz) dział",
        r"nic nie (możemy|mogę) zrobić",
        r"brakuje nam (ludzi|personelu)",
        r"trzeba było",
    ),
    "da": (
        r"vores (politik|regler|retningslinjer)",
        r"sådan er reglerne",
        r"det er ikke min afdeling",
        r"(kan|der er) .{0,12}ikke (noget|gøre noget)",
        r"vi (mangler|er for få) (folk|personale)",
        r"ifølge (vores )?betingelser",
        r"du (skulle|burde) have",
    ),
    "cs": (
        r"(naše|naší) (zásady|pravidla|politik[ay])",
        r"taková jsou pravidla",
        r"podle (našich )?(pravidel|podmínek|směrnic)",
        r"to není moje oddělení",
        r"nemůž(u|eme) (s tím )?nic dělat",
        r"máme málo lidí",
        r"měl[ai]? jste",
    ),
    "ru": (
        r"наш(а|и|ей|их|им) (политик[аеиу]|правил(а|ам|ах)?)",
        r"(таковы|такие) (наши )?правила",
        r"согласно (нашим )?(правилам|регламенту)",
        r"не (мой|наш) отдел",
        r"ничего не (можем|могу) (с этим )?(с)?делать",
        r"не хватает (людей|сотрудников)",
        r"(вам|вы) (надо|нужно|должны) было|вы должны были",
    ),
}
_MATCHERS: Final = {
    language: re.compile("|".join(rf"\b(?:{phrase})\b" for phrase in phrases))
    for language, phrases in _PHRASES.items()
}


def policy_phrase(text: str | None) -> bool:
    """Tell whether a text hides behind a rule, a department or a lack of staff."""
    if not text:
        return False
    plain = unicodedata.normalize("NFC", text).casefold().replace("\u2019", "'")
    plain = " ".join(plain.split())
    return any(matcher.search(plain) for matcher in _MATCHERS.values())
