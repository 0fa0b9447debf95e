"""What is made from the code equals what is checked in."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def generator() -> ModuleType:
    """The script that writes the generated pages."""
    path = ROOT / "scripts" / "generate_docs.py"
    spec = importlib.util.spec_from_file_location("generate_docs", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_schemas_settings_and_api_are_documented_as_they_are(generator: ModuleType) -> None:
    """Run ``python scripts/generate_docs.py`` when this fails, and read the difference."""
    assert generator.differing() == []


def test_no_schema_of_a_former_event_is_left(generator: ModuleType) -> None:
    """A schema without an event would promise what nobody publishes."""
    made = set(generator.events())

    left = {str(path.relative_to(ROOT)) for path in (ROOT / "docs" / "events").iterdir()} - made

    assert left == set()
