"""What tells taxonomies apart, and what another one would find, response by response."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from services.loop.themes.domain import Taxonomy, Theme
from services.loop.themes.domain.comparing import MOST_EXAMPLES, Comparison
from services.loop.themes.domain.differing import carried_over, differences, in_both

A = Theme(id="a", name="A", keywords={"en": ("one", "two")})
B = Theme(id="b", name="B")
C = Theme(id="c", name="C")
BASE = Taxonomy(themes=(A, B))


def kinds(before: Taxonomy, after: Taxonomy) -> list[tuple[str, str]]:
    return [(change.kind, change.theme_id) for change in differences(before, after)]


class TestDifferences:
    @pytest.mark.parametrize(
        ("theme", "kind"),
        [
            (replace(A, name="Other"), "renamed"),
            (replace(A, names={"de": "Ah"}), "translated"),
            (replace(A, department="dep_1"), "department"),
            (replace(A, parent="b"), "parent"),
            (replace(A, need="both"), "need"),
            (replace(A, intent=True), "intent"),
            (replace(A, retired=True), "retired"),
            (replace(A, retired=True, merged_into="b"), "merged"),
            (replace(A, keywords={"en": ("one",)}), "keywords"),
            (replace(A, exclude={"en": ("one",)}), "exclude"),
            (replace(A, examples={"en": ("one",)}), "examples"),
        ],
    )
    def test_every_part_of_a_theme_is_told_apart(self, theme: Theme, kind: str) -> None:
        assert kinds(BASE, Taxonomy(themes=(theme, B))) == [(kind, "a")]

    def test_what_is_the_same_differs_in_nothing(self) -> None:
        other_order = Theme(id="a", name="A", keywords={"en": ("two", "one")})

        assert kinds(BASE, BASE) == []
        assert kinds(BASE, Taxonomy(themes=(B, other_order))) == []

    def test_words_that_came_and_went_are_counted_by_language(self) -> None:
        after = replace(A, keywords={"en": ("two", "three"), "de": ("one",)})

        (change,) = differences(BASE, Taxonomy(themes=(after, B)))

        assert (change.more, change.fewer) == (2, 1)
        assert change.as_detail() == {"kind": "keywords", "theme": "a", "more": 2, "fewer": 1}

    def test_themes_come_go_and_return(self) -> None:
        assert kinds(BASE, Taxonomy(themes=(A, C))) == [("added", "c"), ("removed", "b")]
        gone = Taxonomy(themes=(replace(A, retired=True), B))
        assert kinds(gone, BASE) == [("brought_back", "a")]
        assert kinds(BASE, replace(BASE, max_themes=1)) == [("best_only", "")]
        assert kinds(replace(BASE, max_themes=1), BASE) == [("every_theme", "")]


class TestTwoChangesOfOne:
    def test_each_side_keeps_what_it_changed(self) -> None:
        ours = Taxonomy(themes=(replace(A, name="Ours"), B, C), max_themes=1)
        theirs = Taxonomy(themes=(A, replace(B, name="Theirs"), Theme(id="d", name="D")))

        together = carried_over(BASE, ours, theirs)

        names = [theme.name for theme in together.themes]
        assert names == ["Ours", "Theirs", "D", "C"]
        assert together.max_themes == 1
        assert in_both(BASE, ours, theirs) == []

    def test_where_both_changed_something_ours_stands_and_it_is_named(self) -> None:
        ours = Taxonomy(themes=(replace(A, name="Ours"), B))
        theirs = Taxonomy(themes=(replace(A, name="Theirs"), B))

        assert in_both(BASE, ours, theirs) == ["a"]
        assert carried_over(BASE, ours, theirs) == ours

    def test_the_same_change_on_both_sides_is_no_quarrel(self) -> None:
        both = Taxonomy(themes=(replace(A, name="New"), B))

        assert in_both(BASE, both, both) == []
        assert carried_over(BASE, both, both) == both

    def test_what_one_side_took_out_stays_out(self) -> None:
        without_b = Taxonomy(themes=(A,))

        assert carried_over(BASE, without_b, BASE) == without_b
        assert carried_over(BASE, BASE, without_b) == without_b


class TestComparison:
    def test_gains_losses_and_moves_are_counted(self) -> None:
        made = Comparison()
        made.add("r1", ["a"], ["a"])
        made.add("r2", ["a"], ["b"])
        made.add("r3", ["a", "b"], ["b"])
        made.add("r4", [], ["c"])
        made.add("r5", ["a"], [])

        assert (made.responses, made.changed) == (5, 4)
        assert (made.without_before, made.without_after) == (1, 1)
        shifts = {one.theme_id: one for one in made.shifts()}
        assert [one.theme_id for one in made.shifts()] == ["a", "b", "c"]
        lost = shifts["a"]
        assert (lost.before, lost.after, lost.gained, lost.lost) == (4, 1, 0, 3)
        assert lost.lost_ids == ("r2", "r3", "r5")
        assert shifts["b"].gained_ids == ("r2",)
        moves = [(one.theme_id, one.to, one.responses) for one in made.moves(9)]
        assert moves == [("a", "b", 1)]

    def test_no_order_of_responses_changes_anything(self) -> None:
        chance = random.Random(3)
        cases = [
            (f"r{n:03}", chance.sample("abcd", 2), chance.sample("abcd", 2)) for n in range(80)
        ]
        first, second = Comparison(), Comparison()
        for case in cases:
            first.add(*case)
        chance.shuffle(cases)
        for case in cases:
            second.add(*case)

        assert first == second
        assert all(len(one.gained_ids) == MOST_EXAMPLES for one in first.shifts())
