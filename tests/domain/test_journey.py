"""Who answers for a touchpoint when, and which codes are one: tables and laws."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.loop.journey.domain import (
    BANK_REASONS,
    UNKNOWN,
    Aliases,
    Code,
    Overlaps,
    OwnerRef,
    Ownership,
    ended,
    in_force,
    moved,
    planned,
    taken_over,
    why_not_an_alias,
)

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ANA = OwnerRef(id="stf_ana", kind="person")
OLE = OwnerRef(id="stf_ole", kind="person")
CARE = OwnerRef(id="team_care", kind="team")


def at(day: int) -> datetime:
    """Return a moment by the day since the start."""
    return START + timedelta(days=day)


def period(
    name: str,
    first: int,
    last: int | None = None,
    owner: OwnerRef | None = ANA,
    department_id: str | None = None,
) -> Ownership:
    """Return a period from one day to another."""
    return Ownership(
        id=name,
        owner=owner,
        department_id=department_id,
        valid_from=at(first),
        valid_until=None if last is None else at(last),
    )


def days(periods: Sequence[Ownership]) -> list[tuple[str, int, int | None]]:
    """Return periods as their names and days."""
    return sorted(
        (
            one.id,
            (one.valid_from - START).days,
            None if one.valid_until is None else (one.valid_until - START).days,
        )
        for one in periods
    )


# ------------------------------------------------------------------ owners


def test_a_period_begins_with_its_first_moment_and_ends_before_its_last() -> None:
    one = period("a", 1, 3)

    assert [one.holds(at(day)) for day in (0, 1, 2, 3)] == [False, True, True, False]


def test_who_takes_over_now_ends_what_runs_and_what_was_planned() -> None:
    periods = [period("past", 0, 2), period("runs", 2, 9), period("planned", 9)]

    after = taken_over(periods, period("new", 5, owner=OLE), now=at(5))

    assert days(after) == [("new", 5, None), ("past", 0, 2), ("runs", 2, 5)]


def test_taking_the_owner_away_leaves_the_department() -> None:
    nobody = taken_over([period("runs", 0)], period("new", 5, owner=None), now=at(5))
    of_a_department = taken_over(
        [period("runs", 0)], period("new", 5, owner=None, department_id="dep_1"), now=at(5)
    )

    assert days(nobody) == [("runs", 0, 5)]
    assert days(of_a_department) == [("new", 5, None), ("runs", 0, 5)]


def test_a_touchpoint_moves_to_another_department_with_its_owner_and_its_plans() -> None:
    periods = [period("runs", 0, 8), period("planned", 8, owner=OLE)]

    after = moved(periods, "dep_1", new_id="new", now=at(5))

    assert days(after) == [("new", 5, 8), ("planned", 8, None), ("runs", 0, 5)]
    assert in_force(after, at(6)) == period("new", 5, 8, department_id="dep_1")


def test_a_department_alone_holds_until_somebody_owns_it() -> None:
    after = moved([period("planned", 8)], "dep_1", new_id="new", now=at(5))

    assert days(after) == [("new", 5, 8), ("planned", 8, None)]
    assert moved([], None, new_id="new", now=at(5)) == []


def test_a_handover_ends_the_former_period_where_the_next_begins() -> None:
    after = planned(
        [period("runs", 0)], period("next", 7, owner=OLE), rest_id="rest", now=at(5)
    )

    assert days(after) == [("next", 7, None), ("runs", 0, 7)]


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (7, 9),  # a stand-in for a while: who has it before and after must be said
        (3, None),  # from a moment that has passed
        (0, None),
    ],
)
def test_other_overlaps_are_refused(first: int, last: int | None) -> None:
    with pytest.raises(Overlaps):
        planned(
            [period("runs", 0)],
            period("new", first, last, owner=OLE),
            rest_id="rest",
            now=at(5),
        )


def test_an_end_that_was_agreed_is_not_moved_by_the_next_one() -> None:
    with pytest.raises(Overlaps):
        planned(
            [period("runs", 0, 9)],
            period("next", 7, owner=OLE),
            rest_id="rest",
            now=at(5),
        )


def test_a_department_alone_gives_way_to_an_owner_and_goes_on_behind() -> None:
    department = period("dep", 0, owner=None, department_id="dep_1")

    for_a_while = planned([department], period("new", 6, 8), rest_id="rest", now=at(5))
    for_good = planned([department], period("new", 6), rest_id="rest", now=at(5))
    at_once = planned(
        [period("dep", 5, owner=None, department_id="dep_1")],
        period("new", 5),
        rest_id="rest",
        now=at(5),
    )

    assert days(for_a_while) == [("dep", 0, 6), ("new", 6, 8), ("rest", 8, None)]
    assert days(for_good) == [("dep", 0, 6), ("new", 6, None)]
    assert days(at_once) == [("new", 5, None)]
    with pytest.raises(Overlaps):
        planned([department], period("new", 3, 4), rest_id="rest", now=at(5))


def test_a_period_that_never_began_is_gone() -> None:
    periods = [period("runs", 0, 7), period("planned", 7)]

    assert days(ended(periods, "planned", at=at(5))) == [("runs", 0, 7)]
    assert days(ended(periods, "runs", at=at(5))) == [("planned", 7, None), ("runs", 0, 5)]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["take over", "leave", "move", "plan", "end"]),
        st.integers(0, 6),
        st.integers(-4, 12),
        st.none() | st.integers(1, 8),
        st.sampled_from([ANA, OLE, CARE]),
    ),
    max_size=14,
)


@given(steps=STEPS)
def test_whatever_is_done_periods_never_overlap_and_the_past_stays(
    steps: list[tuple[str, int, int, int | None, OwnerRef]],
) -> None:
    periods: Sequence[Ownership] = []
    now = at(0)
    for number, (what, later, offset, length, owner) in enumerate(steps):
        now += timedelta(days=later)
        before = {day: in_force(periods, now - timedelta(days=day)) for day in range(1, 30)}
        begins = now + timedelta(days=offset)
        new = Ownership(
            id=f"own_{number}",
            owner=None if what == "leave" else owner,
            department_id=None,
            valid_from=begins,
            valid_until=None if length is None else begins + timedelta(days=length),
        )
        match what:
            case "take over" | "leave":
                lasting = Ownership(
                    id=new.id, owner=new.owner, department_id=None, valid_from=now
                )
                periods = taken_over(periods, lasting, now=now)
            case "move":
                periods = moved(periods, f"dep_{number}", new_id=new.id, now=now)
            case "plan":
                try:
                    periods = planned(periods, new, rest_id=f"rest_{number}", now=now)
                except Overlaps:
                    continue
            case _:
                running = [p for p in periods if p.valid_until is None or p.valid_until > now]
                if running:
                    periods = ended(periods, running[offset % len(running)].id, at=now)

        assert not any(one.overlaps(other) for one, other in combinations(periods, 2))
        assert all(p.valid_until is None or p.valid_from < p.valid_until for p in periods)
        for day, found in before.items():
            if found is not None:
                still = in_force(periods, now - timedelta(days=day))
                assert still is not None
                assert (still.id, still.owner) == (found.id, found.owner)


# ------------------------------------------------------------------ codes that are one


CODES = [f"code {n}" for n in range(6)]
MAPPINGS = st.lists(st.tuples(st.sampled_from(CODES), st.none() | st.sampled_from(CODES)))


@given(mappings=MAPPINGS)
def test_whatever_is_mapped_there_is_no_chain_and_every_code_means_one_thing(
    mappings: list[tuple[str, str | None]],
) -> None:
    targets: dict[str, str] = {}
    for code, target in mappings:
        if target is None:
            targets.pop(code, None)
        elif why_not_an_alias(code, target, aliases=Aliases(targets=targets), described=True):
            continue
        else:
            targets[code] = target
    aliases = Aliases(targets=targets)

    for code in CODES:
        assert aliases.resolve(aliases.resolve(code)) == aliases.resolve(code)
        assert {code, aliases.resolve(code)} <= aliases.of(code)
        assert all(aliases.of(other) == aliases.of(code) for other in aliases.of(code))
    meant = {aliases.of(code) for code in CODES}
    assert sorted(code for group in meant for code in group) == CODES


@pytest.mark.parametrize(
    ("code", "target", "described", "why"),
    [
        ("door", "front-door", True, None),
        ("door", "door", True, "itself"),
        ("door", "nowhere", False, "unknown_code"),
        ("door", "portal", True, "stands_for_another"),
        ("gate", "front-door", True, "others_stand_for"),
        (UNKNOWN, "front-door", True, "reserved"),
        ("door", UNKNOWN, True, "reserved"),
        ("other", "front-door", True, "reserved"),
    ],
)
def test_what_cannot_stand_for_another(
    code: str, target: str, described: bool, why: str | None
) -> None:
    aliases = Aliases(targets={"portal": "gate"})

    found = why_not_an_alias(
        code, target, aliases=aliases, described=described, reserved={"other"}
    )

    assert found == why


# ------------------------------------------------------------------ names


def test_a_code_has_a_name_in_every_language() -> None:
    now = START
    code = Code(
        kind="segment",
        code="PK",
        labels={"en": "Private", "de": "Privat"},
        described=True,
        first_seen_at=now,
        version=1,
    )
    danish = Code(
        kind="segment", code="X", labels={"da": "Erhverv"}, described=True,
        first_seen_at=now, version=1,
    )  # fmt: skip

    assert [code.name_in(tag) for tag in ("de", "en", "pl")] == ["Privat", "Private", "Private"]
    assert danish.name_in("de") == "Erhverv"
    assert Code(
        kind="segment", code="7", labels={}, described=False, first_seen_at=now, version=1
    ).name_in("de") == "7"  # fmt: skip


def test_the_ten_reasons_of_a_bank_are_named_in_five_languages() -> None:
    assert len(BANK_REASONS) == 10
    assert all(
        set(labels) == {"en", "da", "de", "pl", "cs"} for labels in BANK_REASONS.values()
    )
