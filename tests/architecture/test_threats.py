"""Every threat that the page of security lists is guarded by a test that exists."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.architecture.composed import ROOT
from tests.architecture.named_tests import gone, named

PAGES = ("data-protection.md", "security.md")


def threats() -> Sequence[Sequence[str]]:
    """Return the rows of the table of threats, without its head."""
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    table = text.partition("## Threats")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def test_every_threat_has_a_guard_and_a_test_of_it() -> None:
    rows = threats()

    assert len(rows) > 20
    assert {len(row) for row in rows} == {3}
    assert [threat for threat, guard, proof in rows if not guard or not named(proof)] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_is_named_exists(page: str) -> None:
    """Renaming or removing one means looking at what it guarded."""
    assert gone((ROOT / "docs" / page).read_text(encoding="utf-8")) == []


def test_a_test_that_is_not_there_is_missed() -> None:
    """The reader of the pages is no rubber stamp."""
    text = "`architecture/test_threats.py::test_no_such` and `nowhere/test_it.py::test_it`"

    assert gone(text) == ["test_no_such", "test_it"]
