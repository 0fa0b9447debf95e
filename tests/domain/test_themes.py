"""The taxonomy, the classifier, the shipped themes and the stream of lines."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.loop.themes.domain import (
    BadLine,
    Classifier,
    Mention,
    Taxonomy,
    Theme,
    classify_lines,
    lines,
    matching,
    parse_taxonomy,
    starter_taxonomy,
)
from shared.errors import Invalid

CASES = [
    json.loads(line)
    for line in (Path(__file__).parent / "theme_cases.jsonl")
    .read_text(encoding="utf-8")
    .splitlines()
]
STARTER = Classifier(starter_taxonomy())


def theme(
    id_: str,
    keywords: dict[str, list[str]] | list[str] | None = None,
    exclude: dict[str, list[str]] | list[str] | None = None,
) -> dict[str, object]:
    """Describe a theme as JSON has it; a plain list is English."""
    return {
        "id": id_,
        "keywords": {"en": keywords} if isinstance(keywords, list) else keywords,
        "exclude": {"en": exclude} if isinstance(exclude, list) else exclude,
    }


def classifier(*themes: dict[str, object], most: int | None = None) -> Classifier:
    return Classifier(parse_taxonomy({"themes": list(themes), "max_themes": most}))


def found(made: Classifier, text: str, language: str | None = "en") -> dict[str, str]:
    """Return what was found: theme to the very words that decided."""
    return {
        mention.theme_id: text[slice(*mention.evidence)] if mention.evidence else ""
        for mention in made.classify(text, language)
    }


class TestStarterTaxonomy:
    @pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['lang']}: {case['text']}")
    @pytest.mark.parametrize("told", [True, False], ids=["told", "untold"])
    def test_it_understands_customers(self, case: dict[str, Any], told: bool) -> None:
        got = found(STARTER, case["text"], case["lang"] if told else None)

        assert sorted(got) == case["themes"]

    def test_every_theme_speaks_six_languages_and_has_a_name_in_each(self) -> None:
        languages = {"en", "de", "pl", "da", "cs", "ru"}
        for shipped in starter_taxonomy().themes:
            assert set(shipped.keywords) == languages, shipped.id
            assert {"en", *shipped.names} == languages, shipped.id
            assert all(shipped.keywords.values()), shipped.id
            assert shipped.need is not None, shipped.id

    def test_waiting_is_one_theme_in_danish_german_and_polish(self) -> None:
        for text, language in (
            ("Ventetiden var for lang", "da"),
            ("Die Wartezeit ist zu lang", "de"),
            ("Czas oczekiwania za długi", "pl"),
        ):
            assert list(found(STARTER, text, language)) == ["waiting"]


class TestClassifying:
    def test_every_form_of_a_keyword_counts_and_the_words_are_shown(self) -> None:
        made = classifier(theme("waiting", ["wait"]))

        assert found(made, "WE WAITED!") == {"waiting": "WAITED"}

    def test_a_phrase_must_stand_together(self) -> None:
        made = classifier(theme("phone", ["answer the phone"]))

        assert found(made, "They answered my phone") == {"phone": "answered my phone"}
        assert found(made, "They answered phone") == {"phone": "answered phone"}
        assert found(made, "The phone had no answer") == {}
        assert found(made, "I answered. Phone was dead") == {}
        assert found(made, "answer") == {}
        assert found(made, "to answer the") == {}
        assert found(made, "answer the very phone") == {}

    def test_a_phrase_is_found_whichever_word_it_is_filed_under(self) -> None:
        made = classifier(theme("a", ["on the extraordinary list"]))

        assert found(made, "put on the extraordinary list") == {
            "a": "on the extraordinary list"
        }
        assert found(made, "extraordinary list") == {}

    def test_a_phrase_given_with_a_full_stop_may_cross_one(self) -> None:
        made = classifier(theme("a", ["dept. store"]))

        assert found(made, "the dept. store") == {"a": "dept. store"}

    def test_a_phrase_of_small_words_is_taken_as_it_stands(self) -> None:
        made = classifier(theme("a", ["too long"]))

        assert found(made, "It took too long") == {"a": "too long"}
        assert found(made, "a long day") == {}

    @pytest.mark.parametrize("text", ["check in", "Check-In", "checkin", "check\u2011in"])
    def test_hyphens_do_not_matter(self, text: str) -> None:
        assert found(classifier(theme("a", ["check-in"])), text) == {"a": text}
        if "-" in text:
            assert found(classifier(theme("a", ["checkin"])), text) == {"a": text}

    def test_other_hyphened_words_are_left_alone(self) -> None:
        assert found(classifier(theme("a", ["check in"])), "a well-known check - in") == {
            "a": "check - in"
        }
        assert found(classifier(theme("a", ["check in"])), "well-known") == {}
        assert found(classifier(theme("a", ["checkin desk"])), "check-in desk") == {}

    def test_in_quotes_a_word_is_meant_as_it_stands(self) -> None:
        made = classifier(theme("kind", ['"caring"']))

        assert found(made, "A caring nurse") == {"kind": "caring"}
        assert found(made, "Good care") == {}

    def test_signs_are_words_too(self) -> None:
        made = classifier(theme("price", {"*": ["€", "👎"]}))

        assert found(made, "cost me 10€", "fi") == {"price": "€"}
        assert found(made, "👎🏽", None) == {"price": "👎"}

    def test_negation_leaves_the_topic(self) -> None:
        assert found(STARTER, "No waiting at all!") == {"waiting": "No waiting"}
        assert found(STARTER, "Keine Wartezeit", "de") == {"waiting": "Wartezeit"}

    @pytest.mark.parametrize(
        ("text", "language"),
        [
            ("Kundenberaterin war da", "de"),
            ("Beraterteam war da", "de"),
            ("Kunden-Berater war da", "de"),
        ],
    )
    def test_a_compound_is_known_by_its_parts(self, text: str, language: str) -> None:
        made = classifier(theme("staff", {"de": ["Berater", "Kundenberater"]}))

        assert list(found(made, text, language)) == ["staff"]

    def test_a_derived_word_is_no_compound(self) -> None:
        made = classifier(theme("staff", {"de": ["Freund", "an der Kasse"]}))

        assert found(made, "Freundschaft", "de") == {}
        assert found(made, "Ladenkasse", "de") == {}
        assert found(classifier(theme("a", {"de": ["Antwort"]})), "verantwortlich", "de") == {}

    @pytest.mark.parametrize(
        ("language", "keyword", "text", "evidence"),
        [
            ("de", "putzen", "Hier wird täglich geputzt", "geputzt"),
            ("de", "abholen", "Niemand hat es abgeholt", "abgeholt"),
            ("de", "abholen", "Es war nicht abzuholen", "abzuholen"),
            ("de", "Schimmel", "In der Ecke schimmelt es", "schimmelt"),
            ("de", "Preis", "Seit der Preissenkung", "Preissenkung"),
            ("da", "hold", "Yogaholdet er skønt", "Yogaholdet"),
            ("cs", "parkovat", "Zaparkovat se tu nedá", "Zaparkovat"),
            ("pl", "pracownik", "Pracownicy są mili", "Pracownicy"),
            ("ru", "дорогой", "Дорого", "Дорого"),
            ("ru", "доставка", "Доставили вовремя", "Доставили"),
        ],
    )
    def test_a_word_is_known_in_forms_that_its_stem_hides(
        self, language: str, keyword: str, text: str, evidence: str
    ) -> None:
        made = classifier(theme("a", {language: [keyword]}))

        assert found(made, text, language) == {"a": evidence}

    @pytest.mark.parametrize(
        ("language", "keyword", "text"),
        [
            ("en", "experience", "an experienced nurse"),
            ("en", "wait", "the waiter"),
            ("de", "sprechen", "sie versprechen viel"),
            ("da", "vente", "som jeg forventede"),
            ("da", "ringe", "ændringen"),
            ("pl", "dostawa", "Dostałam list"),
            ("cs", "čekat", "v čekárně"),
            ("de", "Bahn", "Bahamas"),
        ],
    )
    def test_a_word_that_only_begins_or_ends_alike_is_another(
        self, language: str, keyword: str, text: str
    ) -> None:
        assert found(classifier(theme("a", {language: [keyword]})), text, language) == {}

    def test_the_keyword_that_decided_is_named_as_it_is_listed(self) -> None:
        made = classifier(theme("a", ["Waiting room", "price"]))

        assert [one.by for one in made.classify("prices in the waiting rooms", "en")] == [
            "Waiting room"
        ]

    def test_accents_may_be_missing(self) -> None:
        made = classifier(theme("waiting", {"cs": ["čekání"]}))

        assert found(made, "dlouhe cekani", "cs") == {"waiting": "cekani"}

    def test_evidence_counts_code_points_of_the_text_as_given(self) -> None:
        made = classifier(theme("waiting", ["wait"]))
        text = "İ😀e\u0301 waited"

        assert made.classify(text, "en")[0].evidence == (5, 11)

    def test_the_surest_comes_first_and_then_the_id(self) -> None:
        made = classifier(theme("b", ["refund"]), theme("a", ["parcel"]), theme("c", ["time"]))

        mentions = made.classify("time refund parcel", "en")

        assert [mention.theme_id for mention in mentions] == ["a", "b", "c"]

    def test_more_witnesses_make_surer_but_repeating_does_not(self) -> None:
        made = classifier(theme("a", ["refund", "invoice", "refund invoice"]))
        once, twice, both, phrase = (
            made.classify(text, "en")[0].score
            for text in ("refund", "refund refund", "refund and the invoice", "refund invoice")
        )

        assert once == twice
        assert once < phrase < both

    def test_a_word_of_several_themes_says_less(self) -> None:
        made = classifier(
            theme("a", ["card"]), theme("b", ["card"]), theme("c", ["card arrival"]), most=1
        )

        assert found(made, "card arrival") == {"c": "card arrival"}
        assert len(made.classify("my card", "en")) == 1

    @pytest.mark.parametrize(
        "text", ["", " ", "?!…", "\U0001f600" * 50, "\x00\ud800", "-", "a-"]
    )
    def test_nothing_said_is_no_theme(self, text: str) -> None:
        assert STARTER.classify(text, None) == []

    def test_a_very_long_text_is_no_trouble(self) -> None:
        text = ("ждали waiting Wartezeit, čekání. " * 400)[:10_000]

        assert [mention.theme_id for mention in STARTER.classify(text)] == ["waiting"]

    def test_a_taxonomy_without_anything_finds_nothing(self) -> None:
        assert Classifier(Taxonomy()).classify("We waited", "en") == []
        assert classifier(theme("a")).classify("We waited", None) == []

    def test_words_are_forgotten_and_found_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(matching, "_REMEMBERED", 2)
        made = classifier(theme("waiting", ["wait"]))

        for _ in range(3):
            assert found(made, "one two three we waited") == {"waiting": "waited"}


class TestLanguages:
    MADE = classifier(
        theme("waiting", {"en": ["wait"], "de": ["warten"]}),
        theme("brand", {"en": ["Velocity"]}),
        theme("gift", {"en": ["gift"], "de": ["Geschenk"]}),
    )

    def test_a_language_that_was_told_decides(self) -> None:
        assert found(self.MADE, "Gift", "de") == {}
        assert found(self.MADE, "Gift", "en-GB") == {"gift": "Gift"}

    def test_without_one_all_words_count(self) -> None:
        assert found(self.MADE, "wait, warten", None) == {"waiting": "wait"}

    def test_without_one_a_clear_text_is_read_in_its_own(self) -> None:
        assert found(self.MADE, "das ist nicht das Gift", None) == {}

    def test_one_that_the_taxonomy_lacks_means_all_its_words(self) -> None:
        assert found(self.MADE, "warten", "nl") == {"waiting": "warten"}

    def test_a_theme_without_words_in_it_listens_with_those_it_has(self) -> None:
        assert found(self.MADE, "Die Velocity Karte", "de") == {"brand": "Velocity"}

    def test_the_form_may_have_told_the_wrong_one(self) -> None:
        assert found(self.MADE, "wir mussten sehr lange warten", "en") == {"waiting": "warten"}
        assert found(self.MADE, "it was all for the best", "en") == {}


class TestExclusions:
    MADE = classifier(
        theme("waiting", ["wait", "queue"], ["can't wait"]),
        theme("bank", ["bank"], ["river"]),
    )

    def test_one_that_lies_on_a_keyword_takes_that_one_away(self) -> None:
        assert found(self.MADE, "Can’t wait for more") == {}
        assert found(self.MADE, "can't wait, though the queue is long") == {"waiting": "queue"}

    def test_one_that_stands_apart_takes_its_sentence_away(self) -> None:
        assert found(self.MADE, "a bank by the river") == {}
        assert found(self.MADE, "The river is lovely. The bank was closed.") == {"bank": "bank"}

    def test_one_alone_means_nothing(self) -> None:
        assert found(self.MADE, "the river") == {}


class TestReading:
    def test_any_part_may_be_empty_and_unknown_members_are_ignored(self) -> None:
        read = parse_taxonomy(
            {
                "version": 1,
                "max_themes": 1,
                "colour": "red",
                "themes": [
                    {"id": " a ", "name": "", "department": "", "parent": None, "icon": 7},
                    {
                        "id": "b",
                        "name": "Bills",
                        "names": {"de-AT": " Rechnung ", "da": 3},
                        "department": "finance",
                        "parent": "a",
                        "keywords": {
                            "de-AT": ["Preis"],
                            "de": ["preis", "Preis", " "],
                            "da": None,
                        },
                        "exclude": {"en": ["bill Smith"]},
                        "examples": {"en": ["The bill was wrong."]},
                    },
                ],
            }
        )

        assert read.max_themes == 1
        assert read.themes[0] == Theme(id="a", name="a")
        assert read.themes[1].keywords == {"de": ("Preis", "preis")}
        assert read.themes[1].name_in("de") == "Rechnung"
        assert read.themes[1].name_in("pl") == "Bills"
        assert read.themes[1].examples == {"en": ("The bill was wrong.",)}
        assert parse_taxonomy({}) == Taxonomy()

    def test_what_is_written_reads_back_the_same(self) -> None:
        for taxonomy in (
            starter_taxonomy(),
            Taxonomy(
                max_themes=1,
                themes=(
                    Theme(
                        id="a",
                        name="A",
                        department="d",
                        parent="top",
                        examples={"en": ("words",)},
                    ),
                ),
            ),
        ):
            written = json.loads(json.dumps(taxonomy.as_document()))
            assert parse_taxonomy(written) == taxonomy

    @pytest.mark.parametrize(
        ("document", "pointers"),
        [
            ([], [""]),
            ("secret", [""]),
            ({"version": 2}, ["/version"]),
            ({"version": True}, ["/version"]),
            ({"max_themes": 3}, ["/max_themes"]),
            ({"max_themes": True}, ["/max_themes"]),
            ({"themes": {}}, ["/themes"]),
            ({"themes": ["secret"]}, ["/themes/0"]),
            ({"themes": [{}]}, ["/themes/0/id"]),
            ({"themes": [{"id": " "}]}, ["/themes/0/id"]),
            ({"themes": [{"id": 7}]}, ["/themes/0/id"]),
            ({"themes": [{"id": "a" * 101}]}, ["/themes/0/id"]),
            ({"themes": [{"id": "a"}, {"id": "a"}]}, ["/themes/1/id"]),
            ({"themes": [{"id": "a", "parent": "a"}]}, ["/themes/0/parent"]),
            (
                {"themes": [{"id": "a", "parent": "b"}, {"id": "b", "parent": "a"}]},
                ["/themes/0/parent", "/themes/1/parent"],
            ),
            ({"themes": [{"id": "a", "keywords": ["x"]}]}, ["/themes/0/keywords"]),
            ({"themes": [{"id": "a", "keywords": {"en": "x"}}]}, ["/themes/0/keywords/en"]),
            ({"themes": [{"id": "a", "keywords": {"en": [7]}}]}, ["/themes/0/keywords/en/0"]),
            ({"themes": [{"id": "a", "exclude": {"en": ["?!"]}}]}, ["/themes/0/exclude/en"]),
            (
                {"themes": [{"id": "a", "keywords": {"e/n": ["x" * 201]}}]},
                ["/themes/0/keywords/e~1n/0"],
            ),
            ({"themes": [{"id": str(n)} for n in range(1_001)]}, ["/themes"]),
        ],
    )
    def test_every_finding_says_where_and_what_to_do(
        self, document: object, pointers: list[str]
    ) -> None:
        with pytest.raises(Invalid) as caught:
            parse_taxonomy(document)

        assert [finding.pointer for finding in caught.value.findings] == pointers
        assert all(finding.fix for finding in caught.value.findings)
        assert "secret" not in str([caught.value.findings, caught.value.detail])

    def test_a_parent_that_is_no_theme_is_a_heading(self) -> None:
        parse_taxonomy(
            {"themes": [{"id": "a", "parent": "heading"}, {"id": "b", "parent": "a"}]}
        )

    def test_a_circle_is_told_to_those_in_it_only(self) -> None:
        with pytest.raises(Invalid) as caught:
            parse_taxonomy(
                {
                    "themes": [
                        {"id": "a", "parent": "b"},
                        {"id": "b", "parent": "b"},
                    ]
                }
            )

        assert [finding.pointer for finding in caught.value.findings] == ["/themes/1/parent"]


class TestLines:
    TAXONOMY = parse_taxonomy({"themes": [theme("waiting", ["wait"])]})

    def run(self, *given_lines: str | bytes) -> tuple[list[object], list[BadLine]]:
        bad: list[BadLine] = []
        answers = [
            json.loads(line)
            for line in classify_lines(given_lines, self.TAXONOMY, report=bad.append)
        ]
        return answers, bad

    def test_every_line_is_answered_in_order(self) -> None:
        answers, bad = self.run(
            '\ufeff{"id": "b", "text": "We waited", "lang": "en"}\n',
            "\n",
            '{"id": 7, "text": null}',
            '{"id": "a", "text": "Hi", "lang": null, "more": []}',
        )

        assert answers == [
            {
                "id": "b",
                "themes": [{"id": "waiting", "score": 0.6, "evidence": [3, 9], "by": "wait"}],
            },
            {"id": 7, "themes": []},
            {"id": "a", "themes": []},
        ]
        assert bad == []

    def test_a_bad_line_is_named_by_its_number_and_costs_no_other(self) -> None:
        answers, bad = self.run(
            "secret",
            '["secret"]',
            '{"text": "secret"}',
            '{"id": true, "text": "secret"}',
            '{"id": "e"}',
            '{"id": "f", "text": 5}',
            '{"id": "g", "text": "secret", "lang": 5}',
            "[" * 100_000,
            '{"id": "i", "text": "we waited"}',
        )

        assert [line.number for line in bad] == [1, 2, 3, 4, 5, 6, 7, 8]
        assert len(answers) == 9
        assert all("error" in answer for answer in answers[:8])  # type: ignore[operator] # JSON
        assert "error" not in answers[8]  # type: ignore[operator]
        assert bad[0].sentence().startswith("line 1: not JSON")
        assert "secret" not in str(bad) + str(answers)

    def test_a_mention_without_a_span_is_written_without_one(self) -> None:
        assert lines._themed(Mention("a", 0.5, None)) == {"id": "a", "score": 0.5}

    def test_bytes_are_read_line_by_line(self) -> None:
        answers, bad = self.run(
            b'\xef\xbb\xbf{"id": 1, "text": "waited"}', b'{"id": 2, "text": "\xff"}'
        )

        assert [line.sentence() for line in bad] == [
            "line 2: not UTF-8; save the file in that encoding"
        ]
        assert len(answers) == 2

    def test_any_identifier_can_be_printed_anywhere(self) -> None:
        line = next(
            classify_lines(['{"id": "\\ud800ž", "text": ""}'], self.TAXONOMY, report=print)
        )

        assert line.isascii()


PIECES = (
    "We waited so long for the rude staff . The parcel was broken ! Wartezeit Rechnung "
    "czekać čekání kø очередь can't wait check-in İ 😀 \u0301 app price , not \n"
)
VERBATIMS = st.lists(st.sampled_from(PIECES.split(" ")), max_size=30).map(" ".join)


@given(
    st.one_of(VERBATIMS, st.text(max_size=200)), st.sampled_from([None, "en", "de", "ru", "xx"])
)
@settings(max_examples=200, deadline=None)
def test_evidence_is_a_span_of_the_text(text: str, language: str | None) -> None:
    mentions = STARTER.classify(text, language)

    assert mentions == sorted(mentions, key=lambda one: (-one.score, one.theme_id))
    assert len({mention.theme_id for mention in mentions}) == len(mentions)
    for mention in mentions:
        assert 0 < mention.score <= 1
        assert mention.evidence is not None
        start, end = mention.evidence
        assert 0 <= start < end <= len(text)
        assert text[start:end].strip() == text[start:end]


@given(st.lists(VERBATIMS, max_size=8), st.randoms())
@settings(max_examples=50, deadline=None)
def test_order_and_company_never_change_an_answer(texts: list[str], chance) -> None:
    expected = {text: Classifier(starter_sample()).classify(text) for text in texts[:2]}
    shuffled = list(texts)
    chance.shuffle(shuffled)
    made = Classifier(starter_sample())
    answers = {text: made.classify(text) for text in shuffled}

    for text, mentions in expected.items():
        assert answers[text] == mentions


def starter_sample() -> Taxonomy:
    return Taxonomy(themes=starter_taxonomy().themes[:2])


@given(VERBATIMS)
@settings(max_examples=100, deadline=None)
def test_capitals_and_wider_blanks_never_change_the_themes(text: str) -> None:
    expected = [(one.theme_id, one.score) for one in STARTER.classify(text, "en")]

    for other in (text.upper(), text.replace(" ", " \u00a0 ")):
        assert [(one.theme_id, one.score) for one in STARTER.classify(other, "en")] == expected


def test_one_classifier_serves_many_threads() -> None:
    texts = [case["text"] for case in CASES] * 5
    expected = [STARTER.classify(text) for text in texts]
    fresh = Classifier(starter_taxonomy())

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(fresh.classify, texts)) == expected
