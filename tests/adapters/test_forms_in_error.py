"""What every form says when it is filled in wrongly: where, what to do, and nothing is lost.

The forms are found on the pages themselves, so that a new one is among them.
"""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from tests.forms import Form, forms_in
from tests.full_house import full_house

WRONG = "no such thing, 99"
REFUSED = {409, 412, 422}


@pytest.mark.parametrize("typed", [" ", WRONG])
async def test_every_form_says_what_is_wrong_and_keeps_what_was_typed(
    tmp_path: Path, typed: str
) -> None:
    """Everybody is led to each mistake: by a link, and by what describes the field."""
    found = {}
    refused = 0
    async with full_house(tmp_path, ["Maya Lindqvist"], "http://127.0.0.1:8000") as full:
        for path in await full.pages():
            # Signed in anew for each page: a form may end the session.
            async with full.browsing("ada") as browser:
                for form in forms_in((await browser.get(path)).text):
                    answer = await form.send(browser, path, dict.fromkeys(form.typed, typed))
                    assert answer.status_code < 500, f"{path} {form.path}: {answer.text[:500]}"
                    if answer.status_code in REFUSED:
                        refused += 1
                        if faults := list(faults_of(answer, form, typed)):
                            found[f"{path} {form.path} {answer.status_code}"] = faults

    assert refused > 30
    assert found == {}


def faults_of(answer: httpx.Response, form: Form, typed: str) -> list[str]:
    """Return what is missing in an answer that refuses a form."""
    page = answer.text
    ids = set(re.findall(r'\bid="([^"]+)"', page))
    alert = page.partition('role="alert"')[2].partition("</form>")[0]
    said = re.sub(r"<[^>]+>", " ", alert.partition(">")[2].partition("</div>")[0])
    linked = re.findall(r'href="#([^"]+)"', alert.partition("</div>")[0])
    described = [
        one for each in re.findall(r'aria-describedby="([^"]*)"', page) for one in each.split()
    ]
    found = [f"nothing is called {one}" for one in [*linked, *described] if one not in ids]
    if len(said.split()) < 3:
        found.append("does not say what is wrong")
    if linked and page.count('aria-invalid="true"') < len(linked):
        found.append("marks fewer fields than it names")
    if typed.strip() and page.count(typed) < len(form.typed):
        found.append("loses what was typed")
    return found
