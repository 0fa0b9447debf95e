"""Ready mappings: one file for each system whose hooks are read without any setting up.

``docs/add-a-sender.md`` says how to add one.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

import yaml

from services.ingest.domain.mappings import HookMapping, compile_mapping
from shared.errors import Invalid, Misconfigured

GENERIC: Final = "generic"
"""The mapping that reads what nobody declared: names that systems commonly use."""


@cache
def ready_senders() -> Mapping[str, Mapping[str, Any]]:
    """Return every ready mapping as the document it is written in, by its name."""
    found: dict[str, Mapping[str, Any]] = {}
    for file in sorted(files(__name__).iterdir(), key=lambda one: one.name):
        if file.name.endswith(".yaml"):
            name = file.name.removesuffix(".yaml")
            try:
                found[name] = yaml.safe_load(file.read_text(encoding="utf-8"))
            except yaml.YAMLError as error:
                mark = getattr(error, "problem_mark", None)
                where = "" if mark is None else f" (line {mark.line + 1})"
                raise Misconfigured(f"The mapping {file.name} is no YAML{where}.") from None
    return MappingProxyType(found)


@cache
def ready_mapping(sender: str) -> HookMapping:
    """Return a ready mapping, compiled; raise ``KeyError`` if there is none of this name."""
    return compile_mapping(ready_senders()[sender], senders=ready_senders())


def require_ready_mappings() -> None:
    """Raise ``Misconfigured`` for a file that is none: it must not wait for the first call."""
    for sender in ready_senders():
        try:
            ready_mapping(sender)
        except Invalid as error:
            raise Misconfigured(f"{sender}.yaml: {error}") from None
