"""Lists of codes: segments, products and contact reasons, with their names per language.

Whatever responses name is on the list, described or not. A retired code is no longer offered,
and what came with it still counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, get_args

if TYPE_CHECKING:
    from datetime import date, datetime

ListKind = Literal["segment", "product", "reason"]
KINDS: Final[tuple[ListKind, ...]] = get_args(ListKind)

CodeKind = Literal["touchpoint", ListKind]

CountedKind = Literal[CodeKind, "contact"]
"""What is counted: responses by the codes they name, and contacts by their reason."""

OTHER: Final = "other"
"""The contact reason that is always there."""


@dataclass(frozen=True, kw_only=True)
class Code:
    """A segment, a product or a contact reason, known by the code that sources send."""

    kind: ListKind
    code: str
    labels: Mapping[str, str]
    """Names by language: the primary tag, such as ``de``."""
    described: bool
    first_seen_at: datetime
    version: int
    alias_of: str | None = None
    retired_at: datetime | None = None
    answers: int = 0
    """The responses of the last twelve weeks, with those of the codes that stand for it."""
    last_answer_on: date | None = None

    @property
    def is_mapped(self) -> bool:
        """Tell whether it is known what this code means."""
        return self.described or self.alias_of is not None

    def name_in(self, language: str) -> str:
        """Return the name in *language*, else in English, else any, else the code."""
        for tag in (language, "en", *sorted(self.labels)):
            if tag in self.labels:
                return self.labels[tag]
        return self.code


class AnswerCell(NamedTuple):
    """What one count is about; ``emotion`` is told apart for reasons and contacts only."""

    day: date
    kind: CountedKind
    code: str
    emotion: str


def other_reason(now: datetime) -> Code:
    """Return the reason for whatever is none of the others."""
    return Code(
        kind="reason",
        code=OTHER,
        labels=BANK_REASONS[OTHER],
        described=True,
        first_seen_at=now,
        version=1,
    )


BANK_REASONS: Final[Mapping[str, Mapping[str, str]]] = {
    "limit_change": {
        "en": "Raise or lower a limit",
        "da": "Ændring af grænse",
        "de": "Limitänderung",
        "pl": "Zmiana limitu",
        "cs": "Změna limitu",
    },
    "credentials": {
        "en": "Change of password or security questions",
        "da": "Ændring af adgangskode",
        "de": "Passwort ändern",
        "pl": "Zmiana hasła",
        "cs": "Změna hesla",
    },
    "user_name": {
        "en": "Question about the user name",
        "da": "Brugernavn",
        "de": "Benutzername",
        "pl": "Nazwa użytkownika",
        "cs": "Uživatelské jméno",
    },
    "transaction_check": {
        "en": "Check of a transaction",
        "da": "Kontrol af transaktion",
        "de": "Buchung prüfen",
        "pl": "Sprawdzenie transakcji",
        "cs": "Ověření transakce",
    },
    "loan_status": {
        "en": "Status of a loan application",
        "da": "Status på låneansøgning",
        "de": "Stand des Kreditantrags",
        "pl": "Status wniosku o kredyt",
        "cs": "Stav žádosti o úvěr",
    },
    "loan_application": {
        "en": "Loan application",
        "da": "Låneansøgning",
        "de": "Kreditantrag",
        "pl": "Wniosek o kredyt",
        "cs": "Žádost o úvěr",
    },
    "loan_conditions": {
        "en": "General question about loan conditions",
        "da": "Lånevilkår",
        "de": "Kreditbedingungen",
        "pl": "Warunki kredytu",
        "cs": "Podmínky úvěru",
    },
    "money_transfer": {
        "en": "Question about a money transfer",
        "da": "Overførsel",
        "de": "Überweisung",
        "pl": "Przelew",
        "cs": "Převod peněz",
    },
    "missed_call": {
        "en": "Calling back on a missed call",
        "da": "Ubesvaret opkald",
        "de": "Verpasster Anruf",
        "pl": "Nieodebrane połączenie",
        "cs": "Zmeškaný hovor",
    },
    OTHER: {
        "en": "Other",
        "da": "Andet",
        "de": "Sonstiges",
        "pl": "Inne",
        "cs": "Jiné",
    },
}
"""The contact reasons of a bank, offered to begin with; nobody has to take them."""
