"""Whatever is typed anywhere is shown as it was typed, and is nothing else: in pages and files.

One house is full of hostile words: each field that takes free text holds some. Every page of it
is read, every form is filled in and sent, and every question is asked with such words.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import AsyncIterator
from html import unescape
from io import StringIO
from pathlib import Path
from urllib.parse import urlencode

import pytest
import pytest_asyncio

from tests.forms import forms_in
from tests.full_house import FullHouse, full_house
from tests.hostile import CORPUS, foreign_in

pytestmark = pytest.mark.asyncio(loop_scope="module")

URL = "http://127.0.0.1:8000"
TYPED = {
    "text",
    "search",
    "email",
    "password",
    "datetime-local",
    "date",
    "number",
    "url",
    "tel",
}


async def pages_of(full: FullHouse) -> list[str]:
    """Return every page but what a mail looks like, which is no page of ours."""
    return [path for path in await full.pages() if not path.startswith("/mail/cap_")]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def full(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FullHouse]:
    folder: Path = tmp_path_factory.mktemp("hostile")
    async with full_house(folder, CORPUS, URL) as opened:
        yield opened


async def test_the_words_are_many_and_found_out() -> None:
    """A page that did show them as they are would be noticed: nine of ten in every place."""
    assert len(CORPUS) >= 60
    assert len(set(CORPUS)) == len(CORPUS)
    between = [text for text in CORPUS if "<" in text and foreign_in(f"<p>{text}</p>")]
    within = [text for text in CORPUS if '"' in text and foreign_in(f'<input value="{text}">')]

    assert len(between) > 45
    assert len(within) > 3
    assert foreign_in('<p title="x">a</p><script src="/static/app.js" defer></script>') == []


async def test_every_page_shows_them_letter_by_letter(full: FullHouse) -> None:
    found = {}
    shown: set[str] = set()
    async with full.browsing("ada") as browser:
        for path in await pages_of(full):
            page = (await browser.get(path)).text
            shown |= {text for text in CORPUS if text in unescape(page)}
            # The description of the interface starts two scripts of its own.
            if foreign := foreign_in(page, scripts=2 if path == "/docs" else 1):
                found[path] = foreign

    assert found == {}
    assert len(shown) > 0.9 * len(CORPUS)


async def test_every_mail_is_harmless(full: FullHouse) -> None:
    """As it looks, where it leads, and in the lines of its head."""
    async with full.browsing("ada") as browser:
        listed = (await browser.get("/mail?limit=200")).text
        ids = {part.partition('"')[0] for part in listed.split('href="/mail/')[1:]}
        found = {}
        for mail in ids:
            answer = await browser.get(f"/mail/{mail}/html")
            if answer.status_code == 404:
                continue  # of a customer who is forgotten
            raw = [text for text in CORPUS if "<" in text and text in answer.text]
            links = set(re.findall(r'(?:href|src|action)="([^"]*)', answer.text))
            away = [
                link for link in links if not link.startswith((f"{URL}/", "mailto:", "tel:"))
            ]
            if raw or away:
                found[mail] = [*raw, *away]
            head = (await browser.get(f"/mail/{mail}")).text
            assert "<dt>Bcc</dt>" not in head

    assert len(ids) > 20
    assert found == {}


async def test_every_form_gives_them_back_as_they_were_typed(full: FullHouse) -> None:
    """Sent with hostile words in every field: what is wrong is said, and nothing breaks."""
    found = {}
    sent = 0
    for path in await pages_of(full):
        # Signed in anew for each page: a form may end the session.
        async with full.browsing("ada") as browser:
            for form in forms_in((await browser.get(path)).text):
                sent += 1
                words = {name: full.say() for name in [*form.typed, *form.secret]}
                answer = await form.send(browser, path, words)
                if answer.is_redirect:
                    answer = await browser.get(answer.headers["location"])
                assert answer.status_code < 500, f"{path} {form.path}: {answer.text[:500]}"
                if answer.headers.get("content-type", "").startswith("text/html"):
                    foreign = foreign_in(answer.text)
                    if foreign:
                        found[f"{path} {form.path}"] = foreign

    assert sent > 60
    assert found == {}


async def test_every_question_is_answered_without_their_echo(full: FullHouse) -> None:
    """Whatever stands behind the question mark, and in the place of an id."""
    found = {}
    names = ("q", "tab", "next", "done", "sort", "cursor", "kind", "code", "id", "of", "state")
    async with full.browsing("ada") as browser:
        for path in sorted({path.partition("?")[0] for path in await pages_of(full)}):
            for shift in range(3):
                query = {name: full.say(200) for name in names[shift::3]}
                answer = await browser.get(f"{path}?{urlencode(query)}")
                assert answer.status_code < 500, f"{path}: {answer.text[:500]}"
                if answer.headers.get("content-type", "").startswith("text/html"):
                    foreign = foreign_in(answer.text, scripts=2 if path == "/docs" else 1)
                    if foreign:
                        found[path] = foreign

    assert found == {}


async def test_no_cell_of_a_file_is_a_formula(full: FullHouse) -> None:
    """In every file for spreadsheets that the application hands out."""
    harmful = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
    files = [path for path in full.paths() if ".csv" in path]
    async with full.browsing("ada") as browser:
        for path in files:
            answer = await browser.get(path)
            assert answer.headers["content-type"] == "text/csv; charset=utf-8", path
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["content-disposition"].startswith("attachment"), path
            rows = list(csv.reader(StringIO(answer.text.removeprefix("\ufeff"), newline="")))
            assert len({len(row) for row in rows}) == 1, path
            cells = [cell for row in rows for cell in row]
            bad = [cell for cell in cells if cell.startswith(harmful) and not is_number(cell)]
            assert bad == [], path

    assert len(files) >= 4


def is_number(cell: str) -> bool:
    """Tell a number of ours from words."""
    return cell.lstrip("-").replace(".", "", 1).isdigit()


async def test_what_programs_read_is_never_taken_for_a_page(full: FullHouse) -> None:
    """JSON holds the words unchanged, and no browser makes a page of it."""
    async with full.house.client() as system:
        answers = [
            await system.get(path)
            for path in ("/v1/tasks?limit=200", "/v1/segments", "/v1/schemes", "/v1/keys")
        ]
        task = await system.get(f"/v1/tasks/{full.things['task_id']}")
    for answer in [*answers, task]:
        assert answer.headers["content-type"].startswith("application/json")
        assert answer.headers["x-content-type-options"] == "nosniff"
        json.loads(answer.text)
    words = json.dumps([answer.json() for answer in answers], ensure_ascii=False)
    assert "<script" in words
