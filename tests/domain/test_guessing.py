"""Which column is which: exports as the usual tools write them, and headings in eight languages.

Each case is a small file; what is expected names the column of each member that is taken.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.ingest.domain.guessing import Guess, Guesses
from services.ingest.files import guess_columns, open_sheet
from services.ingest.mapping import Mapper, Mapping
from shared.errors import Invalid

CASES: dict[str, tuple[str, dict[str, str]]] = {
    "qualtrics": (
        "StartDate,EndDate,Status,IPAddress,Progress,Finished,RecordedDate,ResponseId,"
        "RecipientLastName,RecipientFirstName,RecipientEmail,ExternalReference,LocationLatitude,"
        "DistributionChannel,UserLanguage,Q1_NPS_GROUP,Q1,Q2\n"
        "Start Date,End Date,Response Type,IP Address,Progress,Finished,Recorded Date,"
        "Response ID,Recipient Last Name,Recipient First Name,Recipient Email,"
        "External Data Reference,Location Latitude,Distribution Channel,User Language,"
        "How likely are you to recommend us? - Group,How likely are you to recommend us?,"
        "What is the main reason for your score?\n"
        + ",".join(f'"{{""ImportId"":""x{n}""}}"' for n in range(18))
        + "\n"
        "2026-03-01 10:00:00,2026-03-01 10:05:00,IP Address,192.0.2.1,100,True,"
        "2026-03-01 10:05:01,R_1a2B3c,Berg,Ida,ida@example.org,C-1,55.1,email,EN,Detractor,2,"
        "Nobody called me back in a week\n"
        "2026-03-02 11:00:00,2026-03-02 11:05:00,IP Address,192.0.2.2,100,True,"
        "2026-03-02 11:05:01,R_4d5E6f,Holm,Bo,bo@example.org,C-2,55.2,email,DA,Promoter,9,"
        "Quick and friendly every time\n",
        {
            "external_id": "ResponseId",
            "score": "Q1",
            "metric": "always nps",
            "answered_at": "EndDate",
            "comment": "Q2",
            "customer.id": "ExternalReference",
            "customer.email": "RecipientEmail",
            "customer.name": "RecipientFirstName + RecipientLastName",
            "language": "UserLanguage",
        },
    ),
    "surveymonkey": (
        "Respondent ID,Collector ID,Start Date,End Date,IP Address,Email Address,First Name,"
        "Last Name,How likely is it that you would recommend us?,What could we do better?\n"
        ",,,,,,,,,Open-Ended Response\n"
        "114000001,4001,01/31/2026 10:00:00 AM,01/31/2026 10:02:00 AM,192.0.2.1,a@example.org,"
        "Ann,Lee,9,Shorter waiting times please\n"
        "114000002,4001,02/01/2026 1:00:00 PM,02/01/2026 1:02:00 PM,192.0.2.2,b@example.org,"
        "Bob,Ray,3,\n",
        {
            "external_id": "Respondent ID",
            "score": "How likely is it that you would recommend us?",
            "metric": "always nps",
            "answered_at": "End Date",
            "comment": "What could we do better?",
            "customer.email": "Email Address",
            "customer.name": "First Name + Last Name",
        },
    ),
    "delighted": (
        "Response ID,Person ID,Person Email,Person Name,Survey Score,Comment,Permalink,"
        "Response Created At,Sent At\n"
        "812,77,a@example.org,Ann Lee,10,Great,https://example.org/r/812,"
        "2026-01-05 10:00:00 UTC,2026-01-04 10:00:00 UTC\n"
        "813,78,b@example.org,Bob Ray,4,Too slow,https://example.org/r/813,"
        "2026-01-06 10:00:00 UTC,2026-01-04 10:00:00 UTC\n",
        {
            "external_id": "Response ID",
            "customer.id": "Person ID",
            "customer.email": "Person Email",
            "customer.name": "Person Name",
            "score": "Survey Score",
            "metric": "always nps",
            "comment": "Comment",
            "answered_at": "Response Created At",
        },
    ),
    "asknicely": (
        "response_id;name;email;answer score;comment;responded;segment;question_type\n"
        "5001;Ann Lee;a@example.org;9;Lovely;1767607200;SMB;nps\n"
        "5002;Bob Ray;b@example.org;2;Rude on the phone;1767693600;SMB;nps\n",
        {
            "external_id": "response_id",
            "customer.name": "name",
            "customer.email": "email",
            "score": "answer score",
            "metric": "always nps",
            "comment": "comment",
            "answered_at": "responded",
            "segment": "segment",
        },
    ),
    "typeform": (
        "#,How likely are you to recommend Acme?,Why did you choose that score?,"
        "Start Date (UTC),Submit Date (UTC),Network ID\n"
        "k2v9s0,8,It works well for us,2026-02-01 09:00:00,2026-02-01 09:03:00,aa11\n"
        "q8x7d1,1,It broke twice in a month,2026-02-02 09:00:00,2026-02-02 09:03:00,bb22\n",
        {
            "external_id": "#",
            "score": "How likely are you to recommend Acme?",
            "metric": "always nps",
            "comment": "Why did you choose that score?",
            "answered_at": "Submit Date (UTC)",
        },
    ),
    "google forms": (
        "Timestamp,Email Address,How satisfied are you with our service?,Any comments?\n"
        "3/14/2026 9:26:53,a@example.org,5,All fine thank you\n"
        "3/15/2026 9:26:53,b@example.org,1,Nobody answered my mails\n",
        {
            "external_id": "the whole row",
            "answered_at": "Timestamp",
            "customer.email": "Email Address",
            "score": "How satisfied are you with our service?",
            "metric": "always csat",
            "comment": "Any comments?",
        },
    ),
    "medallia": (
        "Surveyid|Response Date|Unit|Likelihood to Recommend|Overall Satisfaction|Comments"
        "|Customer ID|Order Number\n"
        "A1|2026-01-31|Odense|10|5|Good|C1|O-1\n"
        "A2|2026-01-30|Aarhus|0|1|Never again|C2|O-2\n",
        {
            "external_id": "Surveyid",
            "answered_at": "Response Date",
            "score": "Likelihood to Recommend",
            "metric": "always nps",
            "comment": "Comments",
            "customer.id": "Customer ID",
            "transaction_id": "Order Number",
        },
    ),
    "german": (
        "Antwort-ID;Kundennummer;E-Mail-Adresse;Weiterempfehlung;Begründung;Antwortdatum;"
        "Filiale;Sprache\n"
        "R1;K1;a@example.org;9;Alles bestens;31.12.2025 14:05;Kiel;de\n"
        "R2;K2;b@example.org;3;Zu lange gewartet;30.12.2025 14:05;Kiel;de\n",
        {
            "external_id": "Antwort-ID",
            "customer.id": "Kundennummer",
            "customer.email": "E-Mail-Adresse",
            "score": "Weiterempfehlung",
            "metric": "always nps",
            "comment": "Begründung",
            "answered_at": "Antwortdatum",
            "language": "Sprache",
        },
    ),
    "danish": (
        "Svar-ID;Kundenummer;Navn;Tilfredshed;Kommentar;Dato\n"
        "1;K1;Søren Ærø;5;Rigtig god service;31-12-2025\n"
        "2;K2;Åse Bøg;2;Ventede alt for længe;30-12-2025\n",
        {
            "external_id": "Svar-ID",
            "customer.id": "Kundenummer",
            "customer.name": "Navn",
            "score": "Tilfredshed",
            "metric": "always csat",
            "comment": "Kommentar",
            "answered_at": "Dato",
        },
    ),
    "polish": (
        "ID odpowiedzi;Numer klienta;Imię i nazwisko;NPS;Komentarz;Data odpowiedzi;Produkt\n"
        "1;K1;Jan Łoś;10;Bardzo dobrze;2025-12-31;Abonament\n"
        "2;K2;Ewa Żak;0;Za długo czekałam;2025-12-30;Abonament\n",
        {
            "external_id": "ID odpowiedzi",
            "customer.id": "Numer klienta",
            "customer.name": "Imię i nazwisko",
            "score": "NPS",
            "metric": "always nps",
            "comment": "Komentarz",
            "answered_at": "Data odpowiedzi",
            "product": "Produkt",
        },
    ),
    "czech": (
        "ID odpovědi;Číslo zákazníka;Spokojenost;Komentář;Datum odpovědi;Kanál\n"
        "1;K1;5;Děkuji za pomoc;31.12.2025;web\n"
        "2;K2;1;Čekal jsem příliš dlouho;30.12.2025;web\n",
        {
            "external_id": "ID odpovědi",
            "customer.id": "Číslo zákazníka",
            "score": "Spokojenost",
            "metric": "always csat",
            "comment": "Komentář",
            "answered_at": "Datum odpovědi",
            "channel": "Kanál",
        },
    ),
    "russian": (
        "ID ответа;ID клиента;Телефон;Готовность рекомендовать;Комментарий;Дата ответа\n"
        "1;К1;+7 000 000;9;Спасибо большое;31.12.2025\n"
        "2;К2;+7 000 001;3;Очень долго ждал;30.12.2025\n",
        {
            "external_id": "ID ответа",
            "customer.id": "ID клиента",
            "customer.phone": "Телефон",
            "score": "Готовность рекомендовать",
            "metric": "always nps",
            "comment": "Комментарий",
            "answered_at": "Дата ответа",
        },
    ),
    "french": (
        "Identifiant de la réponse;Numéro client;Nom complet;Recommanderiez-vous nos services ?;"
        "Commentaire;Date de réponse\n"
        "1;C1;Zoé Petit;9;Très bien;31/12/2025\n"
        "2;C2;Luc Noël;2;Bien trop long;30/12/2025\n",
        {
            "external_id": "Identifiant de la réponse",
            "customer.id": "Numéro client",
            "customer.name": "Nom complet",
            "score": "Recommanderiez-vous nos services ?",
            "metric": "always nps",
            "comment": "Commentaire",
            "answered_at": "Date de réponse",
        },
    ),
    "spanish": (
        "ID de respuesta;Número de cliente;Correo electrónico;¿Nos recomendaría?;Comentarios;"
        "Fecha de respuesta;Segmento\n"
        "1;C1;a@example.org;9;Todo muy bien;31/12/2025;Oro\n"
        "2;C2;b@example.org;1;Tardaron demasiado;30/12/2025;Oro\n",
        {
            "external_id": "ID de respuesta",
            "customer.id": "Número de cliente",
            "customer.email": "Correo electrónico",
            "score": "¿Nos recomendaría?",
            "metric": "always nps",
            "comment": "Comentarios",
            "answered_at": "Fecha de respuesta",
            "segment": "Segmento",
        },
    ),
    "effort": (
        "Response ID,How easy was it to solve your problem?,Comment\nA,7,Fine\nB,1,Hard\n",
        {
            "external_id": "Response ID",
            "score": "How easy was it to solve your problem?",
            "metric": "always ces",
            "comment": "Comment",
        },
    ),
    "answers in words": (
        "Response ID,How satisfied are you?,Comment\n"
        "A,Very satisfied,Fine\nB,Very dissatisfied,Hard\nC,Satisfied,\n",
        {
            "external_id": "Response ID",
            "score": "How satisfied are you?",
            "metric": "always csat",
            "comment": "Comment",
        },
    ),
    "labelled ends": (
        "Response ID,How likely are you to recommend us?\n"
        "A,10 - Extremely likely\nB,Not at all likely - 0\nC,7\n",
        {
            "external_id": "Response ID",
            "score": "How likely are you to recommend us?",
            "metric": "always nps",
        },
    ),
    "comments only": (
        "Review ID,Review,Date\n1,They never called me back,2026-01-31\n2,Great,2026-01-30\n",
        {
            "external_id": "Review ID",
            "comment": "Review",
            "answered_at": "Date",
            "measurement": "always unsolicited",
        },
    ),
    "a score is missing now and then": (
        "Response ID,NPS,Comment\nA,9,Fine\nB,,Call me please\nC,n/a,So so\n",
        {
            "external_id": "Response ID",
            "score": "NPS",
            "metric": "always nps",
            "comment": "Comment",
            "measurement": "always unsolicited",
        },
    ),
    "money and permissions": (
        "Response ID;NPS;Annual Value (EUR);May we contact you?\n"
        "A;9;1.234,50;yes\nB;2;12.000;no\n",
        {
            "external_id": "Response ID",
            "score": "NPS",
            "metric": "always nps",
            "customer.annual_value.amount": "Annual Value (EUR)",
            "customer.annual_value.currency": "always EUR",
            "customer.consent.follow_up": "May we contact you?",
        },
    ),
}


def guessed(folder: Path, text: str) -> Guesses:
    """Guess the columns of a file with this text."""
    path = folder / "export.csv"
    path.write_text(text, encoding="utf-8")
    return guess_columns(open_sheet(path))


def documents(folder: Path, text: str) -> list[dict[str, Any]]:
    """Return what the guessed mapping makes of every row."""
    guesses = guessed(folder, text)
    sheet = open_sheet(folder / "export.csv")
    mapper = Mapper(Mapping.model_validate({"fields": guesses.fields}))
    return [mapper.document(sheet.cells(record)) for record in sheet.records()]


def the(guesses: Guesses, member: str) -> Guess:
    """Return the one guess for a member."""
    return next(one for one in guesses.taken if one.member == member)


@pytest.mark.parametrize("name", CASES)
def test_every_column_is_found(tmp_path: Path, name: str) -> None:
    """What is expected is taken, nothing else is, and nobody needs to be asked."""
    text, expected = CASES[name]
    guesses = guessed(tmp_path, text)
    found = {
        one.member: one.origin for one in reversed(guesses.taken) if one.rule.get("value", 1)
    }
    assert found == expected
    assert guesses.doubts == []


@pytest.mark.parametrize("name", CASES)
def test_every_row_becomes_a_document(tmp_path: Path, name: str) -> None:
    """The guessed mapping is one that can be used."""
    for document in documents(tmp_path, CASES[name][0]):
        assert document["external_id"]
        assert document.keys() & {"score", "comment"}


def test_values_are_converted(tmp_path: Path) -> None:
    """Words, labels, thousands and half days become what the API takes."""
    words = documents(tmp_path, CASES["answers in words"][0])
    assert [one["score"] for one in words] == [5, 1, 4]
    labels = documents(tmp_path, CASES["labelled ends"][0])
    assert [one["score"] for one in labels] == [10, 0, 7]
    customers = [
        one["customer"] for one in documents(tmp_path, CASES["money and permissions"][0])
    ]
    assert [one["annual_value"] for one in customers] == [
        {"amount": 1234.5, "currency": "EUR"},
        {"amount": 12000, "currency": "EUR"},
    ]
    assert [one["consent"]["follow_up"] for one in customers] == [True, False]
    moments = documents(tmp_path, CASES["surveymonkey"][0])
    assert moments[1]["answered_at"] == "2026-02-01T13:02:00Z"
    gaps = documents(tmp_path, CASES["a score is missing now and then"][0])
    assert [one.get("measurement") for one in gaps] == [None, "unsolicited", "unsolicited"]


DOUBTS: dict[str, tuple[str, str]] = {
    "day or month": ("Response ID,NPS,Date\nA,9,03/04/2026\nB,2,05/06/2026\n", "answered_at"),
    "both orders": ("Response ID,NPS,Date\nA,9,31/12/2025\nB,2,12/31/2025\n", "answered_at"),
    "no dates at all": ("Response ID,NPS,Date\nA,9,spring\nB,2,autumn\n", "answered_at"),
    "ids that repeat": ("Response ID,NPS\nA,9\nA,2\nB,3\n", "external_id"),
    "another scale": ("Response ID,CSAT\nA,9\nB,2\n", "score"),
    "a scale too short": ("Response ID,Score\nA,3\nB,2\n", "score"),
    "two of a kind": ("Response ID,Score,Rating\nA,9,9\nB,2,2\n", "score"),
    "recommending from 1 to 5": (
        "Response ID,NPS\n" + "".join(f"R{n},{n % 5 + 1}\n" for n in range(40)),
        "score",
    ),
}


@pytest.mark.parametrize("name", DOUBTS)
def test_what_is_decisive_and_uncertain_is_a_doubt(tmp_path: Path, name: str) -> None:
    """Nobody's history is shifted by a month, or turned upside down, by a guess."""
    text, member = DOUBTS[name]
    assert member in {one.member for one in guessed(tmp_path, text).doubts}


