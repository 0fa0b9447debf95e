"""Grouping what no theme covers: who is grouped with whom, and in which words."""

from __future__ import annotations

import random

import pytest

from services.loop.themes.domain.concepts import concepts
from services.loop.themes.domain.discovery import Cluster, Verbatim, discover

PARKING = [
    "No parking near the shop",
    "I drove around for parking, the car park was full",
    "Parking tickets are a rip off and the car park is tiny",
    "Where am I to leave my car? The car park is always full",
    "More parking spaces please, the car park is too small",
    "A car park with five spaces is no parking at all",
]
INVOICES = [
    "The invoice was wrong again",
    "My invoice had the wrong address on it, please send a new invoice",
    "I still wait for a corrected invoice, the amount is wrong",
    "Wrong amount on the invoice for the second month",
    "Nobody could explain the amount on my invoice",
    "Please put the order number on the invoice, the amount alone says nothing",
]


def verbatims(*topics: list[str], language: str | None = "en") -> list[Verbatim]:
    texts = [text for topic in topics for text in topic]
    return [Verbatim(f"r{place:04}", text, language) for place, text in enumerate(texts)]


class TestGroups:
    def test_each_topic_becomes_a_group_with_its_own_words(self) -> None:
        first, second = discover(verbatims(PARKING, INVOICES))

        assert {frozenset(first.members), frozenset(second.members)} == {
            frozenset(f"r{place:04}" for place in range(6)),
            frozenset(f"r{place:04}" for place in range(6, 12)),
        }
        labels = sorted([first.label, second.label])
        assert "invoice" in labels[0] or "invoice" in labels[1]
        assert "park" in first.label + second.label

    @pytest.mark.parametrize("shuffled", range(4))
    def test_the_order_of_the_comments_changes_nothing(self, shuffled: int) -> None:
        given = verbatims(PARKING, INVOICES)
        mixed = random.Random(shuffled).sample(given, len(given))

        assert discover(mixed) == discover(given)

    def test_equal_texts_stay_together(self) -> None:
        given = verbatims(["Parking awful"] * 7, INVOICES)

        (alone,) = [
            cluster.members for cluster in discover(given) if "r0000" in cluster.members
        ]

        assert alone == tuple(f"r{place:04}" for place in range(7))

    @pytest.mark.parametrize(
        "texts",
        [[], [""], ["", " ", "!"], ["the"] * 9, ["one"], ["one", "two"], ["12345"] * 9],
        ids=["none", "empty", "blank", "stop words", "one", "two", "numbers"],
    )
    def test_nothing_to_group_gives_no_group(self, texts: list[str]) -> None:
        assert list(discover(verbatims(texts))) == []


class TestWhatIsKnown:
    def test_what_is_known_and_what_is_like_it_is_in_no_group(self) -> None:
        known = verbatims(INVOICES[:4])
        new = [Verbatim(f"n{place}", text, "en") for place, text in enumerate(PARKING)]
        alike = [Verbatim(f"o{place}", text, "en") for place, text in enumerate(INVOICES)]

        (cluster,) = discover([*new, *alike], known=known)

        assert set(cluster.members) <= {verbatim.id for verbatim in new}
        assert len(cluster.members) >= 5

    def test_the_known_alone_are_no_discovery(self) -> None:
        assert list(discover([], known=verbatims(PARKING, INVOICES))) == []


class TestLanguages:
    def test_comments_of_several_languages_meet_in_what_they_mean(self) -> None:
        said_in = {
            "en": ["No parking anywhere near", "I could not park the car"],
            "de": ["Nirgends ein Parkplatz", "Das Parken kostet ein Vermögen"],
            "pl": ["Brak miejsc, parking pełny", "Nie można zaparkować"],
            "cs": ["Nedá se zaparkovat", "Parkoviště je plné"],
            "ru": ["Негде припарковаться", "Парковка была занята"],
        }
        wanted = {
            f"{language}{place}"
            for language, texts in said_in.items()
            for place, _ in enumerate(texts)
        }
        others = verbatims(INVOICES)
        parking = [
            Verbatim(f"{language}{place}", text, language)
            for language, texts in said_in.items()
            for place, text in enumerate(texts)
        ]

        meeting = max(
            (set(cluster.members) & wanted for cluster in discover([*parking, *others])),
            key=len,
        )

        assert len(meeting) >= 5
        assert len({member[:2] for member in meeting}) >= 4

    def test_a_short_text_is_in_the_language_of_those_around_it(self) -> None:
        texts = [*PARKING, "Parking spaces", "Car park"]

        (cluster,) = discover(verbatims(texts, language=None))

        assert list(cluster.keywords) == ["en"]


class TestConcepts:
    @pytest.mark.parametrize(
        ("text", "language"),
        [
            ("The queue was endless", "en"),
            ("Ewige Wartezeit", "de"),
            ("Lang ventetid", "da"),
            ("Długa kolejka", "pl"),
            ("Nekonečná fronta", "cs"),
            ("Čakanie bez konca", "sk"),
            ("Бесконечная очередь", "ru"),
        ],
    )
    def test_each_language_of_the_list_knows_a_concept(self, text: str, language: str) -> None:
        assert "waiting" in concepts(text, language)

    def test_a_language_that_is_not_on_the_list_has_none(self) -> None:
        assert concepts("La cola era interminable", "es") == {}


class TestWords:
    def test_what_was_covered_up_is_no_word_of_a_label(self) -> None:
        texts = [f"[name] parked badly [number] {word}" for word in "abcdefgh"]

        (cluster,) = discover(verbatims(texts))

        spoken = said(cluster)
        assert "name" not in spoken
        assert "number" not in spoken
        assert "parked" in spoken

    def test_a_word_that_fewer_than_three_wrote_is_never_shown(self) -> None:
        texts = [*PARKING, "Parking: Rumpelstilzchen", "car park Rumpelstilzchen"]

        for cluster in discover(verbatims(texts)):
            assert "rumpelstilzchen" not in said(cluster)

    def test_three_typical_comments_are_members(self) -> None:
        for cluster in discover(verbatims(PARKING, INVOICES)):
            assert len(set(cluster.typical)) == 3
            assert set(cluster.typical) <= set(cluster.members)


def said(cluster: Cluster) -> str:
    return " ".join(
        [cluster.label, *(word for words in cluster.keywords.values() for word in words)]
    )
