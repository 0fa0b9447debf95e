"""What the examples of a taxonomy add to its keywords."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.loop.themes.domain import Classifier, parse_taxonomy
from services.loop.themes.domain import examples as examples_module
from services.loop.themes.domain.examples import EXAMPLE
from services.loop.themes.domain.learning import Document, LinearModel

PARCEL = [
    "Where is my parcel?",
    "When will my package be here?",
    "My order has not been delivered yet",
    "The courier never came",
]
LOGIN = [
    "I cannot log in to my account",
    "I forgot my password",
    "The app says my password is wrong",
    "How do I sign in again?",
]
REFUND = [
    "I want my money back",
    "When will I be refunded?",
    "You charged me twice, return it",
    "My refund has not arrived",
]


def intents(**more: object) -> Classifier:
    themes = [
        {"id": "login", "name": "Log in", "examples": {"en": LOGIN}},
        {"id": "parcel", "name": "Where is it", "examples": {"en": PARCEL}},
        {"id": "refund", "name": "Refund", "examples": {"en": REFUND}, **more},
    ]
    return Classifier(parse_taxonomy({"max_themes": 1, "themes": themes}))


def aspects(*, examples: bool = True) -> Classifier:
    """Two themes whose keyword is also said in passing, and the examples that tell."""
    food = [
        "The soup was cold",
        "The soup was lovely",
        "Hot soup at last",
        "The soup was salty",
    ]
    staff = ["The waiter smiled", "Our waiter was rude", "The waiter came soon"]
    passing = [f"The waiter told us about the {what}" for what in ("house", "walls", "roof")]
    themes: list[dict[str, object]] = [
        {"id": "food", "keywords": {"en": ["soup"]}, "examples": {"en": food}},
        {"id": "house", "keywords": {"en": ["walls"]}, "examples": {"en": passing}},
        {"id": "staff", "keywords": {"en": ["waiter"], "de": ["Kellner"]}},
    ]
    themes[2]["examples"] = {"en": staff}
    for theme in themes:
        if not examples:
            del theme["examples"]
    return Classifier(parse_taxonomy({"themes": themes}))


class TestOneThemeAtMost:
    @pytest.mark.parametrize(
        ("text", "theme"),
        [
            ("has the courier got my packages", "parcel"),
            ("password forgotten", "login"),
            ("please return the money", "refund"),
        ],
    )
    def test_a_text_has_the_theme_it_sounds_most_like(self, text: str, theme: str) -> None:
        (mention,) = intents().classify(text, "en")

        assert (mention.theme_id, mention.by) == (theme, EXAMPLE)

    def test_the_evidence_is_the_words_that_told(self) -> None:
        text = "Hello, my password again"
        (mention,) = intents().classify(text, "en")

        assert mention.evidence is not None
        assert "password" in text[slice(*mention.evidence)]
        assert "Hello" not in text[slice(*mention.evidence)]

    def test_what_was_never_heard_is_no_theme(self) -> None:
        assert intents().classify("xyz", "en") == []
        assert intents().classify("", "en") == []
        assert intents().classify("", None) == []

    def test_a_keyword_is_named_where_it_decided(self) -> None:
        made = intents(keywords={"en": ["money"]})
        text = "please return the money"
        (mention,) = made.classify(text, "en")

        assert (mention.theme_id, mention.by) == ("refund", "money")
        assert text[slice(*mention.evidence or ())] == "money"

    def test_an_exclusion_bars_its_theme(self) -> None:
        text = "please return the money for the mortgage"
        made = intents(exclude={"en": ["mortgage"]})

        assert intents().classify(text, "en")[0].theme_id == "refund"
        assert "refund" not in [mention.theme_id for mention in made.classify(text, "en")]

    def test_names_and_keywords_alone_find_what_comes_close(self) -> None:
        made = Classifier(
            parse_taxonomy(
                {
                    "max_themes": 1,
                    "themes": [
                        {"id": "a", "name": "Card arrival", "keywords": {"en": ["new card"]}},
                        {"id": "b", "name": "Exchange rates", "keywords": {"en": ["rate of"]}},
                    ],
                }
            )
        )
        (mention,) = made.classify("the rates you exchange at", "en")

        assert (mention.theme_id, mention.by) == ("b", "Exchange rates")

    def test_a_text_in_no_language_we_know_is_compared_all_the_same(self) -> None:
        assert intents().classify("password", "xx")[0].theme_id == "login"
        assert intents().classify("password", None)[0].theme_id == "login"


class TestSeveralThemes:
    def test_examples_take_away_what_a_keyword_finds_in_passing(self) -> None:
        text = "The waiter told us about the house"

        def found(made: Classifier) -> list[str]:
            return [mention.theme_id for mention in made.classify(text, "en")]

        assert found(aspects(examples=False)) == ["staff"]
        assert "staff" not in found(aspects())

    def test_they_leave_alone_what_is_in_another_language(self) -> None:
        for language in ("de", None):
            (mention,) = aspects().classify("Der Kellner war nicht sehr nett zu mir", language)
            assert mention.by == "Kellner"

    def test_a_theme_that_only_examples_describe_is_found_by_them(self) -> None:
        made = Classifier(
            parse_taxonomy(
                {
                    "themes": [
                        {"id": "login", "examples": {"en": LOGIN}},
                        {"id": "parcel", "examples": {"en": PARCEL}},
                    ]
                }
            )
        )

        assert [one.theme_id for one in made.classify("Where is my parcel now?", "en")] == [
            "parcel"
        ]
        assert made.classify("Good morning", "en") == []

    def test_on_an_intent_they_decide_beside_the_keywords_of_others(self) -> None:
        document = {
            "themes": [
                {
                    "id": "login",
                    "intent": True,
                    "keywords": {"en": ["portal"]},
                    "examples": {"en": LOGIN},
                },
                {"id": "parcel", "keywords": {"en": ["parcel"]}, "examples": {"en": PARCEL}},
            ]
        }
        made = Classifier(parse_taxonomy(document))

        def found(text: str) -> list[str]:
            return [mention.theme_id for mention in made.classify(text, "en")]

        assert found("my password is forgotten, where is my parcel") == ["login", "parcel"]
        assert found("I cannot sign in") == ["login"]


class TestLearning:
    DOCUMENTS = (
        *(Document(text, frozenset({0}), 1.0) for text in LOGIN),
        *(Document(text, frozenset({1}), 1.0) for text in PARCEL),
        Document("parcel refund", frozenset({1, 2}), 0.8),
        *(Document(text, frozenset({2}), 1.0) for text in REFUND),
    )

    def test_leaving_one_out_is_what_learning_without_it_would_say(self) -> None:
        """The encoder is the same in both, so the one left out keeps its words only."""
        model = LinearModel(self.DOCUMENTS, 3, "en")
        for row in (0, 5, 8):
            vectors = np.zeros((len(self.DOCUMENTS), 5_000))
            for place, vector in enumerate(model.vectors):
                vectors[place, vector.terms] = vector.weights
            left = [place for place in range(len(self.DOCUMENTS)) if place != row]
            roots = np.sqrt([self.DOCUMENTS[place].weight for place in left])[:, None]
            seen = vectors[left] * roots
            shown = np.array(
                [[t in self.DOCUMENTS[place].themes for t in range(3)] for place in left], float
            )
            shares = np.linalg.solve(seen @ seen.T + np.eye(len(left)), shown * roots)

            assert model.left_out[row] == pytest.approx(vectors[row] @ seen.T @ shares)

    def test_more_than_can_be_held_is_cut_evenly(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(examples_module, "_MOST_DOCUMENTS", 9)

        assert intents().classify("the courier and my package", "en")[0].theme_id == "parcel"

    def test_who_has_no_examples_does_without_the_library(self) -> None:
        code = (
            "import sys\n"
            "from services.loop.themes.domain import Classifier, starter_taxonomy\n"
            "Classifier(starter_taxonomy()).classify('We waited')\n"
            "sys.exit('numpy' in sys.modules)"
        )

        ran = subprocess.run([sys.executable, "-c", code], check=False)  # noqa: S603  # our own

        assert ran.returncode == 0


WORDS = ["my", "the", "parcel", "password", "money", "courier", "İ", "😀", "mortgage", "!", "."]


@given(
    st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join), st.sampled_from([None, "en"])
)
@settings(max_examples=100, deadline=None)
def test_evidence_is_a_span_of_the_text_and_answers_repeat(
    text: str, language: str | None
) -> None:
    for made in (MADE_OF_INTENTS, MADE_OF_ASPECTS):
        mentions = made.classify(text, language)

        assert mentions == made.classify(text, language)
        for mention in mentions:
            assert mention.by
            assert 0 < mention.score < 1
            assert mention.evidence is not None
            start, end = mention.evidence
            assert 0 <= start < end <= len(text)
            assert text[start:end].strip() == text[start:end]


MADE_OF_INTENTS = intents(exclude={"en": ["mortgage"]})
MADE_OF_ASPECTS = aspects()
