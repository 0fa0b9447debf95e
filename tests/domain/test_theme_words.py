"""Words that corrections suggest: of several customers, rarely elsewhere, nobody's name."""

from __future__ import annotations

from services.loop.themes.domain.mining import Said, words_to_add, words_to_drop

OTHERS = ["The price is fair", "Waited long at the door", "All good, thank you"] * 40


def said(*texts: str) -> list[Said]:
    return [Said(person=f"p-{n}", text=text) for n, text in enumerate(texts)]


def words(*texts: str, others: list[str] = OTHERS, **more: list[str]) -> list[str]:
    found = words_to_add(said(*texts), others, language="en", **more)
    return [one.words for one in found]


def test_a_word_that_three_customers_used_is_proposed_in_its_commonest_form() -> None:
    found = words_to_add(
        said("The kiosks were broken", "No kiosk worked", "kiosks again", "Two kiosks"),
        OTHERS,
        language="en",
    )

    assert [(one.kind, one.words, one.support, one.against) for one in found] == [
        ("add", "kiosks", 4, 0)
    ]


def test_two_customers_are_not_enough_however_often_they_say_it() -> None:
    twice = [Said(person=f"p-{n % 2}", text="a kiosk") for n in range(9)]

    assert words_to_add(twice, OTHERS, language="en") == []


def test_what_everybody_says_is_not_proposed() -> None:
    texts = ("A kiosk", "the kiosk", "such a kiosk")

    assert words(*texts, others=["no kiosk at all"] * 10 + OTHERS) == []
    assert words(*texts, others=["no kiosk at all"] * 2 + OTHERS) == ["kiosk"]


def test_a_phrase_tells_where_its_words_alone_do_not() -> None:
    texts = ("my call back never came", "no call back", "promised a call back")
    others = ["on the call", "back again", "the way back", "a call"] * 40

    assert words(*texts, others=others) == ["call back"]


def test_words_of_today_are_not_proposed_again() -> None:
    assert words("a kiosk", "the kiosk", "kiosks", known=["kiosks"]) == []


def test_nobodys_name_address_or_number_is_proposed() -> None:
    texts = [f"[name] and [e-mail] wrote [number] {n}00 x1" for n in range(4)]

    assert words(*texts) == ["wrote"]


def test_no_colleague_becomes_a_keyword_in_any_case_of_their_name() -> None:
    texts = ("Ruiz at the kiosk", "the kiosk of ruiz", "Kiosk, Ruiz's")

    assert words(*texts, names=["ruiz"]) == ["kiosk"]


def test_no_phrase_goes_across_a_full_stop_or_a_name() -> None:
    texts = ["red. Green [name] blue"] * 3

    assert sorted(words(*texts)) == ["blue", "green", "red"]


def test_the_order_of_the_comments_does_not_matter() -> None:
    texts = ["kiosk broken", "broken kiosk", "the kiosk was broken", "kiosk"]

    assert words(*texts) == words(*texts[::-1])


def test_a_keyword_that_is_mostly_wrong_is_proposed_to_be_dropped() -> None:
    judged = {"line": (6, 2), "queue": (2, 0), "stand": (3, 2), "row": (3, 1)}

    assert [
        (one.kind, one.words, one.support, one.against) for one in words_to_drop(judged)
    ] == [
        ("drop", "line", 6, 2),
        ("drop", "row", 3, 1),
    ]
