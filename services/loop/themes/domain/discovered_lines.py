"""Finding what is new in a stream of JSON lines: the whole of ``closed-loop themes discover``.

Like ``lines``, but all lines are read before the first answer: a group is made of them all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator

from services.loop.themes.domain.classifier import Classifier
from services.loop.themes.domain.lines import BadLine, Identifier, read_line
from services.loop.themes.domain.taxonomy import ANY_LANGUAGE, Taxonomy

_Line = tuple[Identifier, str, str | None, str]


def discover_lines(
    lines: Iterable[str | bytes], taxonomy: Taxonomy, *, report: Callable[[BadLine], None]
) -> Iterator[str]:
    """Yield one JSON line per line read, in order: the group of each that *taxonomy* misses.

    The order of the lines has no say in who is grouped with whom, nor in a group's name. Bad
    and blank lines are treated as when classifying.
    """
    # Who classifies only need not wait for the numbers to be loaded.
    from services.loop.themes.domain.discovery import (  # noqa: PLC0415 - as said
        Verbatim,
        discover,
    )

    read: list[_Line] = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            read.append(read_line(line))
            if problem := read[-1][3]:
                report(BadLine(number, problem))
    classifier = Classifier(taxonomy)
    order = sorted(range(len(read)), key=lambda place: _in_no_order(read[place]))
    examples = _examples(taxonomy)
    covered: list[Verbatim] = []
    verbatims: list[Verbatim] = []
    place_of: dict[str, int] = {}
    for rank, place in enumerate(order):
        _, text, language, problem = read[place]
        if problem:
            continue
        verbatim = Verbatim(f"{rank:08}", text, language)
        place_of[verbatim.id] = place
        (covered if classifier.covers(text, language) else verbatims).append(verbatim)
    found = discover(verbatims, known=[*covered, *(Verbatim("", *each) for each in examples)])
    cluster_of = {
        place_of[member]: (f"c{number}", cluster.label)
        for number, cluster in enumerate(found, start=1)
        for member in cluster.members
    }
    for place, (id_, _, _, problem) in enumerate(read):
        name, label = cluster_of.get(place, (None, None))
        answer = {"id": id_, "cluster": name, "label": label}
        yield json.dumps({**answer, "error": problem} if problem else answer)


def _examples(taxonomy: Taxonomy) -> Iterator[tuple[str, str | None]]:
    """Yield what the themes in use gave as examples, each with its language."""
    for theme in taxonomy.in_use().themes:
        for language, texts in theme.examples.items():
            for text in texts:
                yield text, None if language == ANY_LANGUAGE else language


def _in_no_order(line: _Line) -> tuple[str, str, str]:
    """Return by what a line is sorted, whatever its place and the kind of its id."""
    id_, text, language, _ = line
    return json.dumps(id_), text, language or ""
