"""What the invented customers say: sentences per subject, tone and language, all our own."""

from __future__ import annotations

from typing import Literal

Tone = Literal["bad", "good"]
Language = Literal["en", "de", "pl", "da", "cs"]

LANGUAGES: tuple[Language, ...] = ("en", "de", "pl", "da", "cs")

VOICES: dict[tuple[str, Tone], dict[Language, tuple[str, ...]]] = {
    ("late", "bad"): {
        "en": (
            "The parcel came two days late and nobody told me.",
            "Third late delivery this autumn. I stayed at home for nothing.",
            "Promised for Tuesday, delivered on Friday.",
            "The courier was four hours late and then said I was not at home.",
        ),
        "de": (
            "Das Paket kam zwei Tage zu spät, ohne jede Nachricht.",
            "Schon wieder eine verspätete Lieferung. Ich habe umsonst gewartet.",
            "Liefertermin Dienstag versprochen, am Freitag geliefert.",
        ),
        "pl": (
            "Przesyłka przyszła dwa dni za późno i nikt mnie nie uprzedził.",
            "Kolejna spóźniona dostawa, cały dzień czekałem w domu.",
            "Kurier spóźnił się cztery godziny.",
        ),
        "da": (
            "Pakken kom to dage for sent, og ingen gav besked.",
            "Endnu en forsinket levering. Jeg ventede hele dagen.",
            "Budet kom fire timer for sent.",
        ),
        "cs": (
            "Zásilka přišla o dva dny později a nikdo mi nic neřekl.",
            "Další opožděné doručení, celý den jsem čekal doma.",
            "Kurýr měl čtyři hodiny zpoždění.",
        ),
    },
    ("late", "good"): {
        "en": ("Delivered exactly on time, thank you.", "The courier came within the hour."),
        "de": (
            "Pünktlich geliefert, danke.",
            "Die Lieferung kam genau zur angekündigten Zeit.",
        ),
        "pl": ("Dostawa punktualnie co do minuty.", "Kurier przyjechał na czas, dziękuję."),
        "da": ("Leveret præcis til tiden, tak.", "Budet kom til tiden og var venligt."),
        "cs": ("Doručeno přesně na čas, děkuji.", "Kurýr přijel včas."),
    },
    ("waiting", "bad"): {
        "en": (
            "Waited forty minutes on the phone, then the line was cut.",
            "Half an hour of music before anybody answered.",
            "I waited and waited. Nobody picked up.",
        ),
        "de": (
            "Vierzig Minuten in der Warteschleife, dann wurde aufgelegt.",
            "Eine halbe Stunde gewartet, bis jemand ans Telefon ging.",
            "Die Wartezeit am Telefon ist eine Zumutung.",
        ),
        "pl": (
            "Czekałam czterdzieści minut na infolinii i rozłączyło.",
            "Pół godziny czekania, zanim ktoś odebrał.",
            "Czas oczekiwania na połączenie jest za długi.",
        ),
        "da": (
            "Jeg ventede fyrre minutter i telefonen, så blev jeg afbrudt.",
            "En halv time i kø, før nogen svarede.",
            "Ventetiden på telefonen er alt for lang.",
        ),
        "cs": (
            "Čekala jsem čtyřicet minut na lince a pak to spadlo.",
            "Půl hodiny čekání, než to někdo zvedl.",
            "Čekací doba na telefonu je příliš dlouhá.",
        ),
    },
    ("waiting", "good"): {
        "en": ("No waiting at all, answered at once.", "Picked up after two rings. Wonderful."),
        "de": ("Keine Wartezeit, sofort jemand am Telefon.", "Sehr schnell drangekommen."),
        "pl": ("Bez czekania, ktoś odebrał od razu.", "Szybko odebrali telefon."),
        "da": ("Ingen ventetid, svarede med det samme.", "Kom hurtigt igennem på telefonen."),
        "cs": ("Žádné čekání, zvedli to hned.", "Rychle jsem se dovolal."),
    },
    ("staff", "bad"): {
        "en": (
            "The agent was rude and interrupted me.",
            "Third time I explain the same and nobody listens.",
        ),
        "de": (
            "Der Mitarbeiter war unfreundlich und fiel mir ins Wort.",
            "Zum dritten Mal erklärt, niemand hört zu.",
        ),
        "pl": (
            "Konsultant był niemiły i przerywał mi.",
            "Trzeci raz tłumaczę to samo, nikt nie słucha.",
        ),
        "da": (
            "Medarbejderen var uhøflig og afbrød mig.",
            "Tredje gang jeg forklarer det samme, ingen lytter.",
        ),
        "cs": (
            "Pracovník byl nepříjemný a skákal mi do řeči.",
            "Potřetí vysvětluji totéž a nikdo neposlouchá.",
        ),
    },
    ("staff", "good"): {
        "en": (
            "Maria was friendly and patient, she solved it in five minutes.",
            "Very helpful and kind staff.",
        ),
        "de": (
            "Sehr freundlich und geduldig, in fünf Minuten gelöst.",
            "Kompetente und nette Beratung.",
        ),
        "pl": (
            "Bardzo miła i cierpliwa obsługa.",
            "Pani była uprzejma i pomogła w pięć minut.",
        ),
        "da": ("Meget venlig og hjælpsom medarbejder.", "Venlig, tålmodig og kompetent."),
        "cs": ("Velmi milá a ochotná obsluha.", "Paní byla trpělivá a hned pomohla."),
    },
    ("damaged", "bad"): {
        "en": ("The box was crushed and the lamp inside broken.", "Wrong item in the parcel."),
        "de": ("Der Karton war zerdrückt, die Lampe kaputt.", "Falscher Artikel geliefert."),
        "pl": ("Pudełko zgniecione, lampa w środku uszkodzona.", "Przysłano zły towar."),
        "da": ("Kassen var mast, og lampen var ødelagt.", "Forkert vare i pakken."),
        "cs": ("Krabice byla rozmačkaná a lampa rozbitá.", "V balíku bylo špatné zboží."),
    },
    ("damaged", "good"): {
        "en": ("Everything arrived in perfect condition.",),
        "de": ("Alles kam in einwandfreiem Zustand an.",),
        "pl": ("Wszystko dotarło w idealnym stanie.",),
        "da": ("Alt kom frem i perfekt stand.",),
        "cs": ("Všechno dorazilo v naprostém pořádku.",),
    },
    ("invoice", "bad"): {
        "en": ("The invoice shows a fee nobody mentioned.", "Charged twice for one order."),
        "de": ("Auf der Rechnung steht eine Gebühr, von der niemand sprach.",),
        "pl": ("Na fakturze jest opłata, o której nikt nie mówił.", "Naliczono mi dwa razy."),
        "da": ("Der er et gebyr på fakturaen, som ingen nævnte.",),
        "cs": ("Na faktuře je poplatek, o kterém nikdo nemluvil.",),
    },
    ("invoice", "good"): {
        "en": ("The invoice is clear and correct.",),
        "de": ("Die Rechnung ist klar und stimmt.",),
        "pl": ("Faktura jest jasna i poprawna.",),
        "da": ("Fakturaen er klar og korrekt.",),
        "cs": ("Faktura je srozumitelná a správná.",),
    },
    ("website", "bad"): {
        "en": (
            "The website crashed twice at checkout.",
            "I cannot log in to the app any more.",
        ),
        "de": (
            "Die Webseite stürzte beim Bezahlen zweimal ab.",
            "Die App lässt mich nicht rein.",
        ),
        "pl": (
            "Strona internetowa zawiesiła się przy płatności.",
            "Nie mogę zalogować się w aplikacji.",
        ),
        "da": ("Hjemmesiden gik ned to gange ved betaling.", "Jeg kan ikke logge ind i appen."),
        "cs": ("Web při placení dvakrát spadl.", "Do aplikace se nemohu přihlásit."),
    },
    ("website", "good"): {
        "en": ("Ordering on the website is quick and simple.",),
        "de": ("Bestellen auf der Webseite geht schnell und einfach.",),
        "pl": ("Zamawianie na stronie jest szybkie i proste.",),
        "da": ("Det er hurtigt og nemt at bestille på hjemmesiden.",),
        "cs": ("Objednávání na webu je rychlé a jednoduché.",),
    },
}

