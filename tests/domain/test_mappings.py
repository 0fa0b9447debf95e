"""The mapping language: what is read, what is refused, and how much work it may be."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.domain.expressions import BadExpression, Call, compile_expression
from services.ingest.domain.mappings import (
    MEMBERS,
    Document,
    HookMapping,
    Ignored,
    Read,
    Rejected,
    compile_mapping,
)
from services.ingest.senders import ready_mapping
from shared.errors import Invalid, Refused, TooLarge


def mapping(text: str) -> HookMapping:
    return compile_mapping(yaml.safe_load(text))


def read(found: HookMapping, payload: Any, **beside: Any) -> list[Read]:
    return list(found.read(payload, beside.get("headers", {}), beside.get("query", {})))


def members(found: HookMapping, payload: Any, **beside: Any) -> dict[str, Any]:
    (only,) = read(found, payload, **beside)
    assert isinstance(only, Document), only
    return dict(only.members)


SURVEY = """
version: 1
sender: survey
name: Survey
recognise: "event && result"
ignore:
  - {when: "event == 'ping'", reason: ping}
  - {when: "skipped", reason: dismissed, each: true}
answers: result
fields:
  external_id: ref
  metric: {value: csat}
  score:
    - {when: "kind == 'faces'", path: face, map: {sad: 1, happy: 5}}
    - {path: stars, scale: {from: [1, 10], to: [1, 5]}, empty: [0]}
  comment: "texts[?key=='why'].text | [0]"
  answered_at: {path: day, formats: ["%d.%m.%Y"], time_zone: Europe/Berlin}
  touchpoint: _query.place
  customer.email: _payload.who.mail
  customer.consent.follow_up: may_call
  attributes: hidden
  attributes.app.version: _headers."x-version"
