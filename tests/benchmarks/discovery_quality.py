"""How well what is new is found, on labelled texts of our own and on patients' comments.

Run as ``python -m tests.benchmarks.discovery_quality [nhs_patient_feedback.csv]``. Per set:
adjusted mutual information with the labels, the same for a baseline in the same run (latent
semantic analysis of stems, k-means, told the true number of themes), and how alike two draws of
80 % of the texts are grouped. Then, for a taxonomy that lacks five of its themes, how well
these are found and how many texts of the other themes come along (three draws).

``mobile_discovery.txt``, ``stay_discovery.txt`` and the patients' comments were used while this
was made; the other sets only to choose between two resolutions of the communities.
"""

from __future__ import annotations

import csv
import json
import random
import sys
from collections import Counter
from math import exp, lgamma, log
from pathlib import Path
from statistics import mean

import numpy as np

from services.loop.themes.domain import discover_lines, parse_taxonomy
from services.loop.themes.domain.discovery import Verbatim, discover
from services.loop.themes.domain.reading import read_all
from services.loop.themes.domain.sparse import Rows, principal
from tests.benchmarks.theme_sets import comments

SETS = Path(__file__).parent / "labelled"
OF_EACH_LABEL = 60
LABELS = 9
DRAWS = 3
NEW = 5
EXAMPLES = 5

Text = tuple[str, str, str]
"""A text, its language and its label."""


