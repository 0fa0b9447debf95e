"""What the documentation mentions exists: links, commands, options, settings, routes, files."""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer.main

from services.cli import app
from shared.settings import PREFIX, Settings
from tests.architecture.composed import ROOT, Door, composed, doors

HIDDEN = {".venv", ".cache", ".git", ".demo", "node_modules", "build", "dist"}
PAGES = sorted(
    path
    for path in ROOT.rglob("*.md")
    if HIDDEN.isdisjoint(path.relative_to(ROOT).parts) and "site-packages" not in path.parts
)
CODE = re.compile(r"```[a-z]*\n(.*?)```|`([^`\n]+)`", flags=re.DOTALL)

# Settings of the tests themselves, explained in CONTRIBUTING.
OF_TESTS = {"CLOSED_LOOP_TEST_KAFKA", "CLOSED_LOOP_TEST_POSTGRES", "CLOSED_LOOP_TEST_CHROMIUM"}
# Names that a document uses for a whole family, and a variable of the command line.
FAMILIES = {PREFIX, f"{PREFIX}TEST_", "CLOSED_LOOP_KEY"}


def name_of(path: Path) -> str:
    """Return a page's path as a person would write it."""
    return path.relative_to(ROOT).as_posix()


@pytest.fixture(params=PAGES, ids=name_of)
def page(request: pytest.FixtureRequest) -> Path:
    """Every page of the repository."""
    path: Path = request.param
    return path


def quoted(text: str) -> Iterator[str]:
    """Return every line that a page shows as code."""
    for block, span in CODE.findall(text):
        yield from (block or span).replace("\\\n", " ").splitlines()


def anchors(text: str) -> set[str]:
    """Return what the headings of a page can be linked by."""
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in headings}


# ------------------------------------------------------------------ links and files


def test_every_internal_link_leads_somewhere(page: Path) -> None:
    """To a file of the repository, and to a heading that stands in it."""
    text = page.read_text(encoding="utf-8")
    broken = []
    for target in re.findall(
        r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    ):
        if re.match(r"[a-z]+:", target):
            continue
        where, _, heading = target.partition("#")
        found = (page.parent / where) if where else page
        if not found.exists() or (
            heading and heading not in anchors(found.read_text(encoding="utf-8"))
        ):
            broken.append(target)

    assert broken == []


def test_every_file_that_is_named_exists(page: Path) -> None:
    """A path below one of our folders is a file, a folder, or a pattern that fits one."""
    folders = "services|shared|migrations|tests|docs|deploy|scripts|requirements"
    gone = [
        path
        for line in quoted(page.read_text(encoding="utf-8"))
        for path in re.findall(rf"(?<![\w./-])((?:{folders})/[\w./<>*-]*)", line)
        if not _exists(path.rstrip("."))
    ]

    assert gone == []


def _exists(path: str) -> bool:
    pattern = re.sub(r"<[^>]*>", "*", path).rstrip("/")
    return any(True for _ in ROOT.glob(pattern))


# ------------------------------------------------------------------ commands


def commands() -> Mapping[str, Any]:
    """Return every command by its words: ``user add``."""
    found: dict[str, Any] = {}

    def walk(command: Any, words: tuple[str, ...]) -> None:
        children = getattr(command, "commands", None)
        if children is None:
            found[" ".join(words)] = command
            return
        for name, child in children.items():
            walk(child, (*words, name))

    walk(typer.main.get_command(app), ())
    return found


COMMANDS = commands()


def wrong_with(line: str) -> str | None:
    """Return what is wrong with a line that calls our program; None when it is right."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        words = line.split()
    words = words[: next((i for i, word in enumerate(words) if word in {"<", ">", "|"}), None)]
    for length in (2, 1):
        command = COMMANDS.get(" ".join(words[:length]))
        if command is not None:
            break
    else:
        known = {name.split()[0] for name in COMMANDS}
        is_group = len(words) == 1 and words[0] in known
        return None if is_group else f"there is no command {' '.join(words[:2])!r}"
    options = {
        opt for param in command.params for opt in (*param.opts, *param.secondary_opts)
    } | {"--help"}
    given = [word.partition("=")[0] for word in words[length:] if word.startswith("-")]
    unknown = sorted(set(given) - options)
    return f"{' '.join(words[:length])} has no {', '.join(unknown)}" if unknown else None


def called(line: str) -> str | None:
    """Return what follows our program's name when a line calls it."""
    match = re.search(
        r"(?:^|[\s/(])(?:closed-loop|python -m services)\s+([a-z].*)$", line.strip()
    )
    return match.group(1) if match else None


