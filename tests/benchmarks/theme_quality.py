"""How well themes are found in labelled texts of our own, by keywords and with examples.

Run as ``python -m tests.benchmarks.theme_quality``. Macro-F1 per set: by keywords only, by
keywords and examples, by examples only.
"""

from __future__ import annotations

import statistics
from typing import Any

from tests.benchmarks.theme_sets import (
    Case,
    classified,
    comments,
    macro_f1,
    questions,
    without,
)

SEEDS = (0, 1, 2)
EXAMPLES = 3


def main() -> None:
    sets: dict[str, list[tuple[dict[str, Any], list[Case]]]] = {
        "questions to a telephone company (28 themes)": [questions("phone_questions")],
        "questions to an insurer, never tuned on (12)": [questions("insurance_questions")],
        "comments on a gym, five languages (7)": [comments(EXAMPLES, seed) for seed in SEEDS],
    }
    print(f"{'macro-F1':46}{'keywords':>10}{'and examples':>14}{'examples':>10}")
    for name, runs in sets.items():
        row = [
            statistics.mean(
                macro_f1(classified(without(member, document), cases))
                for document, cases in runs
            )
            for member in ("examples", "nothing", "keywords")
        ]
        print(f"{name:46}{row[0]:10.3f}{row[1]:14.3f}{row[2]:10.3f}")


if __name__ == "__main__":
    main()