PLAIN: dict[Tone, dict[Language, tuple[str, ...]]] = {
    "good": {
        "en": ("All good.", "Happy customer for years.", "I recommend you to everyone."),
        "de": ("Alles bestens.", "Gerne wieder.", "Ich empfehle Sie weiter."),
        "pl": ("Wszystko w porządku.", "Polecam znajomym."),
        "da": ("Alt er fint.", "Jeg anbefaler jer gerne."),
        "cs": ("Vše v pořádku.", "Doporučuji."),
    },
    "bad": {
        "en": ("Disappointed.", "Not again."),
        "de": ("Enttäuschend.", "Nie wieder."),
        "pl": ("Jestem rozczarowany.",),
        "da": ("Skuffende.",),
        "cs": ("Zklamání.",),
    },
}

NAMES: dict[Language, tuple[str, ...]] = {
    "en": ("Alice Hart", "Tom Ashby", "Priya Nair", "Owen Clarke", "Grace Doyle"),
    "de": ("Jon Weber", "Lena Vogt", "Markus Brandt", "Heike Sommer", "Emre Kaya"),
    "pl": ("Anna Nowicka", "Piotr Zając", "Ewa Lis", "Marek Wilk"),
    "da": ("Maja Lund", "Søren Holm", "Freja Dahl", "Ole Kjær"),
    "cs": ("Jana Malá", "Petr Dvořák", "Eva Horáková", "Tomáš Beran"),
}
