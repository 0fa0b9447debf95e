"""Conversions: what a sender's value becomes, as tables of values."""

from __future__ import annotations

from datetime import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.domain.values import KINDS, CannotConvert, Conversion, Scale

INTEGER = Conversion(kind="integer")
NUMBER = Conversion(kind="number")
DATE = Conversion(kind="date")


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (10, 10), (7.0, 7), ("10", 10), (" 10 ", 10), ("7.0", 7), ("7,0", 7), ("-3", -3),
        ("+3", 3), ("007", 7), (0, 0), ("0", 0), (None, None), ("", None), ("  ", None),
        ([], None), ({}, None),
    ],
    ids=repr,
)  # fmt: skip
def test_tolerant_integers(raw: object, value: int | None) -> None:
    assert INTEGER.convert(raw) == value


@pytest.mark.parametrize(
    "raw",
    [
        True, False, "1_0", "ten", "1e1", "0x10", "1,000", "7.5", 7.5, "９", "- 3", [7],
        {"a": 1}, float("nan"), float("inf"), "9" * 19, "\u2212 3",
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_no_integer(raw: object) -> None:
    with pytest.raises(CannotConvert) as refused:
        INTEGER.convert(raw)
    assert refused.value.code == "not_integer"


@pytest.mark.parametrize(
    ("raw", "decimal", "value"),
    [
        ("1.5", None, 1.5), ("1,5", None, 1.5), (2, None, 2), ("1.234,5", ",", 1234.5),
        ("1.234", ",", 1234), ("1 234,5", ",", 1234.5), ("1,234.5", ".", 1234.5),
        ("1'234.5", ".", 1234.5), ("1,5", ",", 1.5), ("-1.234.567,25", ",", -1234567.25),
    ],
    ids=repr,
)  # fmt: skip
def test_numbers_and_their_marks(raw: object, decimal: Any, value: float) -> None:
    assert Conversion(kind="number", decimal=decimal).convert(raw) == value


@pytest.mark.parametrize(
    ("raw", "decimal"), [("1.5", ","), ("1,5", "."), ("12.34,5", ","), ("1.2.3", None)]
)
def test_a_number_with_the_other_mark_is_none(raw: str, decimal: Any) -> None:
    with pytest.raises(CannotConvert):
        Conversion(kind="number", decimal=decimal).convert(raw)


@pytest.mark.parametrize(
    ("source", "target", "pairs"),
    [
        ((0, 2), (0, 10), {0: 0, 1: 5, 2: 10}),
        ((1, 5), (0, 10), {1: 0, 2: 3, 3: 5, 4: 8, 5: 10}),
        ((1, 5), (1, 7), {1: 1, 2: 3, 3: 4, 4: 6, 5: 7}),
        ((5, 1), (1, 5), {5: 1, 4: 2, 3: 3, 2: 4, 1: 5}),
        ((1, 5), (5, 1), {"1": 5, "5,0": 1}),
        ((0, 100), (0, 10), {"45": 5, 44.9: 4, 100: 10}),
        ((0.5, 5), (1, 5), {0.5: 1, 5: 5}),
    ],
)
def test_scales_are_linear_and_round_half_up(
    source: tuple[float, float], target: tuple[float, float], pairs: dict[Any, int]
) -> None:
    conversion = Conversion(kind="integer", scale=Scale(from_=source, to=target))

    assert {raw: conversion.convert(raw) for raw in pairs} == pairs


@pytest.mark.parametrize("raw", [0, 6, "-1", 5.01])
def test_what_lies_outside_a_scale_is_an_error(raw: object) -> None:
    conversion = Conversion(kind="integer", scale=Scale(from_=(5, 1), to=(0, 10)))
    with pytest.raises(CannotConvert) as refused:
        conversion.convert(raw)
    assert refused.value.code == "out_of_range"


@settings(derandomize=True)
@given(
    st.integers(-100, 100),
    st.integers(-100, 100),
    st.integers(-100, 100),
    st.integers(-100, 100),
    st.data(),
)
def test_a_scale_meets_its_ends_and_keeps_the_order(
    first: int, last: int, low: int, high: int, data: st.DataObject
) -> None:
    if first == last:
        return
    conversion = Conversion(kind="integer", scale=Scale(from_=(first, last), to=(low, high)))
    inside = st.integers(min(first, last), max(first, last))
    one, other = sorted([data.draw(inside), data.draw(inside)])
    rising = (last > first) == (high >= low)
    pair = (conversion.convert(one), conversion.convert(other))

    assert (conversion.convert(first), conversion.convert(last)) == (low, high)
    assert pair[0] <= pair[1] if rising else pair[0] >= pair[1]


def test_empty_values_mean_that_nothing_was_said() -> None:
    conversion = Conversion(kind="integer", empty=["", 0, "n/a", False])

    assert [conversion.convert(raw) for raw in (0, "0", 0.0, " n/a ", False, "")] == [None] * 6
    assert conversion.convert(1) == 1
    assert Conversion(kind="integer", empty=[True]).convert(1) == 1
    assert Conversion(kind="text", empty=["0"]).convert(0) is None
    assert Conversion(kind="integer", empty=[0], default=5).convert(0) == 5


def test_words_stand_for_values() -> None:
    conversion = Conversion(kind="integer", map={"good": 10, "0": 0, "true": 9, "skip": None})

    assert [conversion.convert(raw) for raw in ("good", " GOOD ", 0, 0.0, True, "skip")] == [
        10, 10, 0, 0, 9, None,
    ]  # fmt: skip
    with pytest.raises(CannotConvert) as refused:
        conversion.convert("bad")
    assert refused.value.code == "not_in_map"
    assert Conversion(map={"a": 1}, default=2).convert("b") == 2


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("2026-03-02T09:30:00+01:00", "2026-03-02T08:30:00Z"),
        ("2026-03-02T09:30:00Z", "2026-03-02T09:30:00Z"),
        ("2026-03-02t09:30:00.123456789z", "2026-03-02T09:30:00.123456Z"),
        ("2026-03-02 09:30:00 +0100", "2026-03-02T08:30:00Z"),
        ("2026-03-02 09:30:00 UTC", "2026-03-02T09:30:00Z"),
        ("2026-03-02 09:30", "2026-03-02T09:30:00Z"),
        ("2026-03-02T09:30:00,5", "2026-03-02T09:30:00.500000Z"),
        ("2026-03-02", "2026-03-02T12:00:00Z"),
        (1772443800, "2026-03-02T09:30:00Z"),
        ("1772443800", "2026-03-02T09:30:00Z"),
        (1772443800123, "2026-03-02T09:30:00.123000Z"),
        (1772443800.5, "2026-03-02T09:30:00.500000Z"),
        (None, None),
        ("", None),
    ],
    ids=repr,
)
def test_dates_as_systems_write_them(raw: object, value: str | None) -> None:
    assert DATE.convert(raw) == value


