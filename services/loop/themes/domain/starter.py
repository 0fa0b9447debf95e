"""The taxonomy that an installation starts with, until its departments write their own."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import resources

from services.loop.themes.domain.taxonomy import Taxonomy, parse_taxonomy


@lru_cache(maxsize=1)
def starter_taxonomy() -> Taxonomy:
    """Return the shipped service themes in en, de, pl, da, cs and ru."""
    file = resources.files("services.loop.themes").joinpath("starter_taxonomy.json")
    return parse_taxonomy(json.loads(file.read_text(encoding="utf-8")))
