"""What a hook says beside the point never costs the feedback."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.domain.fitting import fit
from services.ingest.domain.part import TEXTS
from services.ingest.schemas import understand
from shared.errors import Invalid

NOW = datetime(2026, 3, 2, tzinfo=UTC)
RESPONSE: dict[str, Any] = {"external_id": "A-1", "score": 3}


@pytest.mark.parametrize(
    ("beside", "pointer"),
    [
        *(({name: "long " * 80}, f"/{name}") for name in TEXTS),
        ({"product": "Red\nshoe"}, "/product"),
        ({"comment": "no " * 5_000}, "/comment"),
        ({"comment": "stopped\x00here"}, "/comment"),
        ({"customer": {"name": "Ana " * 100}}, "/customer/name"),
        ({"attributes": {f"n{n}": n for n in range(60)}}, "/attributes"),
        ({f"n{n}": n for n in range(60)}, "/attributes"),
        ({"attributes": {"n" * 150: 1}}, "/attributes"),
        ({"attributes": {"list": list(range(2_000))}}, "/attributes"),
        ({"attributes": {"text": "x" * 20_000}}, "/attributes"),
    ],
)
def test_what_is_too_long_is_cut_and_said(beside: dict[str, Any], pointer: str) -> None:
    with pytest.raises(Invalid):
        understand({**RESPONSE, **beside}, now=NOW)

    members, warnings = fit({**RESPONSE, **beside})

    assert [one.pointer for one in warnings] == [pointer]
    assert understand(members, now=NOW).part.clear["score"] == 3


@pytest.mark.parametrize("wrong", [{"external_id": "x" * 201}, {"score": 11}, {"score": "9"}])
def test_id_and_score_stay_as_strict_as_ever(wrong: dict[str, Any]) -> None:
    members, warnings = fit({**RESPONSE, **wrong})

    assert warnings == ()
    with pytest.raises(Invalid):
        understand(members, now=NOW)


def test_what_fits_stays_as_it_is() -> None:
    whole = {
        **RESPONSE,
        "comment": " as\tit\ncame ",
        "product": "  Red shoe ",
        "customer": {"id": "C-1", "name": "Ana"},
        "attributes": {"shop": "Odense", "list": [1, 2]},
    }

    members, warnings = fit(whole)

    assert (members, warnings) == (whole, ())


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


@settings(derandomize=True, max_examples=300)
@given(
    st.dictionaries(st.sampled_from([*TEXTS, "comment", "shop", "till"]), _TEXT),
    st.dictionaries(_TEXT, _TEXT | st.integers(0, 9), max_size=60),
)
def test_nothing_beside_the_point_can_cost_an_answer(
    beside: dict[str, Any], attributes: dict[str, Any]
) -> None:
    members, _ = fit({**beside, "attributes": attributes, **RESPONSE})

    assert understand(members, now=NOW).external_id == "A-1"
