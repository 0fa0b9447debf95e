"""The pictures in the documentation: each made by the command, shown, and told in words."""

from __future__ import annotations

import re

from tests.architecture.composed import ROOT
from tests.browser.pictures import FOLDER, PICTURES


def test_the_command_makes_every_picture_and_no_other() -> None:
    """Whatever nobody can take again grows old."""
    assert {path.name for path in FOLDER.iterdir()} == {f"{name}.png" for name in PICTURES}


def test_every_picture_is_shown_with_words_for_those_who_cannot_see_it() -> None:
    """In the guide for staff; the first thing that the README shows is the real queue."""
    staff = (ROOT / "docs/staff.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"!\[([^]]+)\]\(images/([a-z-]+)\.png\)", staff))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert set(shown.values()) == set(PICTURES)
    assert min(len(words.split()) for words in shown) > 4
    assert re.findall(r"!\[.+\]\((.+)\)", readme) == ["docs/images/queue.png"]
