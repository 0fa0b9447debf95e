"""The command line as an operator meets it: examples, exit codes, data apart from talk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer.main
from typer.testing import CliRunner

from services.cli import app
from tests.infra.processes import LOOPBACK, Child, accepts, free_port

ROOT = Path(__file__).parents[2]
OK, FAILED, USAGE, NOT_FOUND, REFUSED = 0, 1, 2, 3, 4


@dataclass(frozen=True, kw_only=True)
class Shell:
    """A folder, a database in it, and our program at hand."""

    folder: Path
    program: Sequence[str] = (sys.executable, "-m", "services")

    @property
    def environment(self) -> Mapping[str, str]:
        """Return the machine's environment with nothing of ours but a database."""
        machine = os.environ.items()  # noqa: TID251 - a child needs PATH and the like
        return {
            **{name: value for name, value in machine if not name.startswith("CLOSED_LOOP_")},
            "PYTHONPATH": str(ROOT),
            "CLOSED_LOOP_DATABASE_URL": f"sqlite+aiosqlite:///{self.folder}/closed-loop.db",
        }

    def run(
        self, *words: str, given: str = "", **settings: str
    ) -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        return subprocess.run(  # noqa: S603 - our own program
            [*self.program, *words],
            cwd=self.folder,
            env={**self.environment, **settings},
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """An installation that has been migrated once; each test adds what it needs."""
    made = Shell(folder=tmp_path_factory.mktemp("cli"))
    done = made.run("migrate")
    assert done.returncode == OK, done.stderr
    assert done.stdout == ""
    assert "Next: closed-loop serve" in done.stderr
    return made


def every_command() -> Iterator[Sequence[str]]:
    """Return the words of every command."""

    def walk(command: Any, words: Sequence[str]) -> Iterator[Sequence[str]]:
        children = getattr(command, "commands", None)
        if children is None:
            yield words
            return
        for name, child in children.items():
            yield from walk(child, [*words, name])

    yield from walk(typer.main.get_command(app), [])


# ------------------------------------------------------------------ help


@pytest.mark.parametrize("words", list(every_command()), ids=" ".join)
def test_help_starts_with_two_examples(words: Sequence[str]) -> None:
    """What most people look for comes first."""
    shown = CliRunner().invoke(app, [*words, "--help"])
    lines = [line.strip() for line in shown.stdout.splitlines() if line.strip()]

    assert shown.exit_code == OK
    assert lines[0].startswith("Usage: ")
    assert lines[1] == "Examples:"
    assert all("closed-loop" in line or "python -m services" in line for line in lines[2:4])


def test_the_promised_commands_exist() -> None:
    """Those of the first release; a command that goes is a broken promise."""
    promised = {
        "bench",
        "check",
        "dead-letters discard",
        "dead-letters list",
        "dead-letters replay",
        "dead-letters show",
        "demo",
        "import",
        "key create",
        "key list",
        "key revoke",
        "key rotate",
        "migrate",
        "openapi",
        "replay",
        "sample remove",
        "serve",
        "source list",
        "source set",
        "source show",
        "source try",
        "themes classify",
        "themes discover",
        "user add",
        "user disable",
        "user enable",
        "user list",
        "user reset",
    }

    assert {" ".join(words) for words in every_command()} >= promised


# ------------------------------------------------------------------ the wrong folder


@pytest.mark.parametrize(
    "words",
    [
        ("key", "list"),
        ("key", "revoke", "key_x"),
        ("user", "list"),
        ("source", "show", "crm"),
        ("dead-letters", "list"),
    ],
)
def test_looking_in_an_empty_folder_begins_no_installation(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    """Whoever is in the wrong place is told so, and not shown an empty installation."""
    done = Shell(folder=tmp_path).run(*words)

    assert (done.returncode, done.stdout) == (NOT_FOUND, "")
    assert f"no installation at {tmp_path}/closed-loop.db" in done.stderr
    assert "CLOSED_LOOP_DATABASE_URL" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_first_key_begins_an_installation_and_says_so(tmp_path: Path) -> None:
    """Once; the next command finds it there."""
    first = Shell(folder=tmp_path).run("key", "create", "--source", "crm")
    second = Shell(folder=tmp_path).run("key", "create", "--source", "shop")

    assert first.returncode == second.returncode == OK
    assert f"no installation at {tmp_path}/closed-loop.db: this begins one" in first.stderr
    assert "installation" not in second.stderr


# ------------------------------------------------------------------ data and talk


def test_a_person_is_added_and_listed(shell: Shell) -> None:
    """The password is the only thing on standard output, once."""
    added = shell.run("user", "add", "ana@example.org", "--name", "Ana Ruiz", "--role", "lead")
    listed = shell.run("user", "list", "--json")
    again = shell.run("user", "add", "ana@example.org")

    assert added.returncode == OK
    assert len(added.stdout.split()) == 1
    assert "ana@example.org can sign in" in added.stderr
    (ana,) = [one for one in json.loads(listed.stdout) if one["email"] == "ana@example.org"]
    assert (ana["name"], ana["role"], ana["state"]) == ("Ana Ruiz", "lead", "active")
    assert added.stdout.strip() not in listed.stdout
    assert (again.returncode, again.stdout) == (REFUSED, "")


def test_a_person_who_is_disabled_stays_on_the_list(shell: Shell) -> None:
    """And can be told apart."""
    shell.run("user", "add", "gone@example.org")
    done = shell.run("user", "disable", "gone@example.org")
    listed = json.loads(shell.run("user", "list", "--json").stdout)

    assert done.returncode == OK
    assert {one["email"]: one["state"] for one in listed}["gone@example.org"] == "disabled"


def test_a_key_is_shown_once_and_listed_by_its_prefix(shell: Shell) -> None:
    """Revoking it needs its id only."""
    made = shell.run("key", "create", "--source", "crm")
    (key,) = [
        one
        for one in json.loads(shell.run("key", "list", "--json").stdout)
        if one["source"] == "crm"
    ]
    revoked = shell.run("key", "revoke", key["id"])

    plain = made.stdout.strip()
    assert plain.startswith(key["prefix"])
    assert plain not in json.dumps(key)
    assert key["scopes"] == "responses:write"
    assert (revoked.returncode, revoked.stdout) == (OK, "")


def test_a_key_is_replaced_and_a_test_key_says_what_it_is(shell: Shell) -> None:
    """The new key is data, what happens to the old one is talk."""
    first = shell.run("key", "create", "--source", "trial", "--test")
    listed = json.loads(shell.run("key", "list", "--json").stdout)
    (key,) = [one for one in listed if one["source"] == "trial"]
    second = shell.run("key", "rotate", key["id"], "--overlap-hours", "1")
    again = shell.run("key", "rotate", key["id"])
    wide = shell.run("key", "create", "--source", "x", "--test", "--scope", "tasks:write")

    assert first.stdout.startswith("cft_")
    assert key["test"] is True
    assert second.returncode == OK, second.stderr
    assert second.stdout.startswith("cft_")
    assert f"takes the place of {key['id']}" in second.stderr
    assert second.stdout.strip() not in second.stderr
    assert (again.returncode, again.stdout) == (REFUSED, "")
    assert (wide.returncode, wide.stdout) == (FAILED, "")


def test_a_source_is_set_shown_listed_and_tried(shell: Shell) -> None:
    """What is not named stays as it is; trying records nothing."""
    mapping = shell.folder / "shop.yaml"
    mapping.write_text("version: 1\nfields: {external_id: nr, score: stars}\n")
    payload = shell.folder / "payload.json"
    payload.write_text('{"nr": 1, "stars": 3}')

    made = shell.run("source", "set", "shop", "--mapping", str(mapping), "--namespace", "n")
    again = shell.run("source", "set", "shop", "--silent-after-hours", "24")
    cleared = shell.run("source", "set", "shop", "--clear", "namespace")
    shown = json.loads(shell.run("source", "show", "shop", "--json").stdout)
    listed = json.loads(shell.run("source", "list", "--json").stdout)
    tried = shell.run("source", "try", "shop", str(payload), "--json")

    assert [one.returncode for one in (made, again, cleared)] == [OK] * 3, made.stderr
    assert (shown["namespace"], shown["silent_after_hours"], shown["version"]) == (None, 24, 3)
    assert shown["mapping"]["fields"] == {"external_id": "nr", "score": "stars"}
    assert [one["name"] for one in listed if one["name"] == "shop"] == ["shop"]
    assert json.loads(tried.stdout) == [{"status": "accepted", "revision": 1}]
    assert json.loads(shell.run("source", "show", "shop", "--json").stdout) == shown
    shown_to_people = shell.run("source", "show", "shop").stdout
    assert "mapping:" in shown_to_people
    assert "secrets: 0" in shown_to_people
    assert "own mapping" in shell.run("source", "list").stdout


def test_a_payload_that_would_be_rejected_says_where_and_fails(shell: Shell) -> None:
    """By exit code, so that a script can tell."""
    mapping = shell.folder / "late.yaml"
    mapping.write_text("version: 1\nfields: {external_id: nr, score: stars}\n")
    payload = shell.folder / "late.json"
    payload.write_text('{"stars": 3}')

    tried = shell.run("source", "try", "late", str(payload), "--mapping", str(mapping))
    broken = shell.run("source", "set", "late", "--sender", "nobody-knows")
    unknown = shell.run("source", "set", "late", "--clear", "everything")
    nobody = shell.run("source", "show", "late")

    assert tried.returncode == FAILED
    assert "missing" in tried.stdout
    assert "nr" in tried.stdout
    assert (broken.returncode, unknown.returncode) == (FAILED, FAILED)
    assert "/sender" in broken.stderr
    assert nobody.returncode == NOT_FOUND


def test_check_looks_at_every_part(shell: Shell) -> None:
    """One object a part; the same as a table for people."""
    done = shell.run("check", "--json")
    table = shell.run("check")

    found = {one["what"]: one["state"] for one in json.loads(done.stdout)}
    assert (done.returncode, table.returncode) == (OK, OK)
    assert set(found) >= {"secret", "database", "clock", "bus", "disk"}
    # What is unwise about the machine is noted, and no failure.
    assert {state for what, state in found.items() if what != "machine"} == {"ok"}
    assert table.stdout.split()[:3] == ["what", "state", "detail"]


def test_sample_data_is_removed_by_whoever_says_so(shell: Shell) -> None:
    """Nobody is asked where nobody could answer; where there is none, that is no failure."""
    unsure = shell.run("sample", "remove")
    done = shell.run("sample", "remove", "--yes", "--json")
    said = shell.run("sample", "remove", "--yes")

    assert (unsure.returncode, unsure.stdout) == (REFUSED, "")
    assert "--yes" in unsure.stderr
    assert (done.returncode, json.loads(done.stdout)) == (OK, {"responses": 0})
    assert "There is no sample data here." in said.stderr


def test_no_dead_letter_is_an_empty_list(shell: Shell) -> None:
    """JSON stays JSON when there is nothing to say."""
    done = shell.run("dead-letters", "list", "--json")

    assert (done.returncode, json.loads(done.stdout)) == (OK, [])


def test_the_interface_description_needs_no_installation(tmp_path: Path) -> None:
    """And leaves nothing behind."""
    done = Shell(folder=tmp_path).run("openapi")

    assert done.returncode == OK, done.stderr
    assert "/v1/responses" in json.loads(done.stdout)["paths"]
    assert list(tmp_path.iterdir()) == []


def test_comments_are_classified_line_by_line(tmp_path: Path) -> None:
    """A line that cannot be read is named; the others are answered all the same."""
    lines = '{"id": "1", "text": "Waited forty minutes", "lang": "en"}\nnonsense\n'
    done = Shell(folder=tmp_path).run("themes", "classify", given=lines)

    first, second = map(json.loads, done.stdout.splitlines())
    assert done.returncode == FAILED
    assert "line 2" in done.stderr
    assert (first["id"], first["themes"][0]["id"]) == ("1", "waiting")
    assert second["themes"] == []
    assert list(tmp_path.iterdir()) == []


def test_what_no_theme_covers_is_grouped_line_by_line(tmp_path: Path) -> None:
    """What the taxonomy covers, and what nobody else speaks of, stays without a group."""
    said = ["The car park was full", "Car park too small", "No space in the car park"] * 2
    texts = [*said, "Waited forty minutes", "Blue"]
    lines = [
        json.dumps({"id": place, "text": text, "lang": "en"})
        for place, text in enumerate(texts)
    ]
    taxonomy = {"themes": [{"id": "waiting", "keywords": {"en": ["wait"]}}]}
    (tmp_path / "ours.json").write_text(json.dumps(taxonomy), "utf-8")
    done = Shell(folder=tmp_path).run(
        "themes", "discover", "--taxonomy", "ours.json", given="\n".join([*lines, "nonsense"])
    )

    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == FAILED
    assert "line 9" in done.stderr
    assert [answer["id"] for answer in answers] == [*range(8), None]
    assert [answer["cluster"] for answer in answers] == ["c1"] * 6 + [None] * 3
    assert set(answers[0]["label"].split(", ")) == {"car", "park"}
    assert answers[7]["label"] is None


# ------------------------------------------------------------------ exit codes


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["nonsense"], USAGE),
        (["user", "add"], USAGE),
        (["import", "no-such-file.csv"], USAGE),
        (["user", "add", "no address"], FAILED),
        (["user", "add", "x@example.org", "--role", "king"], FAILED),
        (["user", "reset", "nobody@example.org"], NOT_FOUND),
        (["key", "revoke", "key_none"], NOT_FOUND),
        (["dead-letters", "show", "ltr_none"], NOT_FOUND),
        (["dead-letters", "discard", "ltr_none"], REFUSED),
        (["serve", "--role", "loop"], REFUSED),
        (["serve", "--role", "king"], USAGE),
        (["serve", "--port", "99999"], USAGE),
        (["dead-letters", "replay"], USAGE),
        (["import", __file__, "--url", "http://127.0.0.1:1"], USAGE),
        (["user", "add", "x@example.org", "--time-zone", "Mars/Olympus"], FAILED),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_the_exit_code_says_what_kind_of_trouble_it_was(
    shell: Shell, words: Sequence[str], code: int
) -> None:
    """Nothing on standard output; a sentence, and no trace, beside it."""
    done = shell.run(*words)

    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr
    assert "Traceback" not in done.stderr


def test_a_taxonomy_that_cannot_be_used_is_told_what_is_wrong_with_it(
    shell: Shell, tmp_path: Path
) -> None:
    taxonomy = tmp_path / "ours.json"
    taxonomy.write_text('{"version": 1, "themes": [{"id": "a"}, {"id": "a"}]}', "utf-8")
    done = shell.run("themes", "classify", "--taxonomy", str(taxonomy))

    assert done.returncode == FAILED
    assert "/themes/1/id: " in done.stderr


def test_a_database_that_does_not_answer_is_one_line_of_the_check(shell: Shell) -> None:
    url = f"postgresql+asyncpg://nobody@127.0.0.1:{free_port()}/none"
    done = shell.run("check", "--deep", "--json", CLOSED_LOOP_DATABASE_URL=url)

    found = {line["what"]: line["state"] for line in json.loads(done.stdout)}
    assert done.returncode == FAILED
    assert (found["database"], found["clock"], found["bus"]) == ("failed", "failed", "ok")


def test_every_command_is_listed_with_what_it_does(shell: Shell) -> None:
    for words in ([], ["user"], ["key"], ["source"], ["dead-letters"], ["themes"]):
        said = shell.run(*words, "--help").stdout
        listed = said.partition("Commands:")[2]
        assert said.count("Examples:") == 1
        assert listed
        assert all(len(line.split()) > 1 for line in listed.splitlines() if line.strip())


def test_a_misspelt_setting_stops_every_command_with_a_sentence(shell: Shell) -> None:
    """It names the setting and where the right names stand."""
    done = shell.run("user", "list", CLOSED_LOOP_DATABSE_URL="x")

    assert (done.returncode, done.stdout) == (REFUSED, "")
    assert "CLOSED_LOOP_DATABSE_URL" in done.stderr
    assert "docs/configuration.md" in done.stderr


BROKEN = """
from services.cli import app, main

@app.command("broken")
def broken() -> None:
    raise RuntimeError("what was posted")

main()
"""


@pytest.mark.parametrize(("level", "traced"), [("info", False), ("debug", True)])
def test_what_nobody_foresaw_ends_with_a_sentence(
    tmp_path: Path, level: str, traced: bool
) -> None:
    """The trace is for those who ask for it; without it nothing of the data is shown."""
    shell = Shell(folder=tmp_path, program=[sys.executable, "-c", BROKEN])
    done = shell.run("broken", CLOSED_LOOP_LOG_LEVEL=level)

    *trace, sentence = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (FAILED, "")
    assert sentence.startswith("closed-loop: This is a defect of Closed Loop (RuntimeError).")
    assert bool(trace) is ("Traceback" in done.stderr) is traced
    assert ("what was posted" in done.stderr) is traced


def test_no_group_of_commands_prints_traces_of_its_own() -> None:
    """The pretty ones show every variable, and so what was posted."""
    below = [group.typer_instance for group in app.registered_groups]
    groups = [app, *(group for group in below if group is not None)]

    assert len(groups) > 1
    assert not any(group.pretty_exceptions_enable for group in groups)


# ------------------------------------------------------------------ while it is running


@pytest.fixture
def serving(shell: Shell, tmp_path: Path) -> Iterator[Callable[[str], int]]:
    """Serve the shell's installation; return a way to post with a key."""
    port = free_port()
    child = Child(
        "serve",
        [*shell.program, "serve", "--port", str(port)],
        log=tmp_path / "serve.log",
        cwd=shell.folder,
        env={**shell.environment, "CLOSED_LOOP_PUBLIC_URL": f"http://{LOOPBACK}:{port}"},
    )
    child.wait_ready(lambda: accepts(port), seconds=60)

    def post(key: str) -> int:
        return httpx.post(
            f"http://{LOOPBACK}:{port}/v1/responses",
            json={"external_id": "beside", "score": 9},
            headers={"Authorization": f"Bearer {key}"},
            trust_env=False,
            timeout=30,
        ).status_code

    yield post
    child.stop(seconds=30)


def test_people_keys_and_checks_need_no_stop(
    shell: Shell, serving: Callable[[str], int]
) -> None:
    """A key that is made works at once; what would take part in the work is refused."""
    key = shell.run("key", "create", "--source", "beside").stdout.strip()
    accepted = serving(key)
    added = shell.run("user", "add", "beside@example.org")
    checked = shell.run("check")
    second = shell.run("serve")

    assert (accepted, added.returncode, checked.returncode) == (202, OK, OK)
    assert second.returncode == REFUSED
    assert "Another process is using closed-loop.db" in second.stderr


def test_a_person_is_parted_from_single_sign_on(shell: Shell) -> None:
    """Also one whom no provider has met: there is nothing to do, and that is said."""
    shell.run("user", "add", "linked@example.org")
    done = shell.run("user", "unlink", "linked@example.org")
    nobody = shell.run("user", "unlink", "nobody@example.org")

    assert (done.returncode, done.stdout) == (OK, "")
    assert "No provider has taken anybody for linked@example.org" in done.stderr
    assert nobody.returncode == NOT_FOUND
