"""The page of requirements names tests, routes, pages and commands that exist."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence

import pytest

from tests.architecture.composed import ROOT, composed, doors
from tests.architecture.named_tests import gone, named
from tests.architecture.test_docs import COMMANDS, wrong_with

PAGE = ROOT / "docs" / "requirements.md"


def rows() -> Sequence[Mapping[str, str]]:
    """Return the table, column by name."""
    found = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if re.fullmatch(r"S-\d+", cells[0]):
            names = ("number", "asked", "where", "proof", "missing")
            found.append(dict(zip(names, cells, strict=True)))
    return found


ROWS = rows()


@pytest.fixture(params=ROWS, ids=lambda row: row["number"])
def row(request: pytest.FixtureRequest) -> Mapping[str, str]:
    """Every requirement."""
    found: Mapping[str, str] = request.param
    return found


@pytest.fixture(scope="module")
def addresses() -> set[str]:
    """Every ``GET /v1/tasks`` and every page, with its parameters unnamed."""

    async def look() -> set[str]:
        async with composed() as system:
            return {_unnamed(door.name) for door in doors(system.app)}

    return asyncio.run(look())


def _unnamed(address: str) -> str:
    return re.sub(r"{[a-z_]+}", "{}", address)


def test_the_numbers_stand_once_and_in_order() -> None:
    """So that a row is found."""
    numbers = [int(row["number"].removeprefix("S-")) for row in ROWS]

    assert len(numbers) > 25
    assert numbers == sorted(set(numbers))


def test_every_proof_is_a_test(row: Mapping[str, str]) -> None:
    """Renaming or removing one means looking at what it proved."""
    assert named(row["proof"])
    assert len(named(row["proof"])) == row["proof"].count("`") // 2
    assert gone(row["proof"]) == []


def test_every_place_exists(row: Mapping[str, str], addresses: set[str]) -> None:
    """A route with its method, a page, or a command."""
    places = re.findall(r"`([^`]+)`", row["where"])
    gone = []
    for place in places:
        if place.startswith("closed-loop "):
            if wrong_with(place.removeprefix("closed-loop ")):
                gone.append(place)
            continue
        wanted = place if " " in place else f"GET {place}"
        if _unnamed(wanted) not in addresses:
            gone.append(place)

    assert places
    assert gone == []


def test_every_row_says_in_words_of_its_own_what_is_asked(row: Mapping[str, str]) -> None:
    """A sentence, not a heading."""
    assert len(row["asked"].split()) >= 6


def test_commands_are_known_here() -> None:
    """Otherwise the check above would pass whatever stands on the page."""
    assert "key create" in COMMANDS
    assert wrong_with("nonsense") is not None