"""
ANSWER = {
    "ref": 4711,
    "stars": "10",
    "texts": [{"key": "x", "text": "no"}, {"key": "why", "text": " Schön.\n"}],
    "day": "02.03.2026",
    "may_call": "yes",
    "hidden": {"shop": "Odense", "n": 2},
}


def test_members_are_read_converted_and_nested() -> None:
    call = {"event": "answer", "result": ANSWER, "who": {"mail": "anna@example.com"}}

    found = members(
        mapping(SURVEY), call, headers={"x-version": "2.1"}, query={"place": "till 3"}
    )

    assert found == {
        "external_id": "4711",
        "metric": "csat",
        "score": 5,
        "comment": " Schön.\n",
        "answered_at": "2026-03-02T11:00:00Z",
        "touchpoint": "till 3",
        "customer": {"email": "anna@example.com", "consent": {"follow_up": True}},
        "attributes": {"shop": "Odense", "n": 2, "app.version": "2.1"},
    }


def test_the_first_rule_with_something_to_say_wins() -> None:
    survey = mapping(SURVEY)

    assert members(survey, {"result": {"ref": 1, "kind": "faces", "face": "Sad"}})["score"] == 1
    both = {"ref": 1, "kind": "faces", "face": None, "stars": 1}
    assert members(survey, {"result": both})["score"] == 1
    assert "score" not in members(
        survey, {"result": {"ref": 1, "stars": 0, "texts": [{"key": "why", "text": "x"}]}}
    )


def test_what_is_nothing_to_us_says_why() -> None:
    survey = mapping(SURVEY)

    assert read(survey, {"event": "ping", "result": ANSWER}) == [Ignored(reason="ping")]
    several = read(survey, {"result": [{"skipped": True}, {"ref": 2, "stars": 1}, {"ref": 3}]})
    assert several[0] == Ignored(reason="dismissed")
    assert isinstance(several[1], Document)
    assert isinstance(several[2], Ignored)
    assert several[2].reason == "no_answer"
    assert several[2].path is not None
    assert "result.stars" in several[2].path
    (empty,) = read(survey, {"result": []})
    assert isinstance(empty, Ignored)


def test_a_list_without_a_place_for_answers_holds_payloads() -> None:
    events = mapping(
        "{version: 1, ignore: [{when: \"type != 'answer'\", reason: other_event}],"
        " fields: {external_id: id, score: score}}"
    )

    found = read(events, [{"type": "view"}, {"type": "answer", "id": 1, "score": 3}, 5])

    assert found[0] == Ignored(reason="other_event")
    assert isinstance(found[1], Document)
    assert isinstance(found[2], Rejected)
    assert found[2].reason == "not_an_object"


def test_each_item_of_a_list_is_read_as_if_it_had_come_alone() -> None:
    survey = mapping(SURVEY)
    items: list[Any] = [
        {"result": ANSWER}, {"event": "ping"}, {}, 5, None, [{"result": ANSWER}],
        {"result": [ANSWER, "x"]},
    ]  # fmt: skip

    found = read(survey, items)

    alone = read(survey, items[0])
    assert found[:2] == [*alone, Ignored(reason="ping")]
    reasons = [one.reason for one in found[2:6] if isinstance(one, Rejected)]
    assert reasons == ["missing", "not_an_object", "not_an_object", "not_an_object"]
    assert found[6:7] == list(alone)
    assert isinstance(found[7], Rejected)


def test_a_mapping_may_look_into_a_list_itself() -> None:
    inner = mapping("{version: 1, answers: '[].d', fields: {external_id: id, score: s}}")

    assert len(read(inner, [{"d": {"id": 1, "s": 2}}, {"d": {"id": 2, "s": 3}}])) == 2


def test_a_scale_may_end_where_the_call_says() -> None:
    found = mapping(
        "{version: 1, fields: {external_id: id,"
        " score: {path: s, scale: {from: [1, max], to: [1, 5]}}}}"
    )

    assert members(found, {"id": 1, "s": 10, "max": "10"})["score"] == 5
    assert members(found, {"id": 1, "s": 2, "max": 3})["score"] == 3
    for end, reason in ((None, "not_number"), (1, "not_number"), (9, "out_of_range")):
        (one,) = read(found, {"id": 1, "s": 10, "max": end})
        assert isinstance(one, Rejected)
        assert (one.reason, one.path) == (reason, "s")


def test_what_says_something_that_nobody_reads_is_no_missing_answer() -> None:
    found = mapping("{version: 1, answered: q, fields: {external_id: id, score: s}}")

    (unread,) = read(found, {"id": 1, "q": [9]})
    (silent,) = read(found, {"id": 1, "q": []})

    assert isinstance(unread, Rejected)
    assert (unread.reason, unread.pointer, unread.path) == ("missing", "/score", "s")
    assert isinstance(silent, Ignored)
    assert members(found, {"id": 1, "q": [9], "s": 9})["score"] == 9


@pytest.mark.parametrize(
    ("payload", "reason", "pointer", "path"),
    [
        ({"event": "answer"}, "missing", "", "result"),
        ({"result": {"stars": 3}}, "missing", "/external_id", "result.ref"),
        ({"result": "text"}, "not_an_object", "", "result"),
        ({"result": {**ANSWER, "stars": "many"}}, "not_number", "/score", "result.stars"),
        ({"result": {**ANSWER, "stars": 11}}, "out_of_range", "/score", "result.stars"),
        ({"result": {**ANSWER, "day": "2026"}}, "not_a_date", "/answered_at", "result.day"),
        (
            {"result": {**ANSWER, "hidden": [1]}},
            "not_an_object",
            "/attributes",
            "result.hidden",
        ),
        (
            {"result": {**ANSWER, "kind": "faces", "face": "green"}},
            "not_in_map",
            "/score",
            "result.face",
        ),
        ([], "missing", "", "result"),
        (None, "missing", "", "result"),
        ("text", "missing", "", "result"),
    ],
    ids=repr,
)
def test_an_unknown_shape_names_the_path_and_never_a_value(
    payload: Any, reason: str, pointer: str, path: str
) -> None:
    (found,) = read(mapping(SURVEY), payload)

    assert isinstance(found, Rejected)
    assert (found.reason, found.pointer, found.path) == (reason, pointer, path)
    assert "many" not in found.detail
    assert "green" not in found.detail


def test_what_a_shape_must_have_may_be_required() -> None:
    strict = mapping(
        "{version: 1, requires: [questions], answers: result,"
        " fields: {external_id: ref, score: questions.nps}}"
    )

    assert read(strict, {"result": {"ref": "1", "answers": {}}}) == [
        Rejected(
            reason="missing",
            pointer="",
            path="result.questions",
            detail="There is no value for what the mapping reads at the path named in path.",
        )
    ]


def test_a_mapping_may_be_laid_over_a_ready_one() -> None:
    base = yaml.safe_load(SURVEY)
    over = {
        "version": 1,
        "extends": "survey",
        "ignore": [{"when": "result.internal", "reason": "internal"}],
        "fields": {"touchpoint": {"value": "shop"}, "comment": None, "score": "marks"},
    }
    found = compile_mapping(over, senders={"survey": base})

    assert read(found, {"result": {"internal": True}}) == [Ignored(reason="internal")]
    assert read(found, {"event": "ping"}) == [Ignored(reason="ping")]
    assert members(found, {"result": {"ref": 1, "marks": 4, "texts": ANSWER["texts"]}}) == {
        "external_id": "1",
        "metric": "csat",
        "score": 4,
        "touchpoint": "shop",
    }
    assert (found.sender, found.name) == ("survey", "Survey")


def test_a_mapping_recognises_its_sender() -> None:
    survey = mapping(SURVEY)

    assert survey.recognises({"event": "x", "result": {"a": 0}}, {}, {})
    assert not survey.recognises({"event": "x"}, {}, {})
    assert not survey.recognises([], {}, {})


def test_functions_beside_those_of_jmespath() -> None:
    found = mapping("""
