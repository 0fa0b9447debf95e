"""A backup or a restore that dies leaves the installation as it was, and nothing half."""

from __future__ import annotations

import json
from pathlib import Path

from tests.adapters.test_cli import OK, Shell

DIED = 137


def test_dying_in_a_backup_or_a_restore_leaves_nothing_half(tmp_path: Path) -> None:
    shell = Shell(folder=tmp_path)
    (tmp_path / "answers.csv").write_text(
        "external_id,score,customer.id,comment\nA-1,2,C-1,The courier was late\n",
        encoding="utf-8",
    )
    imported = shell.run("import", "answers.csv", "--source", "crm", "--yes")
    assert imported.returncode == OK, imported.stderr
    whole = tmp_path / "backups" / "whole"

    for point in ("backup.copied", "backup.keys_written"):
        died = shell.run("backup", str(whole), CLOSED_LOOP_TEST_FAULT=f"{point}:1")
        assert died.returncode == DIED, died.stderr
        assert not whole.exists()
    made = shell.run("backup", str(whole), "--json")
    assert made.returncode == OK, made.stderr
    assert json.loads(made.stdout)["persons"] == 1
    database = tmp_path / "closed-loop.db"
    before = database.read_bytes()

    for _ in range(2):
        died = shell.run(
            "restore",
            str(whole),
            "--replace",
            "--yes",
            CLOSED_LOOP_TEST_FAULT="restore.filled:1",
        )
        assert died.returncode == DIED, died.stderr
        assert database.read_bytes() == before
    restored = shell.run("restore", str(whole), "--replace", "--yes", "--json")
    assert restored.returncode == OK, restored.stderr
    assert json.loads(restored.stdout)["persons"] == 1

    left = {path.name for path in (tmp_path / "backups").iterdir()}
    assert left == {"whole", "person-keys.ndjson"}
    assert not [path.name for path in tmp_path.iterdir() if "restoring" in path.name]
    again = shell.run("import", "answers.csv", "--source", "crm", "--yes", "--json")
    assert again.returncode == OK, again.stderr
    assert json.loads(again.stdout)["duplicates"] == 1
