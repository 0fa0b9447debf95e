"""Changing a taxonomy: nothing that was found ever loses its name."""

from __future__ import annotations

import pytest

from services.loop.themes.domain import Classifier, Taxonomy, parse_taxonomy
from services.loop.themes.domain.revising import (
    brought_back,
    free_id,
    merged,
    retired,
    split,
    with_theme,
)
from services.loop.themes.domain.taxonomy import MOST_WORDS, Theme
from shared.errors import Conflict, Invalid, NotFound

DOCUMENT = {
    "themes": [
        {"id": "waiting", "keywords": {"en": ["wait", "queue"], "de": ["warten"]}},
        {"id": "parking", "parent": "waiting", "keywords": {"en": ["parking"]}},
        {"id": "phone", "parent": "parking", "keywords": {"en": ["phone", "wait"]}},
    ]
}
TAXONOMY = parse_taxonomy(DOCUMENT)


def theme_of(taxonomy: Taxonomy, theme_id: str) -> Theme:
    found = taxonomy.find(theme_id)
    assert found is not None
    return found


def themes_in(taxonomy: Taxonomy, text: str) -> list[str]:
    return sorted(one.theme_id for one in Classifier(taxonomy).classify(text, "en"))


class TestExtras:
    def test_they_come_back_as_they_went_in(self) -> None:
        theme = {
            "id": "a",
            "name": "A",
            "names": {"de": "Ah"},
            "keywords": {},
            "need": "emotional",
            "intent": True,
            "retired": True,
            "merged_into": "b",
        }

        read = parse_taxonomy({"themes": [theme]})

        assert read.as_document()["themes"] == [theme]

    @pytest.mark.parametrize(
        "extras",
        [
            {"need": "bodily", "intent": "yes", "retired": 1, "merged_into": 5},
            {"need": ["both"], "intent": None, "retired": None, "merged_into": " "},
            {"merged_into": "a"},
            {"anything": {"else": 1}},
        ],
    )
    def test_what_makes_no_sense_there_is_left_out(self, extras: dict[str, object]) -> None:
        read = parse_taxonomy({"themes": [{"id": "a", **extras}]})

        assert read == Taxonomy(themes=(Theme(id="a", name="a"),))

    def test_a_merged_theme_is_retired_whatever_else_is_said(self) -> None:
        read = parse_taxonomy({"themes": [{"id": "a", "retired": False, "merged_into": "b"}]})

        assert theme_of(read, "a").retired

    def test_more_words_than_anybody_can_keep_are_refused_where_they_begin(self) -> None:
        many = [f"word{n}" for n in range(MOST_WORDS)]
        themes = [{"id": "a", "keywords": {"en": many}}, {"id": "b", "examples": {"en": ["x"]}}]
        assert parse_taxonomy({"themes": themes[:1]}).themes

        with pytest.raises(Invalid) as refusal:
            parse_taxonomy({"themes": themes})

        findings = [(one.pointer, one.code) for one in refusal.value.findings]
        assert findings == [("/themes/1", "too_many")]


class TestAdding:
    @pytest.mark.parametrize(
        ("name", "id_"),
        [
            ("Late courier", "late-courier"),
            ("Waiting", "waiting-2"),
            ("Öffnungszeiten & Café", "offnungszeiten-cafe"),
            ("Ожидание", "theme"),
            ("x" * 80, "x" * 50),
        ],
    )
    def test_an_id_is_made_of_the_name(self, name: str, id_: str) -> None:
        assert free_id(TAXONOMY, name) == id_

    def test_a_new_theme_is_held_to_what_every_theme_is_held_to(self) -> None:
        assert with_theme(TAXONOMY, Theme(id="new", name="New")).themes[-1].id == "new"

        with pytest.raises(Invalid):
            with_theme(TAXONOMY, Theme(id="waiting", name="Waiting again"))
        with pytest.raises(Invalid):
            with_theme(TAXONOMY, Theme(id="new", name="New", keywords={"en": ("…",)}))


class TestRetiring:
    def test_a_retired_theme_is_found_no_more_and_keeps_its_words(self) -> None:
        after = retired(TAXONOMY, "waiting")

        assert themes_in(TAXONOMY, "A long queue") == ["waiting"]
        assert themes_in(after, "A long queue") == []
        assert brought_back(after, "waiting") == TAXONOMY

    def test_only_what_is_there_can_be_retired(self) -> None:
        with pytest.raises(NotFound):
            retired(TAXONOMY, "weather")


class TestMerging:
    def test_the_other_theme_takes_over_words_and_what_stood_below(self) -> None:
        after = merged(TAXONOMY, "waiting", "parking")

        whole, gone = theme_of(after, "parking"), theme_of(after, "waiting")
        assert whole.keywords == {"en": ("parking", "wait", "queue"), "de": ("warten",)}
        assert whole.parent is None
        assert (gone.retired, gone.merged_into) == (True, "parking")
        assert theme_of(after, "phone").parent == "parking"
        assert themes_in(after, "A long queue") == ["parking"]

    def test_what_stands_below_two_steps_moves_up(self) -> None:
        after = merged(TAXONOMY, "parking", "phone")

        assert theme_of(after, "phone").parent == "waiting"

    @pytest.mark.parametrize(
        ("one", "into"), [("waiting", "waiting"), ("old", "waiting"), ("waiting", "old")]
    )
    def test_only_two_themes_in_use_can_be_merged(self, one: str, into: str) -> None:
        old = Theme(id="old", name="Old", retired=True)
        with pytest.raises(Conflict):
            merged(with_theme(TAXONOMY, old), one, into)


class TestSplitting:
    def test_chosen_keywords_go_along_and_the_others_stay(self) -> None:
        after, new = split(TAXONOMY, "waiting", name="Queues", words={"en": ["queue"]})

        assert new.id == "queues"
        assert theme_of(after, "queues").keywords == {"en": ("queue",)}
        assert theme_of(after, "waiting").keywords == {"en": ("wait",), "de": ("warten",)}
        assert themes_in(after, "A long queue") == ["queues"]

    @pytest.mark.parametrize(
        "words", [{}, {"en": ["nothing of it"]}, {"en": ["wait", "queue"], "de": ["warten"]}]
    )
    def test_both_sides_need_words(self, words: dict[str, list[str]]) -> None:
        with pytest.raises(Conflict):
            split(TAXONOMY, "waiting", name="Queues", words=words)
