"""How fast verbatims are classified, beside plainly splitting the same text into words.

Run as ``python -m tests.benchmarks.themes_speed``. Both sides read the same 150-character
texts in turn, five times; the medians and their ratio are printed, and the peak memory.
"""

from __future__ import annotations

import json
import random
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from services.loop.themes.domain import Classifier, starter_taxonomy

VERBATIMS = 20_000
CHARACTERS = 150
ROUNDS = 5
CASES = Path(__file__).parents[1] / "domain" / "theme_cases.jsonl"


def sample() -> list[tuple[str, str]]:
    """Make texts of realistic length from the sentences of the tests, one language each."""
    by_language: dict[str, list[str]] = {}
    for line in CASES.read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        by_language.setdefault(case["lang"], []).append(case["text"])
    chance = random.Random(7)
    made = []
    for _ in range(VERBATIMS):
        language = chance.choice(sorted(by_language))
        text = " ".join(chance.choices(by_language[language], k=6))
        made.append((text[:CHARACTERS], language))
    return made


def per_second(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return VERBATIMS / (time.perf_counter() - started)


def main() -> None:
    texts = sample()
    classify = Classifier(starter_taxonomy()).classify
    sides: dict[str, Callable[[], object]] = {
        "split": lambda: [text.split() for text, _ in texts],
        "told": lambda: [classify(text, language) for text, language in texts],
        "untold": lambda: [classify(text) for text, _ in texts],
    }
    runs: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(ROUNDS):
        for name, work in sides.items():
            runs[name].append(per_second(work))
    median = {name: statistics.median(speeds) for name, speeds in runs.items()}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    json.dump(
        {
            "verbatims": VERBATIMS,
            "characters": CHARACTERS,
            "split_per_second": round(median["split"]),
            "classify_per_second": round(median["told"]),
            "classify_without_language_per_second": round(median["untold"]),
            "ratio_to_split": round(median["told"] / median["split"], 4),
            "peak_mb": round(peak),
        },
        sys.stdout,
        indent=2,
    )
    print()


if __name__ == "__main__":
    main()
