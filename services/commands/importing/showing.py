"""Guesses for people: a few lines on the terminal, or a mapping to edit."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import yaml

from services.composition import Guess, Guesses, Sheet

_SHOWN: Final = 12


def guess_lines(guesses: Guesses) -> list[str]:
    """Return one line for each guess, the columns that are not taken last."""
    rows = [
        (one.member, one.origin, one.confidence, _remark(one))
        for one in guesses.taken
        if one.rule.get("value", "") is not None  # said by another rule of the same member
    ]
    widths = [max((len(row[n]) for row in rows), default=0) for n in range(2)]
    lines = [
        f"  {member:<{widths[0]}}  {origin:<{widths[1]}}  {confidence:<6}  {note}".rstrip()
        for member, origin, confidence, note in rows
    ]
    if aside := [one.origin for one in guesses.suggested] + list(guesses.unused):
        more = f" and {len(aside) - _SHOWN} more" if len(aside) > _SHOWN else ""
        lines.append(f"  not taken: {', '.join(aside[:_SHOWN])}{more}")
    return lines


def _remark(guess: Guess) -> str:
    formats = guess.rule.get("formats") or ()
    return "; ".join(filter(None, [" or ".join(formats), guess.note]))


def guesses_as_json(guesses: Guesses) -> list[dict[str, str]]:
    """Return the guesses as ``--json`` prints them."""
    return [
        {
            "member": one.member,
            "from": one.origin,
            "confidence": one.confidence,
            "note": one.note,
        }
        for one in guesses.taken
    ]


def guess_as_yaml(sheet: Sheet, guesses: Guesses, *, time_zone: str) -> str:
    """Return the guessed mapping, with what was assumed, for ``--map``."""
    lines = [
        f"# Guessed from {_quoted(sheet.path.name)}: {sheet.describe()}.",
        "# Look at what is marked low or medium, correct it, and import with --map.",
        f"# Dates without an offset are in {time_zone} (--time-zone).",
        "version: 1",
        "fields:",
    ]
    shown: set[str] = set()
    for one in guesses.taken:
        if one.member in shown:
            continue
        shown.add(one.member)
        rules = [each for each in guesses.taken if each.member == one.member]
        lines.append(f"  # {one.confidence}{f': {one.note}' if one.note else ''}")
        value = (
            _plain(rules[0].rule) if len(rules) == 1 else [_plain(each.rule) for each in rules]
        )
        lines.append(f"  {_quoted(one.member)}: {_flow(value)}")
    if guesses.suggested:
        lines.append("  # Too unsure to be used; take the # away where it is right.")
    lines += [
        f"  # {_quoted(one.member)}: {_flow(_plain(one.rule))}" for one in guesses.suggested
    ]
    if guesses.unused:
        lines.append("  # Not taken; write attributes.<name>: <column> to keep one:")
    lines += [f"  # {_quoted(name)}" for name in guesses.unused]
    return "\n".join(lines)


def _plain(rule: Mapping[str, Any]) -> object:
    """Return a rule as briefly as the format allows."""
    return rule["column"] if rule.keys() == {"column"} else dict(rule)


def _flow(value: object) -> str:
    """Write a value in YAML's short form on one line."""
    # JSON is YAML, and quotes what YAML would take for something else.
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_quoted(k)}: {_flow(v)}" for k, v in value.items()) + " }"
    if isinstance(value, Sequence):
        return "[" + ", ".join(_flow(each) for each in value) + "]"
    return json.dumps(value)


def _quoted(text: str) -> str:
    """Return a text as it may stand there: bare where YAML takes it for the same text."""
    bare = text.replace("_", "").replace(".", "").replace(" ", "")
    if bare.isascii() and bare.isalnum() and bare[0].isalpha() and yaml.safe_load(text) == text:
        return text
    return json.dumps(text, ensure_ascii=False)