DATES: dict[str, tuple[list[str], list[str]]] = {
    "one date at the end proves the order": (
        ["03/04/2026", "05/06/2026", "31/12/2025"],
        ["2026-04-03T12:00:00Z", "2026-06-05T12:00:00Z", "2025-12-31T12:00:00Z"],
    ),
    "the month first": (["03/04/2026", "12/31/2025"], ["2026-03-04T12:00:00Z", "2025-12-31T12:00:00Z"]),
    "dots are day first": (["03.04.2026 07:30"], ["2026-04-03T07:30:00Z"]),
    "years of two digits": (["03.04.26", "4.4.26"], ["2026-04-03T12:00:00Z", "2026-04-04T12:00:00Z"]),
    "half days": (["1/31/2026 1:05 PM", "1/31/2026 12:00 AM"], ["2026-01-31T13:05:00Z", "2026-01-31T00:00:00Z"]),
    "a spreadsheet's number": (["45000.5", "45001"], ["2023-03-15T12:00:00Z", "2023-03-16T12:00:00Z"]),
    "seconds": (["1767607200"], ["2026-01-05T10:00:00Z"]),
    "milliseconds": (["1767607200000"], ["2026-01-05T10:00:00Z"]),
    "names of months": (["5 Jan 2026", "06 Feb 2026"], ["2026-01-05T12:00:00Z", "2026-02-06T12:00:00Z"]),
    "American names": (["Jan 5, 2026", "Feb 6, 2026"], ["2026-01-05T12:00:00Z", "2026-02-06T12:00:00Z"]),
    "offsets": (["2026-01-05T10:00:00+02:00"], ["2026-01-05T08:00:00Z"]),
    "fractions": (["2026-01-05T10:00:00.123Z"], ["2026-01-05T10:00:00.123000Z"]),
    "several ways at once": (["2026-01-05", "05.01.2026 10:00"], ["2026-01-05T12:00:00Z", "2026-01-05T10:00:00Z"]),
    "digits only": (["20260105"], ["2026-01-05T12:00:00Z"]),
}  # fmt: skip


