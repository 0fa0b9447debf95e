"""Words, stems, the guess at a language and the table of common words."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.text.background import rarity
from shared.text.language import guess, stop_words
from shared.text.stems import accepted_forms, accepted_keys, keys, primary, stem, terms
from shared.text.tokens import bare, fold, tokens


def words(text: str) -> list[str]:
    return [token.word for token in tokens(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("We waited, twice!", ["we", "waited", "twice"]),
        ("Don\u2019t wait", ["don't", "wait"]),
        ("check-in e-mail", ["check", "in", "e", "mail"]),
        ("snake_case", ["snake", "case"]),
        ("c\u030cekat", ["čekat"]),
        ("War\u00adte\u00adzeit", ["wartezeit"]),
        ("Straße STRASSE", ["strasse", "strasse"]),
        ("ОЧЕРЕДЬ ещё", ["очередь", "ещё"]),
        ("10€ 👍", ["10", "€", "👍"]),
        ("等待 abc等", ["等", "待", "abc", "等"]),
        ("हिन्दी।", ["हिन्दी"]),
        ("'quoted' rock 'n' roll", ["quoted", "rock", "n", "roll"]),
        ("", []),
        ("… ?! -- _", []),
    ],
)
def test_words_are_found_and_folded(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_spans_index_the_text_as_given() -> None:
    text = "\ufeffİ  Čekali\u0301 jsme 👨\u200d👩 dlouho"

    assert [text[token.start : token.end] for token in tokens(text)] == [
        "İ",
        "Čekali\u0301",
        "jsme",
        "👨",
        "👩",
        "dlouho",
    ]


@given(st.text())
def test_tokens_stand_in_order_inside_any_text(text: str) -> None:
    end = 0
    for token in tokens(text):
        assert end <= token.start < token.end <= len(text)
        assert token.word == fold(text[token.start : token.end])
        end = token.end


@given(st.text(max_size=20))
def test_folding_twice_changes_nothing(word: str) -> None:
    assert fold(fold(word)) == fold(word)


@pytest.mark.parametrize(
    ("word", "typed"),
    [
        ("čekání", "cekani"),
        ("łódź", "lodz"),
        ("øl", "ol"),
        ("plain", "plain"),
        ("tiếng", "tieng"),
        ("йод", "йод"),
    ],
)
def test_accents_fall_away_from_latin_letters_only(word: str, typed: str) -> None:
    assert bare(word) == typed


@pytest.mark.parametrize(
    ("tag", "language"),
    [
        ("de-AT", "de"),
        ("pt_BR", "pt"),
        ("EN", "en"),
        ("nb", "no"),
        ("ces", "cs"),
        ("und", ""),
        ("", ""),
        (None, ""),
        ("tlh", "tlh"),
    ],
)
def test_a_language_tag_is_reduced_to_its_language(tag: str | None, language: str) -> None:
    assert primary(tag) == language


@pytest.mark.parametrize(
    ("language", "forms"),
    [
        ("en", ["waiting", "waited", "wait"]),
        ("de", ["kompetent", "kompetente", "kompetenten"]),
        ("pl", ["czekam", "czekałem"]),
        ("da", ["pakke", "pakken", "pakker"]),
        ("cs", ["obsluha", "obsluhy", "obsluhu"]),
        ("sk", ["obsluha", "obsluhy"]),
        ("ru", ["очередь", "очереди", "очередями"]),
        ("ru", ["ещё", "еще"]),
        ("fr", ["l'attente", "attente"]),
        ("uk", ["черга", "черги"]),
        ("", ["obsluga", "obslugi"]),
    ],
)
def test_the_forms_of_a_word_share_a_stem(language: str, forms: list[str]) -> None:
    assert len({stem(form, language) for form in forms}) == 1


def test_a_light_stem_leaves_short_words_alone() -> None:
    assert stem("aaaaaaaa", "uk") == "aaaaaa"
    assert stem("idea", "uk") == "idea"


@pytest.mark.parametrize(
    ("listed", "typed", "language"),
    [
        ("čekání", "cekani", "cs"),
        ("obsługa", "obsluga", "pl"),
        ("pågår", "paagaar", "sv"),
        ("kø", "koe", "da"),
        ("kø", "ko", "da"),
        ("grün", "gruen", "de"),
    ],
)
def test_a_listed_word_accepts_what_is_typed_without_accents(
    listed: str, typed: str, language: str
) -> None:
    assert not accepted_keys(listed, language).isdisjoint(keys(typed, language))


def test_nobody_adds_an_accent_by_mistake() -> None:
    assert accepted_keys("cekani", "cs").isdisjoint(keys("čekání", "cs"))


def test_a_stop_word_is_no_form_of_another_word() -> None:
    assert stem("ware", "de") == stem("war", "de")
    assert accepted_keys("ware", "de").isdisjoint(keys("war", "de"))
    assert not accepted_keys("war", "de").isdisjoint(keys("war", "de"))


def test_a_quoted_form_accepts_itself_only() -> None:
    assert not accepted_forms("caring").isdisjoint(keys("caring", "en"))
    assert accepted_forms("caring").isdisjoint(keys("care", "en"))


def test_terms_are_the_distinct_stems_of_a_text() -> None:
    assert terms("Waiting, waited: queues", "en-GB") == {"wait", "queue"}
    assert terms("", None) == frozenset()


def test_stemming_is_the_same_from_many_threads() -> None:
    given = [f"waiting{number}ed" for number in range(2_000)]
    expected = [stem(word, "en") for word in given]
    stem.cache_clear()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda word: stem(word, "en"), given)) == expected


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("we waited for the bus and it was late", "en"),
        ("wir haben lange gewartet", "de"),
        ("czekałem bardzo długo", "pl"),
        ("det var meget langsomt", "da"),
        ("čekali jsme dlouho", "cs"),
        ("ждали очень долго", "ru"),
        ("дуже довго чекали", "uk"),
        ("long wait", ""),
        ("", ""),
        ("żółć", "pl"),
    ],
)
def test_a_language_is_guessed_or_left_open(text: str, language: str) -> None:
    assert guess(text.split()) == language


def test_a_guess_stays_among_the_languages_asked_for() -> None:
    assert guess(["det", "var", "meget"], ["en", "da"]) == "da"
    assert guess(["det", "var", "meget", "é"], ["en", "de"]) == ""
    assert guess(["очередь"], ["en", "ru"]) == "ru"
    assert guess(["очередь"], ["en", "de"]) == ""
    assert guess(["the"], []) == ""


def test_rarity_has_three_steps() -> None:
    assert rarity("the", "en") < rarity("services", "en") < rarity("refund", "en") == 1.0
    assert rarity("the", "xx") == 1.0
    assert "und" in stop_words("de")


def test_no_character_breaks_a_word_finder() -> None:
    every = "".join(map(chr, range(0, sys.maxunicode + 1, 7)))

    assert sum(1 for _ in tokens(every)) > 0
