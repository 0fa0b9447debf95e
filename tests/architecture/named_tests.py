"""Tests that the documentation names as proof: ``adapters/test_pages.py::test_something``."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from functools import cache

from tests.architecture.composed import ROOT

_NAMED = re.compile(r"`([a-z_/]+\.py)::(test_\w+)`")


def named(text: str) -> Sequence[tuple[str, str]]:
    """Return every test that a text names, as file below ``tests`` and name."""
    return _NAMED.findall(text)


def gone(text: str) -> Sequence[str]:
    """Return the names of tests in a text that are there no more."""
    return [name for path, name in named(text) if name not in _names_in(path)]


@cache
def _names_in(path: str) -> frozenset[str]:
    """Return the names of the tests in a file, without importing it."""
    file = ROOT / "tests" / path
    if not file.exists():
        return frozenset()
    return frozenset(
        node.name
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    )
