"""What columns are called, in eight languages and by the usual survey tools.

A heading is compared without case, accents and punctuation, ``surveyId`` as ``survey id``. A
name in full is strong evidence; a word inside a longer heading (usually the question itself)
is strong only where that word hardly means anything else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from unicodedata import combining, normalize

OURS: Final = "closed_loop_"
"""How the columns begin that a report of rejected rows adds."""

_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_OTHER: Final = re.compile(r"[\W_]+")
_LETTERS: Final = str.maketrans({"ø": "o", "ł": "l", "æ": "ae", "œ": "oe", "đ": "d", "ı": "i"})


def plain(heading: str) -> str:
    """Return a heading as it is compared."""
    spaced = _CAMEL.sub(" ", heading).casefold().translate(_LETTERS)
    bare = "".join(char for char in normalize("NFKD", spaced) if not combining(char))
    return " ".join(_OTHER.sub(" ", bare.replace("#", " number ")).split())


@dataclass(frozen=True, slots=True)
class Names:
    """How a member's columns are called: in full, by a telling part, by a vague one."""

    full: frozenset[str]
    telling: tuple[str, ...] = ()
    vague: tuple[str, ...] = ()

    def strength(self, heading: str) -> int:
        """Return 3 for a name in full, 2 and 1 for a part, 0 for nothing."""
        if heading in self.full:
            return 3
        if any(part in heading for part in self.telling):
            return 2
        return int(any(f" {part} " in f" {heading} " for part in self.vague))


def _names(full: str, telling: str = "", vague: str = "") -> Names:
    def parts(text: str) -> list[str]:
        return [name for each in text.split("|") if (name := plain(each))]

    return Names(frozenset(parts(full)), tuple(parts(telling)), tuple(parts(vague)))