def read_set(name: str) -> list[Text]:
    """Read ``# label`` lines with the texts below; ``de|…`` says the language, else English."""
    read, label = [], ""
    for line in (SETS / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            label = line[1:].partition("|")[0].strip()
        elif line.strip():
            text = line.removeprefix(">").strip()
            known = len(text) > 2 and text[2] == "|"
            read.append((text[3:], text[:2], label) if known else (text, "en", label))
    return read


def read_comments(path: Path) -> list[Text]:
    """Draw comments that have exactly one of the commonest labels."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    general = {"Labelling not possible", "Positive experience & gratitude"}
    general |= {"Negative experience & dissatisfaction", "Not assigned"}
    one = [
        (row["FFT answer"].strip(), "en", labels[0])
        for row in rows
        for labels in [
            [name for name in list(row)[12:] if row[name] == "1" and name not in general]
        ]
        if len(labels) == 1 and row["FFT answer"].strip()
    ]
    common = [label for label, _ in Counter(label for _, _, label in one).most_common(LABELS)]
    chance = random.Random(3)
    drawn: list[Text] = []
    for label in common:
        having = [text for text in one if text[2] == label]
        drawn += chance.sample(having, min(OF_EACH_LABEL, len(having)))
    return drawn


def grouped(texts: list[Text]) -> list[int]:
    """Return the group of each text, -1 for none."""
    verbatims = [
        Verbatim(f"{place:06}", text, tongue) for place, (text, tongue, _) in enumerate(texts)
    ]
    group = [-1] * len(texts)
    for number, cluster in enumerate(discover(verbatims)):
        for member in cluster.members:
            group[int(member)] = number
    return group


def told_the_number(texts: list[Text], seed: int = 7) -> list[int]:
    """Group by k-means on latent semantic analysis, told how many themes there are."""
    read = [
        text.counted()[0] for text in read_all([(text, tongue) for text, tongue, _ in texts])
    ]
    heard = Counter(root for roots in read for root in roots)
    number = {root: place for place, root in enumerate(sorted(heard))}
    rows = [
        {
            number[root]: (1 + log(n)) * log(1 + len(read) / heard[root])
            for root, n in roots.items()
        }
        or {0: 1e-6}
        for roots in read
    ]
    matrix = Rows.of(rows, len(number))
    points = matrix.times(principal(matrix, 100, seed))
    points /= np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-9)
    many = len({label for _, _, label in texts})
    best: tuple[float, list[int]] = (-1.0, [])
    for turn in range(10):
        chance = np.random.default_rng(seed + turn)
        centres = points[chance.choice(len(points), many, replace=False)]
        nearest = (points @ centres.T).argmax(axis=1)
        for _ in range(50):
            sums = [points[nearest == k].sum(axis=0) for k in range(many)]
            centres = np.stack([one / max(float(np.linalg.norm(one)), 1e-9) for one in sums])
            nearest = (points @ centres.T).argmax(axis=1)
        fit = float((points @ centres.T).max(axis=1).sum())
        best = max(best, (fit, nearest.tolist()))
    return best[1]


def adjusted_mutual_information(ours: list[int], theirs: list[int] | list[str]) -> float:
    """Return 1 for the same groups and about 0 for groups drawn by lot (mean normalised)."""
    many = len(ours)
    rows, columns = Counter(ours), Counter(theirs)
    both = Counter(zip(ours, theirs, strict=True))
    shared = sum(
        n / many * log(n * many / (rows[a] * columns[b])) for (a, b), n in both.items()
    )
    spread = [-sum(n / many * log(n / many) for n in each.values()) for each in (rows, columns)]
    by_lot = 0.0
    for a, times_a in Counter(rows.values()).items():
        for b, times_b in Counter(columns.values()).items():
            fixed = sum(map(lgamma, (a + 1, b + 1, many - a + 1, many - b + 1)))
            for n in range(max(1, a + b - many), min(a, b) + 1):
                ways = (many + 1, n + 1, a - n + 1, b - n + 1, many - a - b + n + 1)
                chance = exp(fixed - sum(map(lgamma, ways)))
                by_lot += times_a * times_b * chance * n / many * log(many * n / (a * b))
    return (shared - by_lot) / max(mean(spread) - by_lot, 1e-12)


def stability(texts: list[Text]) -> float:
    """Return how alike two draws of four fifths are grouped, on the texts in both."""
    alike = []
    for draw in range(DRAWS):
        chance = random.Random(draw)
        halves = []
        for _ in range(2):
            drawn = sorted(chance.sample(range(len(texts)), len(texts) * 4 // 5))
            halves.append(dict(zip(drawn, grouped([texts[one] for one in drawn]), strict=True)))
        both = sorted(halves[0].keys() & halves[1].keys())
        one, other = ([half[place] for place in both] for half in halves)
        alike.append(adjusted_mutual_information(one, other))
    return mean(alike)


def emerging(texts: list[Text], seed: int) -> tuple[float, float]:
    """Return the best F1 of themes that a taxonomy lacks, and how much known comes along."""
    chance = random.Random(seed)
    labels = sorted({label for _, _, label in texts})
    new = set(chance.sample(labels, NEW))
    themes, shown = [], set()
    for label in sorted(set(labels) - new):
        having = [place for place, text in enumerate(texts) if text[2] == label]
        examples = chance.sample(having, EXAMPLES)
        shown.update(examples)
        themes.append({"id": label, "examples": {"en": [texts[one][0] for one in examples]}})
    rest = [place for place in range(len(texts)) if place not in shown]
    lines = [json.dumps({"id": one, "text": texts[one][0], "lang": "en"}) for one in rest]
    taxonomy = parse_taxonomy({"max_themes": 1, "themes": themes})
    group: dict[str, set[int]] = {}
    for answer in map(json.loads, discover_lines(lines, taxonomy, report=print)):
        if answer["cluster"] is not None:
            group.setdefault(answer["cluster"], set()).add(answer["id"])
    found = []
    for label in new:
        wanted = {place for place in rest if texts[place][2] == label}
        scores = [
            2 * len(wanted & members) / (len(wanted) + len(members))
            for members in group.values()
        ]
        found.append(max(scores, default=0.0))
    known = {place for place in rest if texts[place][2] not in new}
    return mean(found), len(known & set().union(*group.values())) / len(known)


def main() -> None:
    sets = {path.stem: read_set(path.name) for path in sorted(SETS.glob("*_questions.txt"))}
    sets |= {path.stem: read_set(path.name) for path in sorted(SETS.glob("*_discovery.txt"))}
    # Of the comments in five languages, those with exactly one theme.
    sets["gym_comments"] = [
        (case.text, case.language, next(iter(case.themes)))
        for case in comments(0, 1)[1]
        if len(case.themes) == 1
    ]
    for name in sys.argv[1:]:
        sets[Path(name).stem] = read_comments(Path(name))
    for name, texts in sets.items():
        labels = [label for _, _, label in texts]
        group = grouped(texts)
        row: dict[str, object] = {
            "set": name,
            "texts": len(texts),
            "themes": len(set(labels)),
            "groups": len(set(group) - {-1}),
            "ami": round(adjusted_mutual_information(group, labels), 3),
            "ami_of_k_means_told_k": round(
                adjusted_mutual_information(told_the_number(texts), labels), 3
            ),
            "stability": round(stability(texts), 2),
        }
        if len(set(labels)) >= 3 * NEW and min(Counter(labels).values()) > 2 * EXAMPLES:
            drawn = [emerging(texts, seed) for seed in range(DRAWS)]
            row["emerging_f1"] = round(mean(f1 for f1, _ in drawn), 2)
            row["known_leak"] = round(mean(leak for _, leak in drawn), 2)
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
