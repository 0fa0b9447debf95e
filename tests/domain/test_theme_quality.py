"""How well themes are found must not fall unnoticed: floors on labelled texts of our own."""

from __future__ import annotations

import pytest

from services.loop.themes.domain import Classifier, parse_taxonomy
from tests.benchmarks.theme_sets import classified, comments, macro_f1, questions, without


@pytest.mark.parametrize(
    ("name", "by_keywords", "with_examples"),
    [("phone_questions", 0.46, 0.64), ("insurance_questions", 0.41, 0.60)],
)
def test_questions_with_one_theme_each(
    name: str, by_keywords: float, with_examples: float
) -> None:
    document, cases = questions(name)

    assert macro_f1(classified(without("examples", document), cases)) > by_keywords
    assert macro_f1(classified(document, cases)) > with_examples


def test_comments_with_several_themes_or_none_in_five_languages() -> None:
    document, cases = comments(3, seed=0)

    assert macro_f1(classified(without("examples", document), cases)) > 0.80
    assert macro_f1(classified(document, cases)) > 0.80
    classifier = Classifier(parse_taxonomy(document))
    nothing = [case for case in cases if not case.themes]
    assert len(nothing) > 30
    assert [case for case in nothing if classifier.classify(case.text, case.language)] == []