RECOMMEND: Final = _names(
    "nps|nps score|net promoter score|nps rating|ltr|nps value|nps answer|nps wert|nps punkte",
    "recommend|empfehl|anbefal|poleci|poleca|doporuc|рекоменд|порекоменд|recommand|recomend"
    "|net promoter|nps",
)
SATISFACTION: Final = _names(
    "csat|csat score|satisfaction|satisfaction score|overall satisfaction|osat|stars|sterne"
    "|stjerner|star rating|zufriedenheit|tilfredshed|zadowolenie|satysfakcja|spokojenost"
    "|удовлетворенность|satisfacción|estrellas|étoiles|gwiazdki",
    "satisf|satysfakcj|zufrieden|tilfreds|zadowol|spokojen|удовлетвор|csat",
)
EFFORT: Final = _names(
    "ces|ces score|customer effort score|effort|effort score|ease|aufwand|indsats|wysiłek"
    "|úsilí|усилия|esfuerzo",
    "customer effort|how easy|made it easy|easy to"
    "|wie einfach|wie leicht|hvor let|hvor nemt|jak łatwo"
    "|jak snadn|насколько легко|à quel point|facile|facilité|qué tan fácil|lo fácil"
    "|wie viel aufwand",
)
SCORE: Final = _names(
    "score|rating|points|grade|mark|bewertung|punkte|note|wert|karakter|bedømmelse|ocena|punkty"
    "|hodnocení|známka|body|оценка|балл|баллы|puntuación|calificación|valoración|nota|évaluation"
    "|survey score|answer score|response score|skóre|pointtal|vurdering|wynik",
    "score|rating|bewertung",
    "ocena|hodnocení|оценка|évaluation|puntuación|valoración",
)
MEMBERS: Final = {
    "external_id": _names(
        "external id|response id|responseid|response uuid|survey response id|survey id|surveyid"
        "|submission id|answer id|comment id|feedback id|review id|record id|result id|entry id"
        "|token|id|uuid|guid|response number|antwort id|antwortnummer|antwort nr|rückmeldung id"
        "|svar id|besvarelse id|besvarelses id|id odpowiedzi|identyfikator|id odpovědi"
        "|identifikátor|ид|ид ответа|id ответа|номер ответа|id réponse|id de réponse"
        "|identifiant|identifiant de la réponse|id de respuesta|id respuesta|identificador"
        "|interview id|case id|ticket id|lfdn|vorgangsnummer",
        "response id|submission id",
        "id|uuid|token|number|nr|номер",
    ),
    "answered_at": _names(
        "answered at|response date|responded at|date responded|responded|response time"
        "|submitted at|submit date|submit date utc|date submitted|submission date|completed at"
        "|completion time|date completed|recorded date|end date|timestamp|date|datetime"
        "|answer date|feedback date|survey date|interview date|response created at|created at"
        "|time|datum|antwortdatum|zeitstempel|abgeschickt am|beantwortet am|eingang|zeitpunkt"
        "|dato|svardato|besvaret|tidspunkt|tidsstempel|data|data odpowiedzi"
        "|sygnatura czasowa|datum odpovědi|časová značka|дата|дата ответа|отметка времени|время"
        "|date de réponse|horodateur|date de la réponse|fecha|fecha de respuesta"
        "|marca temporal|date de fin|ended at|finished at",
        "response date|submitted|completed at|recorded date|answered at|responded at",
        "date|datum|dato|data|дата|fecha|timestamp|end date",
    ),
    "comment": _names(
        "comment|comments|feedback|verbatim|verbatims|open text|free text|review|remarks|text"
        "|message|response text|answer text|opinion|kommentar|kommentare|bemerkung|bemerkungen"
        "|anmerkung|anmerkungen|freitext|rückmeldung|begründung|text der antwort|kommentarer"
        "|bemærkning|fritekst|begrundelse|komentarz|komentarze|uwagi|opinia|uzasadnienie"
        "|komentář|komentáře|poznámka|připomínky|zdůvodnění|комментарий|комментарии|отзыв"
        "|отзывы|замечания|commentaire|commentaires|remarque|remarques|avis|verbatims client"
        "|comentario|comentarios|observaciones|opinión|survey comment|nps comment"
        "|additional comments|fft answer",
        "comment|verbatim|kommentar|komentar|комментар|comentari|begründ|main reason"
        "|reason for your|what is the primary reason|why did you|freitext|free text",
        "why|feedback|warum|weshalb|hvorfor|dlaczego|proč|почему|pourquoi|por qué|improve"
        "|anything else|better|besser|bedre|lepiej|lépe|лучше|mieux|mejor|verbessern|forbedre"
        "|remarks|uwagi|отзыв",
    ),
    "touchpoint": _names(
        "touchpoint|touch point|contact point|kontaktpunkt|berührungspunkt|berøringspunkt"
        "|punkt styku|punkt kontaktu|kontaktní bod|точка контакта|point de contact"
        "|punto de contacto|event|trigger|survey name|survey|umfrage|undersøgelse",
        "touchpoint|touch point",
        "location|unit|branch|store|filiale|standort|butik|afdeling|oddział|pobočka|филиал"
        "|magasin|agence|tienda|sucursal|service type 1|department|abteilung|service",
    ),
    "segment": _names(
        "segment|customer segment|kundensegment|customer type|kundentyp|kundetype|tier|plan"
        "|customer tier|kundengruppe|kundegruppe|segment klienta|segment zákazníka|сегмент"
        "|segment client|segmento|segmento de cliente",
        "segment|сегмент",
        "trust",
    ),
    "product": _names(
        "product|product name|produkt|produktname|produktnavn|nazwa produktu|výrobek|продукт"
        "|товар|produit|nom du produit|producto|artikel|article|service type 2|product line",
        "product name",
        "product|produkt|продукт|produit|producto",
    ),
    "channel": _names(
        "channel|survey channel|collection method|distribution channel|kanal|kanał|kanál|канал"
        "|canal|source channel|contact channel|kontaktkanal|medium|survey method",
        "channel",
        "kanal|kanał|kanál|канал|canal",
    ),
    "language": _names(
        "language|lang|locale|user language|response language|survey language|sprache|sprog"
        "|język|jazyk|язык|langue|idioma",
        "language",
    ),
    "reason": _names(
        "contact reason|reason for contact|call reason|kontaktgrund|anlass|kontaktårsag"
        "|henvendelsesårsag|powód kontaktu|důvod kontaktu|причина обращения|motif de contact"
        "|motivo de contacto|topic|category",
        "contact reason|reason for contact|kontaktgrund|причина обращения",
    ),
    "transaction_id": _names(
        "transaction id|order id|order number|order no|booking id|booking number|invoice number"
        "|transaktionsnummer|bestellnummer|auftragsnummer|ordrenummer|numer zamówienia"
        "|číslo objednávky|номер заказа|numéro de commande|número de pedido|ticket number"
        "|case number|transaction",
        "order id|transaction id|order number",
    ),
    "customer.id": _names(
        "customer id|customer number|customer no|client id|person id|contact id|member id"
        "|user id|respondent id|external reference|external data reference|crm id|kundennummer"
        "|kunden nr|kundennr|kunden id|kundenr|kundenummer|kunde id|numer klienta|id klienta"
        "|číslo zákazníka|id zákazníka|ид клиента|id клиента|номер клиента|numéro client"
        "|id client|número de cliente|id de cliente|id cliente|patient id|guest id|panelist id",
        "customer id|customer number|kundennummer|kundenummer|person id|contact id",
    ),
    "customer.email": _names(
        "email|e mail|email address|e mail address|mail|customer email|person email"
        "|recipient email|recipientemail|contact email|respondent email|username|e mail adresse"
        "|mailadresse|adres e mail|adres email|emailová adresa|электронная почта|эл почта|почта"
        "|адрес электронной почты|adresse e mail|adresse email|courriel|correo"
        "|correo electrónico|dirección de correo electrónico",
        "email|e mail|courriel|correo electronico",
    ),
    "customer.name": _names(
        "name|full name|customer name|person name|contact name|respondent name|your name|kunde"
        "|kundenname|vollständiger name|navn|fulde navn|kundens navn|imię i nazwisko|klient"
        "|jméno|jméno a příjmení|имя|фио|имя и фамилия|nom|nom complet|nombre|nombre completo",
        "full name|customer name",
    ),
    "customer.phone": _names(
        "phone|phone number|telephone|mobile|mobile number|person phone|customer phone|tel"
        "|telefon|telefonnummer|handynummer|rufnummer|mobilnummer|mobil|numer telefonu|tel kom"
        "|telefonní číslo|телефон|номер телефона|мобильный|téléphone|numéro de téléphone"
        "|portable|teléfono|número de teléfono|móvil|recipient phone",
        "phone|telefon|телефон",
    ),
    "customer.account": _names(
        "account|account name|company|company name|organisation|organization|firma|unternehmen"
        "|kundefirma|virksomhed|konto|společnost|компания|организация|entreprise|société"
        "|empresa|compañía|cuenta",
        "company name|account name",
    ),
    "customer.contact_owner": _names(
        "contact owner|account manager|account owner|owner|responsible|betreuer|kundenbetreuer"
        "|kundeansvarlig|opiekun|opiekun klienta|správce|менеджер|responsable|gestor|csm",
        "account manager|account owner",
    ),
    "customer.annual_value.amount": _names(
        "annual value|annual revenue|arr|mrr x 12|yearly value|customer value|contract value"
        "|jahresumsatz|jahreswert|umsatz|årlig omsætning|omsætning|roczna wartość|roční hodnota"
        "|годовая выручка|годовой оборот|chiffre d affaires|valeur annuelle|valor anual"
        "|ingresos anuales|annual contract value|acv",
        "annual value|annual revenue|jahresumsatz",
    ),
    "customer.consent.follow_up": _names(
        "consent|follow up consent|follow up|contact me|may we contact you|contact permission"
        "|ok to contact|contact consent|kontakt erlaubt|einwilligung|rückruf erwünscht|samtykke"
        "|må vi kontakte dig|zgoda na kontakt|zgoda|souhlas|souhlas s kontaktem"
        "|согласие на контакт|согласие|consentement|consentimiento",
        "may we contact|can we contact|dürfen wir sie kontaktieren|må vi kontakte"
        "|contact you about",
    ),
    "customer.do_not_contact": _names(
        "do not contact|unsubscribed|opted out|opt out|dnc|nicht kontaktieren|kontaktverbot"
        "|må ikke kontaktes|nie kontaktować|nekontaktovat|не связываться|ne pas contacter"
        "|no contactar",
        "do not contact|unsubscribed|opted out",
    ),
}

