"""Everything in the lock may be shipped: its licence is on the list, or argued for here."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]

# What an Apache-2.0 product may stand on without further duties than naming it.
ALLOWED = {
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "PSF-2.0",
    "Zlib",
}

# How packages without an SPDX expression spell the same licences.
SPELLINGS = {
    "apache 2": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "apache-2.0": "Apache-2.0",
    "bsd 2-clause license": "BSD-2-Clause",
    "bsd license": "BSD-3-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "isc license": "ISC",
    "mit": "MIT",
    "mit license": "MIT",
    "mit, bsd": "MIT AND BSD-3-Clause",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "mpl-2.0": "MPL-2.0",
}

# Everything else, one reason each.
ARGUED = {
    "axe-playwright-python": "a test tool without the field; its LICENSE is MIT, axe MPL-2.0",
    "certifi": "MPL-2.0 binds its own files only; used unchanged, as data",
    "hypothesis": "MPL-2.0 binds its own files only; a test tool, never shipped",
    "pathspec": "MPL-2.0 binds its own files only; a build tool, never shipped",
}

LOCKS = ["base", "build", "oidc", "test"]


def locked(lock: str) -> list[Requirement]:
    """Return the pinned requirements of one lock file that apply to this machine."""
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    lines = re.findall(r"^([A-Za-z0-9].*?) \\$", text, flags=re.MULTILINE)
    found = [Requirement(line) for line in lines]
    return [each for each in found if each.marker is None or each.marker.evaluate()]


def licence(name: str) -> str:
    """Return what a package says of itself, as an SPDX expression; empty when it is silent."""
    about = metadata.metadata(name)
    if "License-Expression" in about:
        return about["License-Expression"]
    classifiers = [
        line.split(" :: ")[-1]
        for line in about.get_all("Classifier") or []
        if line.startswith("License :: ") and not line.endswith("OSI Approved")
    ]
    for said in (*(about.get_all("License") or []), *classifiers):
        if spdx := SPELLINGS.get(said.strip().lower()):
            return spdx
    return ""


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_may_be_used(lock: str) -> None:
    refused = {
        name: licence(name)
        for each in locked(lock)
        if (name := canonicalize_name(each.name)) not in ARGUED
        and not _is_allowed(licence(name))
    }

    assert refused == {}, "not on the list: replace the package, or argue for it in ARGUED"


def test_no_argument_outlives_its_package() -> None:
    known = {canonicalize_name(each.name) for lock in LOCKS for each in locked(lock)}

    assert set(ARGUED) <= known
    assert [name for name in ARGUED if _is_allowed(licence(name))] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_what_is_installed_is_what_is_locked(lock: str) -> None:
    """Otherwise the licences read here would be those of other releases."""
    stray = {
        each.name: metadata.version(each.name)
        for each in locked(lock)
        if not each.specifier.contains(metadata.version(each.name))
    }

    assert stray == {}, "run `make setup`"


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_hashes_and_names_no_place(lock: str) -> None:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()

    assert locked(lock)
    for block in re.split(r"\n(?=[A-Za-z0-9])", text):
        assert "--hash=sha256:" in block
    assert re.findall(r"https?:|file:|--(?:extra-)?index|--find-links|@ ", text) == []


def test_a_choice_of_licences_needs_one_and_a_sum_needs_all() -> None:
    assert _is_allowed("GPL-3.0-only OR MIT")
    assert not _is_allowed("GPL-3.0-only AND MIT")
    assert not _is_allowed("")


def _is_allowed(expression: str) -> bool:
    return any(
        all(part.strip("() ") in ALLOWED for part in choice.split(" AND "))
        for choice in expression.split(" OR ")
    )