@pytest.mark.parametrize("name", DATES)
def test_dates_are_read_as_the_whole_column_says(tmp_path: Path, name: str) -> None:
    """The order, the hours and the years come from the column, not from a country's habit."""
    given, expected = DATES[name]
    rows = "".join(f'R{n},{n},"{text}"\n' for n, text in enumerate(given))
    text = f"Response ID,NPS,Date\n{rows}"
    assert guessed(tmp_path, text).doubts == []
    assert [one["answered_at"] for one in documents(tmp_path, text)] == expected


def test_the_last_row_of_a_long_file_decides_the_order(tmp_path: Path) -> None:
    """The proof may stand far behind what was sampled."""
    rows = "".join(f"R{n},{n % 11},0{n % 9 + 1}/0{n % 7 + 1}/2026\n" for n in range(6_000))
    text = f"Response ID,NPS,Date\n{rows}"
    assert the(guessed(tmp_path, text), "answered_at").confidence == "low"
    first = the(guessed(tmp_path, f"{text}Z,9,28/02/2026\n"), "answered_at")
    assert (first.confidence, first.rule["formats"]) == ("high", ["%d/%m/%Y"])


def test_a_row_without_an_id_gets_one_of_its_own(tmp_path: Path) -> None:
    """The same row has the same id again, also where the columns stand in another order."""
    text = "NPS,Comment\n9,Fine\n2,Slow\n9,Fine\n"
    other = "Comment,NPS\nFine,9\n"
    first, second, third = (one["external_id"] for one in documents(tmp_path, text))
    assert first == third != second
    assert documents(tmp_path, other)[0]["external_id"] == first