version: 1
answers: parse_json(rawRequest)
fields:
  external_id: id
  score: "entries(answers)[?lower(key) == 'nps'].value | [0]"
""")
    raw = '{"id": "7", "answers": {"Other": 1, "NPS": "9"}}'

    assert members(found, {"rawRequest": raw}) == {"external_id": "7", "score": 9}
    (broken,) = read(found, {"rawRequest": "{"})
    assert isinstance(broken, Rejected)


@pytest.mark.parametrize(
    ("path", "score"),
    [
        ("first([a, b, c], ['number'])", 3),
        ("first([a, b, c], ['string', 'boolean']) && c", None),
        ("first(a, ['number'])", None),
        ('answers_in(@, `{"id": ["id"], "says": ["c"]}`)[0].c', 3),
        ('answers_in(@, `{"id": ["id"], "says": 5}`)[0].c', 3),
        ("answers_in(@, `[]`)[0].c", None),
    ],
)
def test_a_value_is_found_by_its_type_or_by_names(path: str, score: int | None) -> None:
    found = mapping(json.dumps({"version": 1, "fields": {"external_id": "id", "score": path}}))
    (one,) = read(found, {"id": "7", "a": "", "b": None, "c": 3})

    assert (one.members.get("score") if isinstance(one, Document) else None) == score


VALID = {"version": 1, "fields": {"external_id": "id"}}


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        ({"version": 2}, "/version", "unknown_version"),
        ({"version": True}, "/version", "unknown_version"),
        ({"version": None}, "/version", "unknown_version"),
        ({"sendr": "x"}, "/sendr", "unknown_member"),
        ({"sender": "A B"}, "/sender", "wrong_type"),
        ({"extends": "nobody"}, "/extends", "unknown_sender"),
        ({"extends": ["x"]}, "/extends", "unknown_sender"),
        ({"documentation": "x"}, "/documentation", "wrong_type"),
        ({"recognise": "a["}, "/recognise", "bad_expression"),
        ({"answers": ""}, "/answers", "bad_expression"),
        ({"requires": [5]}, "/requires/0", "bad_expression"),
        ({"signature": {"scheme": "hmac"}}, "/signature", "bad_signature_scheme"),
        ({"ignore": [{"when": "a"}]}, "/ignore/0/reason", "wrong_type"),
        ({"ignore": [{"reason": "a"}]}, "/ignore/0/when", "bad_expression"),
        ({"ignore": ["a"]}, "/ignore/0", "wrong_type"),
        ({"ignore": [{"when": "a", "reason": "Not a code"}]}, "/ignore/0/reason", "wrong_type"),
        ({"verification": [{"method": "PUT"}]}, "/verification/0/method", "unknown_value"),
        (
            {"verification": [{"method": "GET", "status": 500}]},
            "/verification/0/status",
            "out_of_range",
        ),
        ({"verification": [{"method": "POST"}]}, "/verification/0", "missing"),
        (
            {"verification": [{"method": "GET", "answer": "echo"}]},
            "/verification/0/answer",
            "unknown_value",
        ),
        ({"fields": None}, "/fields", "missing"),
        ({"fields": {}}, "/fields", "wrong_type"),
        ({"fields": {"score": "a"}}, "/fields/external_id", "missing"),
        ({"fields": {"external_id": "id", "scor": "a"}}, "/fields/scor", "unknown_member"),
        ({"fields": {"external_id": []}}, "/fields/external_id", "wrong_type"),
        ({"fields": {"external_id": {}}}, "/fields/external_id", "wrong_type"),
        (
            {"fields": {"external_id": {"path": "a", "value": 1}}},
            "/fields/external_id",
            "wrong_type",
        ),
        (
            {"fields": {"external_id": {"path": "a", "regex": "x"}}},
            "/fields/external_id/regex",
            "unknown_member",
        ),
        (
            {"fields": {"external_id": ["a", {"path": "b["}]}},
            "/fields/external_id/1/path",
            "bad_expression",
        ),
        (
            {"fields": {"external_id": {"path": "a", "type": "regex"}}},
            "/fields/external_id/type",
            "unknown_value",
        ),
        (
            {"fields": {"external_id": {"path": "a", "scale": {"from": [1, 5]}}}},
            "/fields/external_id/scale",
            "wrong_type",
        ),
        (
            {
                "fields": {
                    "external_id": {"path": "a", "scale": {"from": [1, "["], "to": [1, 5]}}
                }
            },
            "/fields/external_id/scale/from/1",
            "bad_expression",
        ),
        (
            {
                "fields": {
                    "external_id": {"path": "a", "scale": {"from": [1, 5], "to": [1, ""]}}
                }
            },
            "/fields/external_id/scale",
            "wrong_type",
        ),
        ({"answered": "a["}, "/answered", "bad_expression"),
        (
            {"fields": {"external_id": {"path": "a", "scale": {"from": [1, 1], "to": [1, 5]}}}},
            "/fields/external_id/scale",
            "out_of_range",
        ),
        (
            {"fields": {"external_id": "id", "answered_at": {"path": "a", "formats": ["%Q"]}}},
            "/fields/answered_at",
            "bad_conversion",
        ),
        (
            {"fields": {"external_id": "id", "answered_at": {"path": "a", "time_zone": "X/Y"}}},
            "/fields/answered_at",
            "bad_conversion",
        ),
        (
            {"fields": {"external_id": {"path": "a", "map": {}}}},
            "/fields/external_id/map",
            "wrong_type",
        ),
        (
            {"fields": {"external_id": {"path": "a", "at": "noon"}}},
            "/fields/external_id/at",
            "wrong_type",
        ),
    ],
    ids=repr,
)  # fmt: skip
def test_every_mistake_is_named_with_its_place(
    change: dict[str, Any], pointer: str, code: str
) -> None:
    with pytest.raises(Invalid) as refused:
        compile_mapping({**VALID, **change})

    findings = {(one.pointer, one.code): one for one in refused.value.findings}
    assert (pointer, code) in findings
    assert findings[pointer, code].detail
    assert findings[pointer, code].fix


@pytest.mark.parametrize("document", [None, [], "text", 5])
def test_what_is_no_mapping_at_all(document: Any) -> None:
    with pytest.raises(Invalid):
        compile_mapping(document)


def test_a_ring_of_mappings_is_refused() -> None:
    ring = {"a": {**VALID, "extends": "b"}, "b": {**VALID, "extends": "a"}}
    with pytest.raises(Invalid):
        compile_mapping({**VALID, "extends": "a"}, senders=ring)


def test_words_of_yaml_mean_what_they_look_like() -> None:
    """YAML 1.1 reads yes, no, on and off as booleans, and 12:30 as a number."""
    found = mapping("""
