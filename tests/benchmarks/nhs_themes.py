"""How well themes are found in what patients wrote, against what people labelled by hand.

Run as ``python -m tests.benchmarks.nhs_themes FILE``, FILE being the table of labelled comments
(``FFT answer`` and one column per label). ``nhs_taxonomy.json`` says which label each theme
stands for; labels of mere praise or blame and of "nothing to label" are no themes, so comments
with these alone have none. Four ways stand side by side on the same comments: keywords only,
keywords and ten examples per theme, the ten examples only, and plain TF-IDF with the same ten.

The split: equal comments count once; those whose SHA-256 begins with an even digit give the
examples, the first ten of each theme in an order shuffled by ``--seed``; the others are tested.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import random
from pathlib import Path
from typing import Any

import numpy as np

from services.loop.themes.domain.encoding import words_of
from services.loop.themes.domain.learning import Document, LinearModel
from tests.benchmarks.theme_sets import (
    Case,
    Score,
    classified,
    drawn,
    macro_f1,
    scored,
    without,
)

TAXONOMY = Path(__file__).parent / "nhs_taxonomy.json"
PER_THEME = 10
FEWEST = 10


def read(file: Path, document: dict[str, Any]) -> list[Case]:
    """Return the comments, each once, with the themes that their labels stand for."""
    theme_of = {theme["label"]: theme["id"] for theme in document["themes"]}
    themes: dict[str, set[str]] = {}
    with file.open(encoding="utf-8-sig", newline="") as rows:
        for row in csv.DictReader(rows):
            if text := row["FFT answer"].strip():
                labels = (label for label in theme_of if (row[label] or "").strip() == "1")
                themes.setdefault(text, set()).update(theme_of[label] for label in labels)
    return [Case(text, "en", frozenset(found)) for text, found in themes.items()]


def is_for_examples(case: Case) -> bool:
    return int(hashlib.sha256(case.text.encode()).hexdigest()[0], 16) % 2 == 0


def plain_tf_idf(document: dict[str, Any], cases: list[Case]) -> dict[str, Score]:
    """Score ridge regression on the TF-IDF of the examples alone.

    A text has the themes above one threshold, the best one for the examples, each left out.
    """
    themes = [theme["id"] for theme in document["themes"]]
    meant: dict[str, set[int]] = {}
    for number, theme in enumerate(document["themes"]):
        for text in theme["examples"].get("en", ()):
            meant.setdefault(text, set()).add(number)
    model = LinearModel(
        [Document(text, frozenset(numbers), 1.0) for text, numbers in meant.items()],
        len(themes),
        "",
    )
    given = [Case(text, "en", frozenset(themes[n] for n in meant[text])) for text in meant]

    def above(scores: Any, threshold: float) -> list[list[str]]:
        return [[themes[place] for place in np.flatnonzero(row > threshold)] for row in scores]

    best = max(
        np.arange(0.05, 0.6, 0.05),
        key=lambda threshold: macro_f1(scored(above(model.left_out, threshold), given, themes)),
    )
    said = [model.scores(model.encode(words_of(case.text))) for case in cases]
    return scored(above(said, best), cases, themes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    document = json.loads(TAXONOMY.read_text(encoding="utf-8"))
    everything = read(asked.file, document)
    pool = [case for case in everything if is_for_examples(case)]
    cases = [case for case in everything if not is_for_examples(case)]
    random.Random(asked.seed).shuffle(pool)
    shown, _ = drawn(document, pool, PER_THEME)
    ways = {
        "keywords": classified(without("examples", shown), cases),
        "and examples": classified(shown, cases),
        "examples": classified(without("keywords", shown), cases),
        "TF-IDF": plain_tf_idf(shown, cases),
    }
    counted = [
        theme["id"]
        for theme in document["themes"]
        if sum(theme["id"] in case.themes for case in cases) >= FEWEST
    ]
    print(f"{len(cases)} comments tested; precision, recall and F1 by way")
    print(f"{'theme':20}{'n':>5}" + "".join(f"{way:>18}" for way in ways))
    for theme in counted:
        n = ways["keywords"][theme].right + ways["keywords"][theme].missed
        print(
            f"{theme:20}{n:5}"
            + "".join(
                f"{score.precision:8.2f}{score.recall:5.2f}{score.f1:5.2f}"
                for score in (way[theme] for way in ways.values())
            )
        )
    print(
        f"{'macro-F1':25}"
        + "".join(
            f"{macro_f1({theme: way[theme] for theme in counted}):18.3f}"
            for way in ways.values()
        )
    )


if __name__ == "__main__":
    main()
