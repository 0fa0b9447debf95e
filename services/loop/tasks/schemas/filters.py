"""The filters of the list of tasks: what they are called, and what makes sense in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from services.loop.tasks.domain.task import ENDED, OPEN, TaskState
from services.loop.tasks.handlers import VIEWS, Sought
from shared.errors import Finding, Invalid
from shared.stats.categories import RANGES

STATES: Final[Mapping[str, frozenset[TaskState]]] = {
    "open": OPEN,
    "ended": ENDED,
    **{state.value: frozenset({state}) for state in TaskState},
}
_HIGHEST: Final = max(high for _, high in RANGES.values())
_SCORES: Final = re.compile(r"(\d{1,2})(?:-(\d{1,2}))?")
_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "view": VIEWS,
    "state": tuple(STATES),
    "overdue": ("true", "false"),
    "metric": tuple(RANGES),
}
"""Filters with a list of values, of which nothing is none."""
_ABOUT: Final[Mapping[str, str]] = {
    "view": "a view of the queue, as its pages show it to this caller",
    "state": "a state, or open, or ended",
    "owner": "the id of a person or team, or me",
    "overdue": "past the due time or not",
    "touchpoint": "a touchpoint's code",
    "segment": "a segment's code",
    "product": "a product's code",
    "metric": "what the score is a score of",
    "score": "a score such as 3, a range such as 0-6, or none for tasks without a score",
    "theme": "a theme's id",
    "response_id": "the response that a task answers",
    "q": "words of comment or name, or a whole e-mail address, customer id or transaction id",
}
FILTERS: Final = tuple(_ABOUT)


def parameters() -> list[dict[str, Any]]:
    """Return the filters as the interface's description names them."""
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": about,
            "schema": {
                "type": "string",
                **({"enum": list(_CHOICES[name])} if name in _CHOICES else {}),
            },
        }
        for name, about in _ABOUT.items()
    ]


def may_be_blank(name: str) -> bool:
    """Tell whether a blank value means that nothing is asked for."""
    return name not in _CHOICES


def sought_in(given: Mapping[str, str]) -> Sought:
    """Return what these filters ask for; raise ``Invalid`` naming each that makes no sense."""
    findings = [
        _finding(name, "not_a_choice", f"send one of: {', '.join(choices)}")
        for name, choices in _CHOICES.items()
        if name in given and given[name] not in choices
    ]
    scores = score_range(given.get("score", ""))
    if scores is None and given.get("score", "none") != "none":
        findings.append(_finding("score", "not_a_range", "send 3, 0-6 or none"))
    if findings:
        raise Invalid("The filters cannot be used as they were sent.", findings)
    late = given.get("overdue")
    return Sought(
        view=given.get("view"),
        states=STATES[given["state"]] if "state" in given else None,
        overdue=None if late is None else late == "true",
        scores=scores,
        scored=False if given.get("score") == "none" else None,
        text=given.get("q", ""),
        **{
            name: given.get(name)
            for name in (
                "owner",
                "touchpoint",
                "segment",
                "product",
                "metric",
                "theme",
                "response_id",
            )
        },
    )


def score_range(text: str) -> tuple[int, int] | None:
    """Return the lowest and highest score that a text such as 3 or 0-6 means."""
    match = _SCORES.fullmatch(text)
    if match is None:
        return None
    low, high = int(match[1]), int(match[2] or match[1])
    return (low, high) if low <= high <= _HIGHEST else None


def _finding(name: str, code: str, fix: str) -> Finding:
    return Finding(
        pointer=f"/{name}", code=code, detail="not one of the possible values", fix=fix
    )