_MUCH = (
    "very|extremely|totally|completely|strongly|highly|sehr|äußerst|völlig|très|muy|meget"
    "|bardzo|velmi|очень"
)
_GOOD = (
    "satisfied|happy|good|excellent|great|best|likely|easy|agree|zufrieden|gut|beste|bester"
    "|wahrscheinlich|einfach|leicht|zustimmung|satisfait|bon|excellent|probable|facile"
    "|satisfecho|bueno|excelente|fácil|tilfreds|god|bedst|sandsynligt|let|nemt|zadowolony"
    "|dobrze|najlepsza|łatwo|spokojen|spokojený|dobré|nejlepší|snadné|доволен|хорошо|отлично"
)
_BEST_FIRST: Final = re.compile(
    rf"\b[01] (?:(?:{'|'.join(map(plain, _MUCH.split('|')))}) )*"
    rf"(?:{'|'.join(map(plain, _GOOD.split('|')))})\b.* (?:[4-7]|10)\b"
)


def has_best_first(heading: str) -> bool:
    """Tell whether a plain heading names both ends of a scale, the lowest as the best."""
    return _BEST_FIRST.search(heading) is not None


def is_known(heading: str) -> bool:
    """Tell whether exports call a column exactly so, whichever member it is."""
    name = plain(heading)
    return any(
        names.strength(name) == 3
        for names in (*MEMBERS.values(), RECOMMEND, SATISFACTION, EFFORT, SCORE)
    )


