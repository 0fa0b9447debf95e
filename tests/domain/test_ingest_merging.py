"""Meanings and merging: sameness of parts, and one state whatever the order of arrival."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.merging import Posted, check, merge
from services.ingest.domain.part import Part
from services.ingest.schemas import understand
from shared.errors import Invalid

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def part_of(**members: object) -> Part:
    return understand({"external_id": "A-1", **members}, now=NOW).part


def posted(revision: int, at: datetime = NOW, **members: object) -> Posted:
    return Posted(part=part_of(**members), revision=revision, received_at=at)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"score": 9}, {"score": 9, "comment": None}),
        ({"score": 9, "answered_at": "2026-03-01T10:00:00Z"},
         {"score": 9, "answered_at": "2026-03-01T12:00:00.000+02:00"}),
        ({"attributes": {"a": 1}}, {"attributes": {"a": 1.0}}),
        ({"attributes": {"a": 1}}, {"a": 1}),
        ({"attributes": {"a": 1, "b": 2}}, {"attributes": {"b": 2, "a": 1}}),
        ({"a": {"b": [1, 2.5], "c": 2}}, {"a": {"c": 2.0, "b": [1.0, 2.5]}}),
        ({"touchpoint": "caf\u00e9"}, {"touchpoint": " cafe\u0301"}),
        ({"customer": {"id": "1", "name": "A"}}, {"customer": {"name": "A", "id": "1"}}),
        ({"customer": {}}, {"attributes": {}}),
    ],
)  # fmt: skip
def test_these_mean_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert part_of(**one).meaning() == part_of(**other).meaning()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"score": 9}, {"score": 8}),
        ({"score": 9}, {"score": 9, "metric": "nps"}),  # a default that was sent is sent
        ({"score": 9}, {"score": 9, "comment": ""}),
        ({"comment": "é"}, {"comment": "e\u0301"}),
        ({"comment": "a"}, {"comment": "a "}),
        ({"attributes": {"a": 1}}, {"attributes": {"a": True}}),
        ({"attributes": {"a": "1"}}, {"attributes": {"a": 1}}),
        ({"a": [1, 2]}, {"a": [2, 1]}),
        ({"a": {"b": True}}, {"a": {"b": 1}}),
        ({"touchpoint": "a"}, {"segment": "a"}),
        ({"comment": "a"}, {"reason": "a"}),
    ],
)
def test_these_mean_something_else(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert part_of(**one).meaning() != part_of(**other).meaning()


SCALARS = st.one_of(
    st.text(st.characters(codec="utf-8", categories=("L", "N", "S")), min_size=1, max_size=5),
    st.integers(-(10**17), 10**17),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
)
DOCUMENTS = st.fixed_dictionaries(
    {"external_id": st.just("A-1")},
    optional={
        "score": st.integers(0, 10),
        "comment": st.text(
            st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20
        ),
        "touchpoint": st.sampled_from(["door", "phone", "web"]),
        "segment": st.sampled_from(["a", "b"]),
        "answered_at": st.sampled_from([(NOW - n * HOUR).isoformat() for n in range(4)]),
        "customer": st.fixed_dictionaries(
            {},
            optional={
                "id": st.sampled_from(["C-1", "C-2"]),
                "name": st.sampled_from(["Anna", "Bo"]),
                "email": st.sampled_from(["a@b.example", "none"]),
                "consent": st.fixed_dictionaries(
                    {}, optional={"follow_up": st.booleans(), "news": st.booleans()}
                ),
            },
        ),
        "attributes": st.dictionaries(st.sampled_from("abc"), SCALARS, max_size=3),
    },
)


@given(DOCUMENTS, st.randoms())
def test_writing_the_same_differently_keeps_the_meaning(
    document: dict[str, Any], chance
) -> None:
    names = list(document)
    chance.shuffle(names)
    again = json.loads(json.dumps({name: document[name] for name in names}, indent=2))
    assert (
        understand(again, now=NOW).part.meaning()
        == understand(document, now=NOW).part.meaning()
    )


@given(st.lists(DOCUMENTS, min_size=1, max_size=6), st.randoms())
def test_the_order_in_which_parts_are_given_does_not_matter(
    documents: list[Any], chance
) -> None:
    parts = [
        Posted(
            part=understand(document, now=NOW).part,
            revision=n,
            received_at=NOW + n * timedelta(minutes=1),
        )
        for n, document in enumerate(documents, start=1)
    ]
    shuffled = parts[:]
    chance.shuffle(shuffled)
    assert merge(shuffled) == merge(parts)


@given(
    st.lists(
        DOCUMENTS.filter(lambda one: "answered_at" in one),
        min_size=1,
        max_size=4,
        unique_by=lambda one: one["answered_at"],
    ),
    st.randoms(),
)
def test_dated_parts_end_in_one_state_in_any_order_of_arrival(
    documents: list[Any], chance
) -> None:
    def state(order: list[Any]) -> object:
        return merge(
            [
                Posted(
                    part=understand(document, now=NOW).part,
                    revision=n,
                    received_at=NOW + n * timedelta(minutes=1),
                )
                for n, document in enumerate(order, start=1)
            ]
        )

    shuffled = documents[:]
    chance.shuffle(shuffled)
    assert state(shuffled) == state(documents)


def test_the_later_answer_wins_over_the_later_arrival() -> None:
    early = posted(2, NOW + HOUR, score=2, answered_at="2026-03-01T10:00:00Z")
    late = posted(1, NOW, score=9, answered_at="2026-03-01T11:00:00Z")
    merged = merge([early, late])
    assert merged.part.clear["score"] == 9
    assert merged.answered_at == datetime(2026, 3, 1, 11, tzinfo=UTC)


def test_of_equally_old_answers_the_later_arrival_wins() -> None:
    at = "2026-03-01T10:00:00Z"
    first = posted(1, score=2, answered_at=at)
    second = posted(2, score=9, answered_at=at)
    assert merge([second, first]).part.clear["score"] == 9


def test_a_later_part_adds_and_does_not_blank() -> None:
    merged = merge(
        [
            posted(1, score=2, touchpoint="door", customer={"id": "C-1", "name": "Anna"}),
            posted(2, NOW + HOUR, comment="Late.", customer={"email": "a@b.example"}),
        ]
    )
    assert merged.part == part_of(
        score=2,
        touchpoint="door",
        comment="Late.",
        customer={"id": "C-1", "name": "Anna", "email": "a@b.example"},
    )


def test_a_later_part_without_words_leaves_the_words() -> None:
    merged = merge([posted(1, score=2, comment="Late."), posted(2, NOW + HOUR, score=3)])
    assert (merged.part.clear["score"], merged.part.comment) == (3, "Late.")


def test_an_older_part_that_comes_late_fills_what_is_missing() -> None:
    merged = merge(
        [
            posted(1, comment="Late.", score=3, answered_at="2026-03-01T11:00:00Z"),
            posted(2, touchpoint="door", score=4, answered_at="2026-03-01T10:00:00Z"),
        ]
    )
    assert merged.part.clear == {"score": 3, "touchpoint": "door"}


def test_two_persons_are_never_mixed() -> None:
    merged = merge(
        [
            posted(1, customer={"id": "C-1", "name": "Anna", "email": "a@b.example"}),
            posted(2, customer={"id": "C-2"}),
        ]
    )
    assert merged.part.customer == {"id": "C-2"}


def test_a_part_without_a_time_was_answered_when_it_came() -> None:
    assert merge([posted(1, NOW, score=1)]).answered_at == NOW
    dated = posted(1, NOW, score=1, answered_at="2026-03-01T10:00:00Z")
    merged = merge([dated, posted(2, NOW + HOUR, comment="More.")])
    assert merged.answered_at == datetime(2026, 3, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({}, "missing"),
        ({"comment": "No score."}, "missing"),
        ({"measurement": "periodic"}, "missing"),
    ],
)
def test_a_score_may_be_missing_only_where_nobody_asked(
    members: dict[str, Any], code: str
) -> None:
    with pytest.raises(Invalid) as refused:
        check(part_of(**members))
    assert [finding.code for finding in refused.value.findings] == [code]
    check(part_of(measurement="unsolicited"))


def test_a_score_must_fit_the_metric_that_another_part_named() -> None:
    merged = merge([posted(1, metric="csat", score=4), posted(2, NOW + HOUR, score=9)])
    with pytest.raises(Invalid) as refused:
        check(merged.part)
    assert refused.value.findings[0].code == "out_of_range"
