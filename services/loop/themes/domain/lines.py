"""Classifying a stream of JSON lines: the whole of ``closed-loop themes classify``.

Needs no database, no network and no configuration; what to do about a bad line and where the
answers go is the caller's business.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from services.loop.themes.domain.classifier import Classifier, Mention
from services.loop.themes.domain.taxonomy import Taxonomy

Identifier = str | int | float | None


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that could not be read; never carries what stood in it."""

    number: int
    problem: str

    def sentence(self) -> str:
        """Return what to tell whoever wrote the line."""
        return f"line {self.number}: {self.problem}"


def classify_lines(
    lines: Iterable[str | bytes], taxonomy: Taxonomy, *, report: Callable[[BadLine], None]
) -> Iterator[str]:
    """Yield one JSON line per line read, in order; blank lines are passed over.

    A bad line goes to *report* and is answered in its place with no themes and an ``error``,
    so that answers still stand beside their questions and the rest is not lost. Bytes are
    read as UTF-8, line by line, so that a broken character costs its own line only.
    """
    classifier = Classifier(taxonomy)
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        id_, text, language, problem = read_line(line)
        if problem:
            report(BadLine(number, problem))
            yield json.dumps({"id": id_, "themes": [], "error": problem})
        else:
            themes = [_themed(mention) for mention in classifier.classify(text, language)]
            yield json.dumps({"id": id_, "themes": themes})


def _themed(mention: Mention) -> dict[str, object]:
    themed: dict[str, object] = {"id": mention.theme_id, "score": mention.score}
    if mention.evidence is not None:
        themed["evidence"] = list(mention.evidence)
    if mention.by is not None:
        themed["by"] = mention.by
    return themed


def read_line(line: str | bytes) -> tuple[Identifier, str, str | None, str]:
    """Return id, text, language and what is wrong with *line*, "" where nothing is."""
    given, problem = _loaded(line)
    if not isinstance(given, dict):
        problem = problem or "not a JSON object; write {…} with id and text on one line"
        return None, "", None, problem
    id_ = given.get("id")
    if isinstance(id_, bool) or not isinstance(id_, str | int | float):
        return None, "", None, "id is missing; give every line a string or number as its id"
    # A survey export has null for "wrote nothing"; that is an answer without themes.
    words = given.get("text", 0)
    if words is not None and not isinstance(words, str):
        return id_, "", None, "text is missing; give the words as a string"
    language = given.get("lang")
    if language is not None and not isinstance(language, str):
        return id_, "", None, 'lang is not a string; send a language tag such as "de"'
    return id_, words or "", language, ""


def _loaded(line: str | bytes) -> tuple[object, str]:
    try:
        text = line.decode() if isinstance(line, bytes) else line
        return json.loads(text.lstrip("\ufeff")), ""
    except UnicodeDecodeError:
        return None, "not UTF-8; save the file in that encoding"
    except (ValueError, RecursionError):
        return None, 'not JSON; write {"id": "1", "text": "…"} on one line'
