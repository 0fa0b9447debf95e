"""Groups keep their identity from night to night, and tell only what several customers said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import combinations, permutations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.loop.responses.domain import Response
from services.loop.themes.domain.assignment import paired
from services.loop.themes.domain.discoveries import (
    MISSED_AT_MOST,
    WEEKS,
    Discovery,
    Found,
    Read,
    begun,
    same_as,
    without_covers,
    worth_telling,
)
from services.loop.themes.domain.discovery import Cluster

NOW = datetime(2026, 3, 2, 3, tzinfo=UTC)
DAY = timedelta(days=1)


def group(*members: str, label: str = "locker") -> Found:
    return Found(
        label=label,
        keywords={"en": (label,)},
        members=members,
        typical=members[:3],
        persons=len(members),
        rated=len(members),
        low=1,
        weekly=(0,) * (WEEKS - 1) + (len(members),),
    )


def best(weights: dict[tuple[int, int], float]) -> float:
    """Return the weight of the best pairing, by trying every one."""
    lefts = sorted({left for left, _ in weights})
    rights = sorted({right for _, right in weights})
    return max(
        sum(weights.get(pair, 0.0) for pair in zip(some, others, strict=True))
        for n in range(min(len(lefts), len(rights)) + 1)
        for some in combinations(lefts, n)
        for others in permutations(rights, n)
    )


@pytest.mark.parametrize("seed", range(60))
def test_pairs_weigh_as_much_as_any_pairing_can(seed: int) -> None:
    chance = Random(seed)
    weights = {
        (left, right): chance.random()
        for left in range(chance.randint(1, 5))
        for right in range(chance.randint(1, 5))
        if chance.random() < 0.6
    }

    found = paired(weights)

    assert len(set(found.values())) == len(found)
    assert sum(weights[pair] for pair in found.items()) == pytest.approx(best(weights))


def test_a_group_is_the_one_it_shares_most_with_and_nothing_is_two() -> None:
    former = {"a": ["1", "2", "3", "4"], "b": ["5", "6", "7", "8"], "c": ["9"]}

    same = same_as(former, [["4", "5", "6", "7"], ["1", "2", "3", "10"], ["11", "12"]])

    assert same == {0: "b", 1: "a"}


def test_little_in_common_is_nothing_in_common() -> None:
    shared = [str(n) for n in range(3)]

    # 3 of 10 comments are a Jaccard index of 0.3, 3 of 11 are less.
    assert same_as({"a": [*shared, "x1", "x2", "x3"]}, [[*shared, *"qrst"]]) == {0: "a"}
    assert same_as({"a": [*shared, "x1", "x2", "x3"]}, [[*shared, *"qrstu"]]) == {}


@given(st.randoms(use_true_random=False))
def test_identity_does_not_depend_on_the_order_of_anything(chance: Random) -> None:
    former = {
        f"dsc_{n}": [f"r{m}" for m in range(40) if chance.random() < 0.2] for n in range(6)
    }
    found = [[f"r{m}" for m in range(40) if chance.random() < 0.2] for _ in range(6)]
    order = chance.sample(range(6), 6)

    there = same_as(former, found)
    shuffled = same_as(
        dict(chance.sample(list(former.items()), len(former))),
        [chance.sample(found[n], len(found[n])) for n in order],
    )

    weight = {
        (n, one): len({*found[n]} & {*former[one]}) / len({*found[n]} | {*former[one]})
        for pairs in (there, {order[n]: one for n, one in shuffled.items()})
        for n, one in pairs.items()
    }
    assert sum(weight[pair] for pair in there.items()) == pytest.approx(
        sum(weight[order[n], one] for n, one in shuffled.items())
    )


def nights(*found: Found | None) -> Discovery | None:
    """Let a group live through some nights; None is a night that did not find it."""
    first, *others = found
    assert first is not None
    one: Discovery | None = begun("dsc_1", first, now=NOW)
    for number, each in enumerate(others, start=1):
        now = NOW + number * DAY
        if one is None:
            return None
        one = one.seen(each, now=now) if each else one.missing(now=now)
    return one


def test_a_group_is_shown_after_two_nights_in_a_row_and_not_before() -> None:
    once, twice = nights(group("1")), nights(group("1"), group("1", "2"))

    assert once is not None
    assert once.state == "waiting"
    assert nights(group("1"), None) is None
    assert twice is not None
    assert (twice.state, twice.size, twice.first_seen_at) == ("shown", 2, NOW)


def test_a_shown_group_may_be_missing_for_some_nights() -> None:
    shown = [group("1"), group("1")]

    kept = nights(*shown, *[None] * (MISSED_AT_MOST - 1))
    back = nights(*shown, *[None] * (MISSED_AT_MOST - 1), group("1"), None)

    assert kept is not None
    assert kept.state == "shown"
    assert nights(*shown, *[None] * MISSED_AT_MOST) is None
    assert back is not None
    assert (back.state, back.missed) == ("shown", 1)


@pytest.mark.parametrize("state", ["adopted", "dismissed"])
def test_what_was_decided_stays_decided_as_long_as_comments_go_back(state: str) -> None:
    shown = nights(group("1"), group("1"))
    assert shown is not None
    decided = shown.decided(state, by="stf_1", now=NOW)  # type: ignore[arg-type] # one of them

    again = decided.seen(group("1", "2", label="shelf"), now=NOW + 2 * DAY)

    assert (again.state, again.label, again.size) == (state, "shelf", 2)
    assert decided.missing(now=NOW + timedelta(weeks=WEEKS)) is not None
    assert decided.missing(now=NOW + timedelta(weeks=WEEKS, days=2)) is None


def comment(number: int, text: str, *, person: str = "", language: str = "en") -> Read:
    response = Response(
        id=f"r{number}",
        revision=1,
        source="crm",
        measurement="transactional",
        metric="nps",
        score=number % 11,
        category=None,
        sentiment="negative" if number % 2 else None,
        language=language,
        touchpoint=None,
        segment=None,
        product=None,
        channel=None,
        reason=None,
        emotion=None,
        question_version=None,
        answered_at=NOW - number * timedelta(days=6),
        received_at=NOW,
        as_new=False,
        person_ref=person or f"per_{number}",
        has_comment=True,
        sealed_person=None,
    )
    return Read(response=response, text=text)


def told(label: str, keywords: tuple[str, ...], *comments: Read) -> Found | None:
    read = {one.response.id: one for one in comments}
    ids = tuple(sorted(read))
    cluster = Cluster(ids, label, {"en": keywords}, (ids[0], ids[-1], ids[0]))
    return worth_telling(cluster, read, names={"smith", "uwe"}, now=NOW)


def test_only_words_of_three_customers_are_told() -> None:
    found = told(
        "lockers, Kowalska, full",
        ("lockers", "kowalska", "full", "4711"),
        comment(1, "The locker was full, 4711, Kowalska", person="per_a"),
        comment(2, "lockers full 4711 Kowalska", person="per_a"),
        comment(3, "Locker full, 4711!", person="per_b"),
        comment(4, "All lockers were full 4711", person="per_c"),
    )

    assert found is not None
    assert found.label == "lockers, full"
    assert found.keywords == {"en": ("lockers", "full")}
    assert (found.persons, found.rated, found.low) == (3, 2, 2)
    assert found.typical == ("r1", "r4")
    # Six, twelve, 18 and 24 days ago.
    assert found.weekly[-4:] == (1, 1, 1, 1)


def test_how_often_a_colleague_is_named_is_no_theme() -> None:
    comments = [comment(n, f"Mr Smith, smiths counter {n}") for n in range(1, 5)]

    found = told("smith, counter", ("smith", "smiths", "counter"), *comments)

    assert found is not None
    assert (found.label, found.keywords) == ("counter", {"en": ("counter",)})
    assert told("Uwe", ("Uwe",), *(comment(n, "Uwe again") for n in range(1, 5))) is None


def test_a_group_of_two_customers_is_nobodys_business() -> None:
    comments = [comment(n, "locker full", person=f"per_{n % 2}") for n in range(1, 9)]

    assert told("locker", ("locker",), *comments) is None


def test_a_group_without_a_common_word_has_nothing_to_show() -> None:
    comments = [comment(n, word) for n, word in enumerate(["one", "two", "three"], start=1)]

    assert told("", ("one",), *comments) is None


def test_what_was_covered_up_is_no_word() -> None:
    assert without_covers("[name] called [number], wrote to [e-mail]").split() == [
        "called",
        ",",
        "wrote",
        "to",
    ]
