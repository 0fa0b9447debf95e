"""The wheel, as it would be installed: whole without the checkout, and able to start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from shared.settings import PREFIX

ROOT = Path(__file__).parents[2]
PACKAGES = ("services", "shared", "migrations")
BESIDE_CODE = {
    *(".po", ".mo", ".html", ".css", ".js", ".svg", ".json", ".yaml", ".mjml", ".txt", ".typed")
}
COMMENT = '{"id": "1", "text": "Waited forty minutes and nobody called back", "lang": "en"}\n'

READ_FILES = """
from importlib.resources import files
from shared.i18n import translations

for name in ("templates/base.html", "static/app.css"):
    assert (files("shared.web") / name).read_text()
print(translations("de").gettext("My queue"))
"""


def run(
    command: Sequence[str | Path], *, cwd: Path, given: str = "", **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run something that knows neither the checkout nor the machine's own settings."""
    machine: Mapping[str, str] = os.environ  # noqa: TID251 - a child needs PATH and the like
    kept = {
        name: value
        for name, value in machine.items()
        if not name.startswith((PREFIX, "PYTHON"))
    }
    done = subprocess.run(  # noqa: S603 - our own wheel
        [str(part) for part in command],
        cwd=cwd,
        env={**kept, **settings},
        input=given,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from what is there, without any network."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "-q"]
    run(
        [*pip, "wheel", "--no-index", "--no-deps", "--no-build-isolation", "-w", folder, ROOT],
        cwd=folder,
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The console script in an environment of its own that has our dependencies, not us.

    The checkout is installed for editing by an import hook that a ``.pth`` file starts; a
    folder that is merely added to the path has no ``.pth`` files started.
    """
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=False, symlinks=True)
    site = next(folder.glob("lib/python*/site-packages"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (site / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return folder / "bin" / "python"


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    """Templates, static files, catalogues and the taxonomy come along, and nothing strange."""
    tracked = run(["git", "ls-files", *PACKAGES], cwd=ROOT).stdout.split()
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    beside = {name for name in tracked if not name.endswith(".py")}

    assert set(tracked) - inside == set()
    assert {Path(name).suffix for name in beside} >= {".html", ".css", ".po", ".json", ".mjml"}
    assert {name.partition("/")[0] for name in inside} == set(PACKAGES)
    assert {Path(name).suffix for name in inside} <= BESIDE_CODE | {".py", ".mako", ".md"}


def test_the_wheel_carries_licence_and_console_script(wheel: Path) -> None:
    """As an installer reads them."""
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
        (entry,) = [name for name in archive.namelist() if name.endswith("/entry_points.txt")]
        about = archive.read(metadata).decode()
        assert "closed-loop = services.cli:main" in archive.read(entry).decode()
        licences = [name for name in archive.namelist() if "/licenses/" in name]

    assert "License-Expression: Apache-2.0" in about
    assert {Path(name).name for name in licences} == {"LICENSE", "NOTICE"}


def test_the_installed_program_starts_without_the_checkout(
    installed: Path, tmp_path: Path
) -> None:
    """Help, tables, themes, people: all from the wheel's own files."""
    program: list[str | Path] = [installed, "-m", "services"]
    where = run(
        [installed, "-c", "import services, shared; print(services.__file__, shared.__file__)"],
        cwd=tmp_path,
    )
    assert str(ROOT) not in where.stdout.replace(sysconfig.get_path("purelib"), "")

    assert "Usage: closed-loop" in run([*program, "--help"], cwd=tmp_path).stdout.replace(
        "python -m services", "closed-loop"
    )
    url = f"sqlite+aiosqlite:///{tmp_path}/closed-loop.db"
    migrated = run([*program, "migrate"], cwd=tmp_path, CLOSED_LOOP_DATABASE_URL=url)
    checked = run([*program, "check", "--json"], cwd=tmp_path, CLOSED_LOOP_DATABASE_URL=url)
    found = run([*program, "themes", "classify"], cwd=tmp_path, given=COMMENT)
    read = run([installed, "-c", READ_FILES], cwd=tmp_path)

    assert "tables: none -> " in migrated.stderr
    # Old interpreters and SQLites are noted about the machine; that is none of the wheel's.
    findings = [one for one in json.loads(checked.stdout) if one["what"] != "machine"]
    assert {one["state"] for one in findings} == {"ok"}
    assert json.loads(found.stdout)["themes"][0]["id"] == "waiting"
    assert read.stdout.strip() == "Meine Aufgaben"
