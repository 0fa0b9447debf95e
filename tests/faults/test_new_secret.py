"""Killed while everything comes under a new secret: the command goes on, nothing is lost."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.adapters.test_cli import OK, REFUSED, Shell

OLD = "the secret of the first years, long enough"
NEW = "the secret that takes its place, as long"
BOTH = {"CLOSED_LOOP_SECRET": NEW, "CLOSED_LOOP_SECRET_PREVIOUS": OLD}
ROWS = 1_200
KNOWN = {"accepted": 0, "duplicates": ROWS}


def take_in(shell: Shell, **settings: str) -> dict[str, int]:
    """Take the same file in, by a process that serves while it does."""
    done = shell.run("import", "answers.csv", "--source", "crm", "--yes", "--json", **settings)
    assert done.returncode == OK, done.stderr
    counts = json.loads(done.stdout)
    return {name: counts[name] for name in ("accepted", "duplicates")}


def rewrap(shell: Shell, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    return shell.run("secret", "rewrap", "--json", **settings)


def test_dying_twice_while_the_secret_is_replaced_loses_nothing(tmp_path: Path) -> None:
    shell = Shell(folder=tmp_path)
    rows = [f"A-{n},{n % 11},C-{n},fine number {n}" for n in range(ROWS)]
    (tmp_path / "answers.csv").write_text(
        "\n".join(["external_id,score,customer.id,comment", *rows]), encoding="utf-8"
    )
    assert take_in(shell, CLOSED_LOOP_SECRET=OLD) == {"accepted": ROWS, "duplicates": 0}

    early = rewrap(shell, **BOTH)
    assert early.returncode == REFUSED  # nobody serves with the new secret yet
    assert "does not know the new" in early.stderr
    assert take_in(shell, **BOTH) == KNOWN
    for arrival in (1, 2):
        died = rewrap(shell, **BOTH, CLOSED_LOOP_TEST_FAULT=f"secret.rewrapping:{arrival}")
        assert died.returncode == 137
    too_soon = rewrap(shell, CLOSED_LOOP_SECRET=NEW)
    assert too_soon.returncode == REFUSED
    assert "CLOSED_LOOP_SECRET_PREVIOUS" in too_soon.stderr
    done = rewrap(shell, **BOTH)
    last = rewrap(shell, CLOSED_LOOP_SECRET=NEW)

    assert done.returncode == last.returncode == OK, done.stderr + last.stderr
    came_to, left = json.loads(done.stdout), json.loads(last.stdout)
    # The first death took its step back, the second one left a step standing.
    assert came_to["already"] >= 500
    assert came_to["rewrapped"] + came_to["already"] >= ROWS
    assert came_to["previous_may_go"] is True
    assert (left["rewrapped"], left["unreadable"]) == (0, 0)
    assert take_in(shell, CLOSED_LOOP_SECRET=NEW) == KNOWN
