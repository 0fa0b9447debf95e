"""Answers with several scored questions, and what expressions know beside JMESPath."""

from __future__ import annotations

from typing import Any

import pytest

from services.ingest.domain.expressions import Call, compile_expression
from services.ingest.domain.mappings import Document, Ignored, Rejected, compile_mapping
from shared.errors import Invalid, TooLarge

MAPPING: dict[str, Any] = {
    "version": 1,
    "answers": "survey",
    "fields": {"external_id": "id", "comment": "words", "attributes.form": "form"},
    "questions": [
        {
            "each": "asked[?kind == 'nps']",
            "fields": {"metric": {"value": "nps"}, "score": "mark"},
        },
        {
            "each": "asked[?kind == 'stars']",
            "with": {"title": "find(_answer.titles, 'of', name).text", "loud": "lower(title)"},
            "key": "name",
            "fields": {"metric": {"value": "csat"}, "score": "mark", "touchpoint": "loud"},
        },
    ],
}


def read(survey: dict[str, Any], mapping: dict[str, Any] = MAPPING) -> list[Any]:
    return list(compile_mapping(mapping).read({"survey": survey}, {}, {}))


def test_each_scored_question_is_a_response_and_the_comment_goes_with_the_first() -> None:
    found = read(
        {
            "id": "A-1",
            "words": "Late.",
            "form": "F",
            "titles": [{"of": "door", "text": "Door"}],
            "asked": [
                {"kind": "stars", "name": "door", "mark": 2},
                {"kind": "stars", "name": "shop", "mark": ""},
                {"kind": "nps", "mark": "9"},
            ],
        }
    )

    assert [one.members for one in found] == [
        {
            "external_id": "A-1",
            "metric": "nps",
            "score": 9,
            "comment": "Late.",
            "attributes": {"form": "F"},
        },
        {
            "external_id": "A-1:door",
            "metric": "csat",
            "score": 2,
            "touchpoint": "door",
            "attributes": {"form": "F"},
        },
    ]
    assert found[1].paths["/external_id"] == "survey.id"


def test_the_first_score_is_under_the_id_of_a_part_without_one() -> None:
    (before,) = read({"id": "A-1", "words": "Late.", "asked": []})
    (after,) = read(
        {"id": "A-1", "words": "Late.", "asked": [{"kind": "stars", "name": "d", "mark": 1}]}
    )
    assert before.members["external_id"] == after.members["external_id"] == "A-1"


def test_without_a_scored_question_the_answer_stands_by_itself() -> None:
    (found,) = read({"id": "A-1", "words": "Late.", "asked": []})
    assert isinstance(found, Document)
    assert found.members == {"external_id": "A-1", "comment": "Late."}

    (nothing,) = read({"id": "A-1", "asked": [{"kind": "nps", "mark": None}]})
    assert isinstance(nothing, Ignored)
    assert nothing.reason == "no_answer"


def test_a_question_that_cannot_be_used_takes_no_comment_with_it() -> None:
    wrong, right = read(
        {
            "id": "A-1",
            "words": "Late.",
            "asked": [
                {"kind": "nps", "mark": "ten"},
                {"kind": "stars", "name": "d", "mark": 1},
            ],
        }
    )
    assert isinstance(wrong, Rejected)
    assert (wrong.reason, wrong.pointer) == ("not_integer", "/score")
    assert right.members["comment"] == "Late."


def test_questions_under_one_key_are_told_apart() -> None:
    found = read(
        {"id": "A-1", "asked": [{"kind": "nps", "mark": 1}, {"kind": "nps", "mark": 2}]}
    )
    assert [one.members["external_id"] for one in found] == ["A-1", "A-1:2"]


def test_a_missing_id_is_named_once() -> None:
    (found,) = read({"asked": [{"kind": "nps", "mark": 1}, {"kind": "nps", "mark": 2}]})
    assert isinstance(found, Rejected)
    assert (found.reason, found.path) == ("missing", "survey.id")


def test_the_path_of_one_of_several_places_is_told_alone() -> None:
    (found,) = compile_mapping({**MAPPING, "answers": "survey || @"}).read({"x": 1}, {}, {})
    assert isinstance(found, Rejected)
    assert found.path == "id"


def test_more_questions_than_a_call_may_bring_are_refused() -> None:
    with pytest.raises(TooLarge):
        read({"id": "A-1", "asked": [{"kind": "nps", "mark": 1}] * 201})


@pytest.mark.parametrize(
    ("questions", "pointer"),
    [
        ({}, "/questions"),
        (["nps"], "/questions/0"),
        ([{"fields": {"metric": {"value": "nps"}}}], "/questions/0/fields/score"),
        ([{"each": "[", "fields": {"score": "x"}}], "/questions/0/each"),
        ([{"with": [], "fields": {"score": "x"}}], "/questions/0/with"),
        ([{"with": {"a": "["}, "fields": {"score": "x"}}], "/questions/0/with/a"),
        ([{"when": "x", "fields": {"score": "x"}}], "/questions/0/when"),
        ([{"fields": {"score": "x", "mood": "y"}}], "/questions/0/fields/mood"),
        ([{"key": [], "fields": {"score": "x"}}], "/questions/0/key"),
    ],
)
def test_every_mistake_in_questions_is_named(questions: Any, pointer: str) -> None:
    with pytest.raises(Invalid) as caught:
        compile_mapping({**MAPPING, "questions": questions})
    assert pointer in [finding.pointer for finding in caught.value.findings]


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("find(@, 'id', 'b')", [{"id": "a"}, 3, {"id": "b", "n": 1}], {"id": "b", "n": 1}),
        ("find(@, 'id', 'c')", [{"id": "a"}], None),
        ("find(@, 'id', x)", {"id": "a"}, None),
        ("mentions(@, ['nps'])", "Q1_NPS", True),
        ("mentions(@, ['nps', 'recommend'])", [None, "Would you recommend us?"], True),
        ("mentions(x, ['nps'])", {"x": None}, False),
        ("has_word(@, ['ces', 'star'])", "CES2_Score", True),
        ("has_word(@, ['stars'])", [1, None, "numberOfStars"], True),
        ("has_word(@, ['ces', 'star'])", "services_started", False),
        ("has_word(@, ['ces'])", 5, False),
        ("before(@, '_NPS')", "QID1_NPS_GROUP", "QID1"),
        ("before(@, '_NPS')", "QID1", None),
        ("before(@, '_NPS')", 1, None),
        ("whole_number(@)", "10 - extremely likely", 10),
        ("whole_number(@)", "Extremely likely - 10", 10),
        ("whole_number(@)", "4 of 5", None),
        ("whole_number(@)", "4.5 stars", None),
        ("whole_number(@)", "many", None),
        ("whole_number(@)", 7, 7),
        ("whole_number(@)", True, None),
        ("plain(@)", "<p>Too <b>small</b> &amp; late.</p>\n", "Too small & late."),
        ("plain(@)", "One<br/>two", "One\ntwo"),
        ("plain(@)", "5 < 6 and <unclosed", "5 < 6 and <unclosed"),
        ("plain(@)", None, None),
        ("_answer", {}, None),
    ],
)
def test_what_expressions_know_beside_jmespath(text: str, value: Any, expected: Any) -> None:
    assert Call(value, {}, {}).find(compile_expression(text), value) == expected