def test_every_command_that_is_shown_can_be_given(page: Path) -> None:
    """With every option that stands beside it."""
    wrong = []
    for line in quoted(page.read_text(encoding="utf-8")):
        rest = called(line)
        if rest is not None and not rest.startswith("is ready"):
            wrong += [found for found in [wrong_with(rest)] if found]

    assert wrong == []


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_examples_in_a_help_can_be_given(name: str) -> None:
    """Two of them, and each calls the command that it explains, or one that helps with it."""
    text = COMMANDS[name].help or ""
    (block,) = re.findall(r"\AExamples:\n\n\x08\n(.*?)(?:\n\n|\Z)", text, flags=re.DOTALL)
    examples = [called(line) for line in block.splitlines()]

    assert len(examples) == 2
    assert [wrong_with(rest) for rest in examples if rest is not None] == [None, None]
    assert any(rest is not None and rest.startswith(name) for rest in examples)


def test_a_wrong_command_is_noticed() -> None:
    """The reader of the pages is no rubber stamp."""
    assert wrong_with("user remove x@example.org") is not None
    assert wrong_with("serve --roles ingest") is not None
    assert wrong_with("serve --role ingest --port 8001    # a remark") is None
    assert wrong_with("import answers.csv --map map.yml --as-new") is None


def test_every_make_target_that_is_shown_exists(page: Path) -> None:
    """As ``make`` alone lists them."""
    targets = set(
        re.findall(
            r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
        )
    )
    gone = [
        target
        for line in quoted(page.read_text(encoding="utf-8"))
        for target in re.findall(r"(?:^|\s)make ([a-z-]+)", line)
        if target not in targets
    ]

    assert gone == []


# ------------------------------------------------------------------ settings and routes


def test_every_setting_that_is_named_exists(page: Path) -> None:
    """Or is one of the tests' own."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | OF_TESTS | FAMILIES
    named = re.findall(rf"\b{PREFIX}[A-Z_]*", page.read_text(encoding="utf-8"))

    assert set(named) - known == set()


def test_the_example_environment_names_only_settings() -> None:
    """``.env.example`` is what an operator copies."""
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    compose = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}

    named = set(re.findall(r"^#?\s*([A-Z][A-Z_]+)=", text, flags=re.MULTILINE))

    assert named
    assert {
        name for name in named if name not in known and f"${{{name}" not in compose
    } == set()


@pytest.fixture(scope="module")
def all_doors() -> Sequence[Door]:
    """Every route and method of all roles."""

    async def look() -> Sequence[Door]:
        async with composed() as system:
            return doors(system.app)

    return asyncio.run(look())


def test_every_route_that_is_named_exists(page: Path, all_doors: Sequence[Door]) -> None:
    """``GET /v1/responses/{id}`` in a page is a route with that method."""
    if name_of(page) == "CHANGELOG.md":
        return  # tells what was, too
    known = [(door.method, _shape(door.path)) for door in all_doors]
    gone = []
    for line in quoted(page.read_text(encoding="utf-8")):
        for method, path in re.findall(
            r"(?:\b(GET|POST|PUT|PATCH|DELETE) )?(?<![\w.:*<…}-])(/v1/[\w/{}…-]+)", line
        ):
            fits = {
                there
                for there, shape in known
                if re.fullmatch(shape, re.sub(r"{[^}]*}", "x", path.rstrip("/…")))
            }
            if not fits or (method and method not in fits):
                gone.append(f"{method} {path}".strip())

    assert gone == []


def _shape(path: str) -> str:
    return re.sub(r"\\{[a-z_]+\\}", "[^/]+", re.escape(path))
