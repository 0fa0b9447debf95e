"""Labelled texts of our own, and how well a classifier does on any labelled texts.

``labelled/*_questions.txt`` hold questions with one theme each: a theme is
``# id | name | keywords``, then ten examples, then questions to be tested behind ``>``.
``labelled/gym_comments.txt`` holds comments in five languages with several themes or none.
All of them were written for this repository. The questions to a telephone company and the
comments were used while the classifier was made; the questions to an insurer were not.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from services.loop.themes.domain import Classifier, parse_taxonomy

SETS = Path(__file__).parent / "labelled"


class Case(NamedTuple):
    """A text, its language and the themes that a person gave it."""

    text: str
    language: str
    themes: frozenset[str]


class Score(NamedTuple):
    """How well one theme was found: right, wrongly and not at all."""

    right: int
    wrong: int
    missed: int

    @property
    def precision(self) -> float:
        return self.right / max(1, self.right + self.wrong)

    @property
    def recall(self) -> float:
        return self.right / max(1, self.right + self.missed)

    @property
    def f1(self) -> float:
        return 2 * self.right / max(1, 2 * self.right + self.wrong + self.missed)


def scored(
    found: Iterable[Iterable[str]], cases: Sequence[Case], themes: Iterable[str]
) -> dict[str, Score]:
    """Score each theme that the cases have."""
    right: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    for got, case in zip(found, cases, strict=True):
        right.update(case.themes & set(got))
        wrong.update(set(got) - case.themes)
        missed.update(case.themes - set(got))
    return {
        theme: Score(right[theme], wrong[theme], missed[theme])
        for theme in themes
        if right[theme] + missed[theme]
    }


def macro_f1(scores: dict[str, Score]) -> float:
    return sum(score.f1 for score in scores.values()) / len(scores)


def classified(document: dict[str, Any], cases: Sequence[Case]) -> dict[str, Score]:
    """Score a taxonomy on cases."""
    classifier = Classifier(parse_taxonomy(document))
    found = [
        [mention.theme_id for mention in classifier.classify(case.text, case.language)]
        for case in cases
    ]
    return scored(found, cases, [theme["id"] for theme in document["themes"]])


def without(member: str, document: dict[str, Any]) -> dict[str, Any]:
    """Return a taxonomy without its keywords or its examples."""
    themes = [
        {name: value for name, value in theme.items() if name != member}
        for theme in document["themes"]
    ]
    return {**document, "themes": themes}


def questions(name: str) -> tuple[dict[str, Any], list[Case]]:
    """Read a set of questions: the taxonomy and the cases to test it with."""
    themes: list[dict[str, Any]] = []
    cases = []
    for line in (SETS / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        mark, rest = line[:1], line[1:].strip()
        if mark == "#":
            id_, title, words = (part.strip() for part in rest.split("|"))
            keywords = [word.strip() for word in words.split(",")]
            themes.append(
                {
                    "id": id_,
                    "name": title,
                    "keywords": {"en": keywords},
                    "examples": {"en": []},
                }
            )
        elif mark == ">":
            cases.append(Case(rest, "en", frozenset({themes[-1]["id"]})))
        elif line:
            themes[-1]["examples"]["en"].append(line)
    return {"max_themes": 1, "themes": themes}, cases


def comments(per_theme: int, seed: int) -> tuple[dict[str, Any], list[Case]]:
    """Read the comments and draw examples per theme and language; the others are cases."""
    themes: dict[str, dict[str, Any]] = {}
    lines: list[Case] = []
    part = language = ""
    for line in (SETS / "gym_comments.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("@"):
            part, _, language = line[1:].partition(" ")
        elif part == "themes":
            id_, title = (each.strip() for each in line.split("|"))
            themes[id_] = {"id": id_, "name": title, "keywords": {}, "examples": {}}
        elif part == "keywords":
            id_, _, words = line.partition(":")
            themes[id_]["keywords"][language] = [word.strip() for word in words.split(",")]
        else:
            marked, text = (each.strip() for each in line.split("|", 1))
            meant = frozenset() if marked == "-" else frozenset(marked.split(","))
            lines.append(Case(text, language, meant))
    random.Random(seed).shuffle(lines)
    return drawn({"max_themes": None, "themes": list(themes.values())}, lines, per_theme)


def drawn(
    document: dict[str, Any], lines: Sequence[Case], per_theme: int
) -> tuple[dict[str, Any], list[Case]]:
    """Make the first lines of each theme and language its examples; the others are cases."""
    examples: dict[str, dict[str, list[str]]] = {}
    cases = []
    for case in lines:
        wanting = [
            listed
            for theme in sorted(case.themes)
            if len(listed := examples.setdefault(theme, {}).setdefault(case.language, []))
            < per_theme
        ]
        for listed in wanting:
            listed.append(case.text)
        if not wanting:
            cases.append(case)
    themes = [
        {**theme, "examples": examples.get(theme["id"], {})} for theme in document["themes"]
    ]
    return {**document, "themes": themes}, cases