version: 1
fields:
  external_id: id
  score: {path: liked, map: {yes: 10, no: 0}}
  answered_at: {path: day, at: 12:30}
""")

    assert [
        members(found, {"id": 1, "liked": liked, "day": "2026-03-02"})
        for liked in ("Yes", "no", True)
    ] == [
        {"external_id": "1", "score": score, "answered_at": "2026-03-02T12:30:00Z"}
        for score in (10, 0, 10)
    ]


def test_the_example_of_the_documentation_reads_as_it_says() -> None:
    """``docs/hooks.md``: its mapping makes its document of its payload."""
    page = (Path(__file__).parents[2] / "docs" / "hooks.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    _, payload, document = re.findall(r"```json\n(.*?)```", page, re.DOTALL)

    assert members(mapping(example), json.loads(payload)) == json.loads(document)


# Expressions


@pytest.mark.parametrize(
    "text",
    [
        "", "  ", "a[", "a..b", "[", "a[?", "foo(", "nope(a)", "length()", "length(a, b)",
        "join(',')", "`{`", "'", "a" * 2_001, "(" * 900 + "a" + ")" * 900, "!" * 300 + "a",
        ".".join(["a"] * 900) + "[", "a[::0::]", "`1e400`", None, 5, ["a"],
    ],
    ids=lambda text: repr(text)[:40],
)  # fmt: skip
def test_what_is_no_expression_is_refused_when_it_is_declared(text: Any) -> None:
    with pytest.raises(BadExpression, match=r"\w"):
        compile_expression(text)


@pytest.mark.parametrize(
    "text",
    [
        "length(@)", "contains(a, `5`)", "a > `3`", "sort(@)", "max_by(@, &a)", "avg(@)",
        "to_number('nan')", "to_number('1_0')", "&a", "[&a]", "a[::0]", "join(',', @)",
        "sum([`1e308`, `1e308`])", "keys('a')", "merge('a', @)", "abs(a)", "parse_json('{')",
        "a[99999999999999999999]",
    ],
)  # fmt: skip
def test_what_does_not_work_out_has_no_value(text: str) -> None:
    payload = {"a": "text"} if text != "length(@)" else 5
    assert Call(payload, {}, {}).find(compile_expression(text), payload) is None


def test_the_whole_call_is_at_hand_everywhere() -> None:
    payload = {"form": "F", "answers": [{"n": 1}, {"n": 2}]}
    call = Call(payload, {"x-kind": "k"}, {"place": "p"})
    expression = compile_expression(
        'answers[?n == `2`].[n, _payload.form, _headers."x-kind", _query.place] | [0]'
    )

    assert call.find(expression, payload) == [2, "F", "k", "p"]


@pytest.mark.parametrize(
    "text",
    [
        "|".join(["[@,@]"] * 40),
        "|".join(["[@,@][]"] * 40),
        "to_string(" + "|".join(["[@,@]"] * 40) + ")",
        "|".join(["[@,@]"] * 40) + " | @ == @",
        "|".join(["join('', [@,@])"] * 40),
        "contains(" + "|".join(["[@,@]"] * 30) + ", [`1`])",
        "map(&map(&map(&map(&a, _payload), _payload), _payload), _payload)",
    ],
    ids=["lists", "flattened", "as text", "compared", "joined", "contained", "mapped"],
)
def test_no_expression_keeps_a_process_busy(text: str) -> None:
    payload: Any = ["x"] * 200
    value = "x" if "join" in text else payload
    call = Call(payload, {}, {})
    began = time.process_time()

    with pytest.raises(TooLarge):
        call.find(compile_expression(text), value)

    assert time.process_time() - began < 5


def test_the_items_of_a_list_share_one_budget() -> None:
    thorough = compile_mapping(
        {"version": 1, "fields": {"external_id": "id", "comment": "to_string([a, a, a, a])"}}
    )
    item = {"id": 1, "a": [[[n]] for n in range(400)]}

    assert len(read(thorough, [item] * 20)) == 20
    with pytest.raises(TooLarge):
        read(thorough, [item] * 200)


def test_one_call_brings_two_hundred_answers_at_most() -> None:
    plain = compile_mapping({"version": 1, "fields": {"external_id": "id", "score": "s"}})

    assert len(read(plain, [{"id": n, "s": 1} for n in range(200)])) == 200
    with pytest.raises(TooLarge):
        read(plain, [{"id": n, "s": 1} for n in range(201)])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-20, 20) | st.floats(-20, 20) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "id", "score", "nps", "rating", "comment", "data", "response", "responses",
                    "answers", "question", "answer", "email", "customer", "event", "result",
                    "ref", "stars", "texts", "created_at", "value", "metric",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)  # fmt: skip


@settings(derandomize=True, max_examples=150)
@given(JSON)
def test_no_payload_raises_anything_but_a_refusal(payload: Any) -> None:
    for found in (ready_mapping("generic"), mapping(SURVEY)):
        for one in read(found, payload):
            assert isinstance(one, Document | Ignored | Rejected)
            if isinstance(one, Document):
                assert str(one.members["external_id"]).strip()
                assert "score" in one.members or "comment" in one.members


DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(
            [
                "version", "sender", "extends", "documentation", "recognise", "signature",
                "verification", "ignore", "answers", "requires", "questions",
            ],
            JSON,
        ),
        "fields": JSON | st.dictionaries(st.sampled_from(sorted(MEMBERS)), JSON),
    },
)  # fmt: skip


@settings(derandomize=True, max_examples=120)
@given(DOCUMENTS | JSON)
def test_no_document_raises_anything_but_a_refusal(document: Any) -> None:
    try:
        compile_mapping(document, senders={"survey": yaml.safe_load(SURVEY)})
    except Refused as error:
        assert isinstance(error, Invalid)  # noqa: PT017 - either way is fine, but no other


@settings(derandomize=True, max_examples=400)
@given(
    st.text(max_size=40)
    | st.lists(
        st.sampled_from(
            [
                "a", "b", ".", "[", "]", "[?", "*", "@", "&", "|", "||", "&&", "==", "<", "`1`",
                "'x'", "(", ")", ",", "!", "{", "}", ":", "length", "map", "sort_by", "join",
                "to_number", "contains", "find", "mentions", "before", "plain", "whole_number",
            ]
        ),
        max_size=14,
    ).map("".join),
    JSON,
)  # fmt: skip
def test_no_expression_raises_anything_but_a_refusal(text: str, payload: Any) -> None:
    try:
        expression = compile_expression(text)
    except BadExpression:
        return
    found = Call(payload, {}, {}).find(expression, payload)
    assert found is None or isinstance(found, dict | list | str | int | float)
