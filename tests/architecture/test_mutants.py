"""The list of mutants speaks of the code, the tests and the promises as they are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

import pytest
import yaml

from tests.architecture.composed import ROOT

MUTANTS: list[Mapping[str, str]] = yaml.safe_load(
    (ROOT / "tests" / "mutants" / "list.yaml").read_text(encoding="utf-8")
)
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `([a-z-]+)` \| .+ \| (.+) \| (.+) \|$", PAGE, flags=re.MULTILINE)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda one: one["promise"])
def test_a_mutant_changes_one_place_and_names_a_test(mutant: Mapping[str, str]) -> None:
    """`make mutants` would stop at one that does not."""
    text = (ROOT / mutant["file"]).read_text(encoding="utf-8")

    assert text.count(mutant["before"]) == 1, "say which line guards this promise now"
    assert mutant["before"] != mutant["after"]
    assert defines(mutant["test"])


def defines(test: str) -> bool:
    """Tell whether there is such a test."""
    path, _, rest = test.partition("::")
    name = re.sub(r"\[.*\]$", "", rest.rpartition("::")[2])
    return f"def {name}(" in (ROOT / path).read_text(encoding="utf-8")


def test_every_mutant_has_a_name_of_its_own() -> None:
    named = Counter(one["promise"] for one in MUTANTS)
    assert [name for name, number in named.items() if number > 1] == []


def test_every_promise_of_the_page_has_tests_and_mutants() -> None:
    assert {name for name, _, _ in ROWS} == {one["row"] for one in MUTANTS}
    assert len(ROWS) == len({name for name, _, _ in ROWS})
    for name, held_by, line in ROWS:
        assert line in {one["promise"] for one in MUTANTS if one["row"] == name}, name
        for test in re.findall(r"`([^`]+)`", held_by):
            named = f"tests/{test}"
            assert defines(named) if "::" in test else (ROOT / named).is_file(), test
