"""``closed-loop replay``: where nobody serves, and beside a running installation."""

from __future__ import annotations

import json
from pathlib import Path

from tests.adapters.test_cli import NOT_FOUND, OK
from tests.adapters.test_person_commands import Served
from tests.infra.processes import wait_until

TAXONOMY = {"themes": [{"id": "rain", "keywords": {"en": ["rain"]}}]}


def test_history_is_read_again_with_and_without_a_server(tmp_path: Path) -> None:
    shell = Served(folder=tmp_path)
    assert shell.run("migrate").returncode == OK
    before = shell.run("replay", "--status")
    child = shell.serve()
    try:
        for n in range(3):
            shell.post(n)
        wait_until(
            lambda: shell.call("GET", "/v1/themes").json()["comments"] == 3,
            what="the comments to be counted",
        )
        assert shell.call("PUT", "/v1/taxonomy", TAXONOMY).status_code == 200
        beside = shell.run("replay", "--json")
        themes = shell.call("GET", "/v1/themes").json()["data"]
    finally:
        child.stop(seconds=30)

    alone = shell.run("replay")
    status = shell.run("replay", "--status", "--json")

    assert before.returncode == NOT_FOUND
    assert beside.returncode == OK, beside.stderr
    first = json.loads(beside.stdout)
    assert (first["state"], first["done"], first["changed"]) == ("done", 3, 3)
    assert {one["id"]: one["mentions"] for one in themes if one["mentions"]} == {"rain": 3}
    assert alone.returncode == OK, alone.stderr
    assert f"fingerprint: {first['fingerprint']}" in alone.stdout
    assert "changed: 0" in alone.stdout
    second = json.loads(status.stdout)
    assert (second["state"], second["fingerprint"]) == ("done", first["fingerprint"])
