"""The list of mutants speaks of the code and the tests as they are."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
import yaml

from tests.architecture.composed import ROOT

MUTANTS: list[Mapping[str, str]] = yaml.safe_load(
    (ROOT / "tests" / "mutants" / "list.yaml").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda one: one["promise"])
def test_a_mutant_changes_one_place_and_names_a_test(mutant: Mapping[str, str]) -> None:
    """`make mutants` would stop at one that does not."""
    text = (ROOT / mutant["file"]).read_text(encoding="utf-8")
    path, _, rest = mutant["test"].partition("::")
    name = re.sub(r"\[.*\]$", "", rest.rpartition("::")[2])

    assert text.count(mutant["before"]) == 1
    assert mutant["before"] != mutant["after"]
    assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8")
