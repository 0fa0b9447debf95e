"""Conditions of rules as a table, and what no chain of deputies can end in: nobody."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.loop.journey.domain import OwnerRef
from services.loop.tasks.domain.conditions import (
    Circumstances,
    Condition,
    holds,
    why_not,
)
from services.loop.tasks.domain.routing import (
    OwnerChoice,
    Roster,
    StandIn,
    choose_owner,
)
from tests.follow_up import CARE, a_response

AROUND = Circumstances(
    themes=frozenset({"waiting", "price"}),
    annual_value=1200.0,
    repeat=True,
    codes={"touchpoint/hotline": "support-call", "touchpoint/support-call": "support-call"},
)
ANSWER = a_response(segment="Gold", language="de-AT", touchpoint="hotline", score=4)


@pytest.mark.parametrize(
    ("field", "op", "value", "expected"),
    [
        ("segment", "is", "gold", True),
        ("segment", "is_not", "Gold", False),
        ("segment", "in", ["Silver", "GOLD"], True),
        ("segment", "not_in", ["Silver"], True),
        ("product", "is", "loan", False),
        ("product", "is_not", "loan", True),
        ("product", "exists", True, False),
        ("product", "exists", False, True),
        ("touchpoint", "is", "support-call", True),
        ("touchpoint", "is", "hotline", True),
        ("language", "is", "de", True),
        ("language", "is", "de-at", True),
        ("language", "is", "en", False),
        ("theme", "is", "waiting", True),
        ("theme", "in", ["staff", "price"], True),
        ("theme", "is_not", "waiting", False),
        ("theme", "exists", True, True),
        ("score", "at_most", 4, True),
        ("score", "at_least", 5, False),
        ("score", "in", [4, 5], True),
        ("annual_value", "at_least", 1200, True),
        ("annual_value", "at_most", 1199.5, False),
        ("repeat", "is", True, True),
        ("has_comment", "is", False, False),
        ("category", "is", "detractor", True),
        ("metric", "is", "nps", True),
        ("source", "is", "CRM", True),
    ],
)
def test_a_condition_holds_or_not(field: Any, op: Any, value: Any, expected: bool) -> None:
    condition = Condition(field=field, op=op, value=value)

    assert why_not(condition) is None
    assert holds(condition, ANSWER, AROUND) is expected


def test_what_nobody_knows_is_neither_high_nor_low() -> None:
    unscored = a_response(score=None)
    for op in ("at_least", "at_most"):
        condition = Condition(field="annual_value", op=op, value=0)
        assert not holds(condition, unscored, Circumstances())


@pytest.mark.parametrize(
    ("field", "op", "value"),
    [
        ("segment", "at_least", "a"),
        ("segment", "is", 3),
        ("segment", "is", ""),
        ("segment", "in", []),
        ("segment", "in", "Gold"),
        ("score", "is", "low"),
        ("score", "is", True),
        ("repeat", "is", "yes"),
        ("repeat", "exists", True),
        ("has_comment", "at_most", 1),
        ("theme", "exists", "yes"),
    ],
)
def test_what_cannot_be_compared_is_told_before_it_is_kept(
    field: Any, op: Any, value: Any
) -> None:
    assert why_not(Condition(field=field, op=op, value=value)) is not None


PEOPLE = [f"stf_{n}" for n in range(5)]
IDS = st.sampled_from([*PEOPLE, "team_1", "team_2"])
MAYBE = st.none() | IDS
CHOICES = st.builds(
    OwnerChoice,
    kind=st.sampled_from(["touchpoint_owner", "contact_owner", "team", "person"]),
    id=MAYBE,
    deputy=MAYBE,
)
ROSTERS = st.builds(
    Roster,
    able=st.frozensets(IDS),
    out=st.dictionaries(
        st.sampled_from(PEOPLE),
        st.builds(StandIn, why=st.sampled_from(["absent", "full"]), deputy=MAYBE),
    ),
)


def _ref(owner_id: str | None) -> OwnerRef | None:
    if owner_id is None:
        return None
    return OwnerRef(id=owner_id, kind="team" if owner_id.startswith("team_") else "person")


@given(choice=CHOICES, roster=ROSTERS, touchpoint=MAYBE, contact=MAYBE)
def test_whoever_gets_it_can_do_it_or_it_is_the_last_team(
    choice: OwnerChoice, roster: Roster, touchpoint: str | None, contact: str | None
) -> None:
    routed = choose_owner(
        choice,
        of_touchpoint=_ref(touchpoint),
        contact=_ref(contact),
        roster=roster,
        last=CARE,
    )

    who = routed.owner.id
    assert routed.owner == CARE or (who in roster.able and who not in roster.out)
    assert routed.because
    assert (routed.because[-1] == f"last:{CARE.id}") is (routed.owner == CARE)


@given(choice=CHOICES, roster=ROSTERS, touchpoint=MAYBE, contact=MAYBE)
def test_whoever_is_meant_and_there_gets_it(
    choice: OwnerChoice, roster: Roster, touchpoint: str | None, contact: str | None
) -> None:
    meant = {"touchpoint_owner": touchpoint, "contact_owner": contact}.get(
        choice.kind, choice.id
    )
    routed = choose_owner(
        choice,
        of_touchpoint=_ref(touchpoint),
        contact=_ref(contact),
        roster=roster,
        last=CARE,
    )

    if meant is not None and meant in roster.able and meant not in roster.out:
        assert (routed.owner.id, routed.because) == (meant, (f"{choice.kind}:{meant}",))