FIRST_NAME: Final = _names(
    "first name|given name|recipient first name|vorname|fornavn|imię|křestní jméno|имя|prénom"
    "|nombre|respondent first name"
)
LAST_NAME: Final = _names(
    "last name|surname|family name|recipient last name|nachname|efternavn|nazwisko|příjmení"
    "|фамилия|nom de famille|apellido|apellidos|respondent last name"
)
CURRENCY: Final = _names("currency|währung|valuta|waluta|měna|валюта|devise|moneda")
DULL: Final = _names(
    "ip address|ip|network id|collector id|user agent|recipient id|distribution channel"
    "|location latitude|location longitude|start date|start date utc|status|progress|finished"
    "|duration in seconds|duration|permalink|sent at|sent|birth date|date of birth|birthday"
    "|survey sent at|last seen|created by|stage date utc|nps group|nps category|nps type"
    "|score type|question id|custom data 1|geburtsdatum|startdatum|start time",
    "latitude|longitude|birth|geburt|nps group|promoter or|sentiment|start date|sent at",
)
"""Columns that look like something and are not."""

YES: Final = frozenset(
    map(plain, "yes|y|true|1|ja|j|tak|t|ano|a|да|д|oui|o|sí|si|s|x|wahr|vrai|sand".split("|"))  # noqa: SIM905 - a line reads better
)
NO: Final = frozenset(
    map(plain, "no|n|false|0|nein|nej|nie|ne|нет|н|non|falsch|faux|falsk".split("|"))  # noqa: SIM905
)
_WORDS: Final = (
    # Five steps of satisfaction, from the worst.
    (
        "very dissatisfied|dissatisfied|neither satisfied nor dissatisfied|satisfied"
        "|very satisfied"
    ),
    "very dissatisfied|dissatisfied|neutral|satisfied|very satisfied",
    "very unsatisfied|unsatisfied|neutral|satisfied|very satisfied",
    "very poor|poor|neither good nor poor|good|very good",
    "very bad|bad|neutral|good|very good",
    "very poor|poor|fair|good|excellent",
    "one|two|three|four|five",
    "very difficult|difficult|neutral|easy|very easy",
    "very difficult|difficult|neither easy nor difficult|easy|very easy",
    "strongly disagree|disagree|neutral|agree|strongly agree",
    "strongly disagree|disagree|neither agree nor disagree|agree|strongly agree",
    (
        "strongly disagree|disagree|somewhat disagree|neither agree nor disagree"
        "|somewhat agree|agree|strongly agree"
    ),
    "sehr schwierig|schwierig|neutral|einfach|sehr einfach",
    "sehr unzufrieden|unzufrieden|teils teils|zufrieden|sehr zufrieden",
    "sehr unzufrieden|unzufrieden|neutral|zufrieden|sehr zufrieden",
    "sehr schlecht|schlecht|mittel|gut|sehr gut",
    "meget utilfreds|utilfreds|hverken eller|tilfreds|meget tilfreds",
    "bardzo niezadowolony|niezadowolony|ani tak ani nie|zadowolony|bardzo zadowolony",
    "velmi nespokojen|nespokojen|neutrální|spokojen|velmi spokojen",
    "очень недоволен|недоволен|нейтрально|доволен|очень доволен",
    "очень плохо|плохо|удовлетворительно|хорошо|отлично",
    "très insatisfait|insatisfait|neutre|satisfait|très satisfait",
    "muy insatisfecho|insatisfecho|neutral|satisfecho|muy satisfecho",
)
WORD_SCALES: Final = tuple(
    {plain(word): step for step, word in enumerate(words.split("|"), start=1)}
    for words in _WORDS
)
"""Answers in words from 1, the worst, to 5 or 7."""