def test_dates_by_declared_formats() -> None:
    conversion = Conversion(
        kind="date",
        formats=["%d.%m.%Y %H:%M", "%d.%m.%Y", "epoch_ms"],
        time_zone="Europe/Berlin",
        at=time(8, 0),
    )

    assert conversion.convert("02.03.2026 09:30") == "2026-03-02T08:30:00Z"
    assert conversion.convert(" 02.07.2026 ") == "2026-07-02T06:00:00Z"
    assert conversion.convert("60000") == "1970-01-01T00:01:00Z"
    assert Conversion(kind="date", formats=["epoch"]).convert(60) == "1970-01-01T00:01:00Z"


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("yesterday", "not_a_date"),
        ("02.03.2026", "not_a_date"),
        ("2026-02-30", "not_a_date"),
        ("2026-03-02T25:00:00Z", "not_a_date"),
        (True, "not_a_date"),
        ({"date": 1}, "not_a_date"),
        ("0001-01-01T00:00:00+14:00", "out_of_range"),
        (10**17, "out_of_range"),
        (-(10**17), "out_of_range"),
        (1e300, "out_of_range"),
    ],
    ids=repr,
)
def test_what_is_no_date(raw: object, code: str) -> None:
    with pytest.raises(CannotConvert) as refused:
        DATE.convert(raw)
    assert refused.value.code == code


def test_texts_and_booleans() -> None:
    text, verbatim = Conversion(kind="text"), Conversion(kind="verbatim")
    boolean = Conversion(kind="boolean")

    assert text.convert("  a\tb\u00a0 c\n") == "a b c"
    assert [text.convert(raw) for raw in (7, 7.0, 7.5, True, ["a", None, 2])] == [
        "7", "7", "7.5", "true", "a, 2",
    ]  # fmt: skip
    assert verbatim.convert(" a\n b ") == " a\n b "
    assert verbatim.convert(["a", "", "b"]) == "a\nb"
    assert [boolean.convert(raw) for raw in (True, "Yes", 1, "0", "off")] == [
        True, True, True, False, False,
    ]  # fmt: skip
    for conversion, raw in ((text, {"a": 1}), (text, [["a"]]), (boolean, "maybe")):
        with pytest.raises(CannotConvert):
            conversion.convert(raw)
    assert Conversion().convert({"a": [1]}) == {"a": [1]}


@pytest.mark.parametrize(
    "declared",
    [
        {"formats": ["%Q"]},
        {"formats": ["%d %d"]},
        {"formats": ["plain"]},
        {"formats": ["%"]},
        {"time_zone": "Nowhere/Else"},
        {"time_zone": "../etc/passwd"},
        {"kind": "text", "scale": Scale(from_=(1, 2), to=(1, 2))},
        {"map": {"a": 1}, "scale": Scale(from_=(1, 2), to=(1, 2))},
    ],
)
def test_what_could_never_work_is_refused_when_it_is_declared(declared: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Conversion(**declared)


def test_a_scale_has_two_ends() -> None:
    for ends in ((1, 1), (float("nan"), 1), (1, float("inf"))):
        with pytest.raises(ValueError, match="ends"):
            Scale(from_=ends, to=(0, 10))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(derandomize=True, max_examples=300)
@given(
    ANYTHING | st.text("0123456789-+.,:TZ /eE", max_size=30),
    st.sampled_from([None, *KINDS]),
    st.lists(st.none() | st.booleans() | st.integers() | st.text(), max_size=3),
    st.sampled_from([None, ".", ","]),
    st.sampled_from([(), ("epoch",), ("epoch_ms",), ("%d.%m.%y", "%H:%M %d/%m/%Y")]),
)
def test_no_value_raises_anything_but_a_refusal_with_a_code(
    raw: Any, kind: Any, empty: list[Any], decimal: Any, formats: tuple[str, ...]
) -> None:
    conversion = Conversion(kind=kind, empty=empty, decimal=decimal, formats=formats)
    try:
        value = conversion.convert(raw)
    except CannotConvert as error:
        code = error.code
    else:
        code, kinds = "", {"integer": int, "number": int | float, "boolean": bool}
        expected = str if kind in {"text", "verbatim", "date"} else kinds.get(kind, object)
        assert value is None or isinstance(value, expected)
    assert code in {
        "",
        "not_text",
        "not_integer",
        "not_number",
        "not_boolean",
        "not_a_date",
        "out_of_range",
    }