def test_our_own_names_need_no_guessing(tmp_path: Path) -> None:
    """A file with the members of a posted response is taken as it is, unknown ones too."""
    text = (
        "external_id,score,comment,customer.id,shop,answered_at\nA,9,Hi,007,Odense,2026-01-05\n"
    )
    assert documents(tmp_path, text) == [
        {
            "external_id": "A",
            "score": 9,
            "comment": "Hi",
            "customer": {"id": "007"},
            "shop": "Odense",
            "answered_at": "2026-01-05T12:00:00Z",
        }
    ]


def test_what_is_only_vaguely_named_is_suggested_not_taken(tmp_path: Path) -> None:
    """A department is no touchpoint unless somebody says so."""
    guesses = guessed(tmp_path, "Response ID,NPS,Department\nA,9,Sales\nB,2,Sales\n")
    assert [one.member for one in guesses.suggested] == ["touchpoint"]
    assert "touchpoint" not in guesses.fields


def test_what_identifies_a_computer_is_not_taken(tmp_path: Path) -> None:
    """Addresses and places of devices stay where they are unless they are asked for."""
    guesses = guessed(tmp_path, CASES["qualtrics"][0])
    assert {"IPAddress", "LocationLatitude"} <= set(guesses.unused)


def test_a_file_without_headings_is_not_guessed_at(tmp_path: Path) -> None:
    """Its first answer would be lost, and the rest be named after it."""
    with pytest.raises(Invalid, match="no row of column names"):
        guessed(tmp_path, "a@example.org,9,Fine\nb@example.org,2,Slow\n")
