"""The pages of the taxonomy, worked with a browser's forms."""

from __future__ import annotations

import html
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from services.loop.themes.domain import Taxonomy, Theme, parse_taxonomy
from services.loop.themes.handlers import change_taxonomy, current_taxonomy
from services.loop.themes.handlers.drafting import drafted_taxonomy
from shared.identity.person_keys import PersonKeys
from shared.sealing import Keyring
from tests.desk import HOSTILE, Desk, desk_on
from tests.fakes import ManualClock

PATH = "/settings/taxonomy"
OURS = parse_taxonomy(
    {
        "themes": [
            {"id": "waiting", "name": "Waiting", "keywords": {"en": ["wait", "queue"]}},
            {
                "id": "phone",
                "name": "Phone",
                "parent": "waiting",
                "keywords": {"en": ["phone"]},
            },
        ]
    }
)


@pytest_asyncio.fixture
async def desk(
    tmp_path: Path, clock: ManualClock, keyring: Keyring, person_keys: PersonKeys
) -> AsyncIterator[Desk]:
    async with desk_on(
        f"{tmp_path}/desk.db", clock=clock, keyring=keyring, person_keys=person_keys
    ) as opened:
        await put_in_use(opened, OURS)
        yield opened


async def put_in_use(desk: Desk, taxonomy: Taxonomy) -> int:
    async with desk.database.transaction() as tx:
        made = await change_taxonomy(
            tx, taxonomy, expected=None, by=desk.staff["ada"], now=desk.clock.now()
        )
    return made.version


async def in_use(desk: Desk) -> Taxonomy:
    async with desk.database.reading() as view:
        return (await current_taxonomy(view)).taxonomy


async def draft_of(desk: Desk) -> Taxonomy:
    async with desk.database.reading() as view:
        draft = await drafted_taxonomy(view)
    assert draft is not None
    return draft.taxonomy


def theme_of(taxonomy: Taxonomy, theme_id: str) -> Theme:
    found = taxonomy.find(theme_id)
    assert found is not None
    return found


async def sent(browser: httpx.AsyncClient, act: str, **fields: str) -> httpx.Response:
    return await browser.post(f"{PATH}/{act}", data=fields)


def text_of(page: httpx.Response) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page.text)).split())


def fields_of(page: httpx.Response) -> dict[str, str]:
    """Return what a browser sends of the form as it is shown, but boxes that are ticked."""
    form = page.text.partition('action="/settings/taxonomy/one"')[2].partition("</form>")[0]
    patterns = (
        r'<input id="[^"]+" name="([^"]+)" type="text" value="([^"]*)"',
        r'<textarea id="[^"]+" name="([^"]+)"[^>]*>\n?(.*?)</textarea>',
        r'<select id="[^"]+" name="([^"]+)"[^>]*>(?:(?!</sel).)*<option value="([^"]*)" sel',
    )
    return {
        name: html.unescape(value)
        for pattern in patterns
        for name, value in re.findall(pattern, form, re.DOTALL)
    }


# ------------------------------------------------------------------ a theme, draft to use


async def test_a_new_theme_is_written_tried_and_published(desk: Desk) -> None:
    fields = {
        "name": "Parking",
        "name_de": "Parken",
        "keywords_en": "car park\nparking space",
        "keywords_de": "Parkplatz",
        "keywords_every": "P+R",
        "exclude_en": "theme park",
        "examples_en": "There was nowhere to leave the car",
        "new_tag": "fr",
        "keywords_new": "parking gratuit",
        "need": "rational",
        "parent": "waiting",
    }
    async with desk.browsing("ada") as browser:
        tried = await sent(
            browser, "one", **fields, do="try", text="The car park was full <b>", version="0"
        )
        saved = await sent(browser, "one", **fields, do="save", version="0")
        shown = await browser.get(saved.headers["location"])
        published = await sent(browser, "publish", version="1")
        after = await browser.get(published.headers["location"])

    assert (tried.status_code, saved.status_code, published.status_code) == (200, 303, 303)
    assert "<mark>car park</mark>" in tried.text
    assert "full &lt;b&gt;" in tried.text
    assert "“Parking” is new, keywords: 5." in text_of(shown)
    made = theme_of(await in_use(desk), "parking")
    assert made.names == {"de": "Parken"}
    assert made.keywords == {
        "en": ("car park", "parking space"),
        "de": ("Parkplatz",),
        "fr": ("parking gratuit",),
        "*": ("P+R",),
    }
    assert made.exclude == {"en": ("theme park",)}
    assert made.examples == {"en": ("There was nowhere to leave the car",)}
    assert (made.need, made.parent, made.intent) == ("rational", "waiting", False)
    assert "You see a draft." not in text_of(after)


async def test_a_theme_goes_through_its_form_unchanged(desk: Desk) -> None:
    whole = Theme(
        id="whole",
        name="Whole",
        department="Somewhere else",
        names={"de": "Ganz", "uk": "Весь"},
        keywords={"en": ('"exact"', "two words"), "uk": ("слово",), "*": ("A1",)},
        exclude={"en": ("not this",)},
        examples={"en": ("A whole comment.",)},
        need="both",
        intent=True,
    )
    await put_in_use(desk, Taxonomy(themes=(*OURS.themes, whole)))
    async with desk.browsing("ada") as browser:
        page = await browser.get(f"{PATH}/one?id=whole")
        fields = fields_of(page)
        saved = await sent(
            browser, "one", **{**fields, "parent": "", "intent": "yes"}, id="whole", version="0"
        )

    assert saved.status_code == 303, text_of(saved)
    assert theme_of(await draft_of(desk), "whole") == whole


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": ""}, "Please fill in this field."),
        ({"keywords_en": "wait\n\n…\nqueue"}, "Line 3 holds no letter and no digit"),
        ({"exclude_en": "x" * 201}, "Line 1 is longer than 200 characters."),
        ({"examples_en": "fine\n" + "y" * 10_001}, "Line 2 is longer than 10000 characters."),
        ({"keywords_new": "attendre"}, "Please name the language by its code"),
        ({"parent": "phone"}, "Following the parents leads back to this theme."),
    ],
)
async def test_what_is_wrong_is_said_with_its_line(
    desk: Desk, fields: dict[str, str], said: str
) -> None:
    whole = {"id": "waiting", "name": "Waiting", "keywords_en": "wait", "version": "0"}
    async with desk.browsing("ada") as browser:
        answer = await sent(browser, "one", **{**whole, **fields})
        draft = await browser.get(PATH)

    assert answer.status_code == 422
    assert said in text_of(answer)
    assert "You see a draft." not in text_of(draft)


async def test_two_who_edit_at_once_do_not_overwrite_each_other(desk: Desk) -> None:
    fields = {"id": "phone", "name": "Phone", "keywords_en": "phone\ncall"}
    async with desk.browsing("ada") as browser:
        first = await sent(browser, "one", **fields, version="0")
        fields |= {"name": "Telephone", "keywords_en": "phone\nring"}
        second = await sent(browser, "one", **fields, version="0")

    assert (first.status_code, second.status_code) == (303, 412)
    assert "Somebody changed the draft meanwhile." in text_of(second)
    assert "ring" in second.text
    assert (
        "If you save it now, this changes: “Telephone” was called “Phone”."
        " “Telephone”: keywords +1, \N{MINUS SIGN}1."
    ) in text_of(second)


# ------------------------------------------------------------------ merge, split, retire


async def test_themes_are_merged_split_retired_and_brought_back(desk: Desk) -> None:
    async with desk.browsing("ada") as browser:
        for version, (act, fields) in enumerate(
            [
                ("split", {"id": "waiting", "name": "Queues", "words": "queue"}),
                ("merge", {"id": "phone", "into": "waiting"}),
                ("retire", {"id": "queues"}),
            ]
        ):
            answer = await sent(browser, act, **fields, version=str(version))
            assert answer.status_code == 303, text_of(answer)
        page = text_of(await browser.get(PATH))
        draft = await draft_of(desk)
        back = await sent(browser, "bring-back", id="queues", version="3")

    assert theme_of(draft, "waiting").keywords == {"en": ("wait", "phone")}
    assert theme_of(draft, "phone").merged_into == "waiting"
    assert "Phone now a part of Waiting" in page
    assert "“Phone” is merged into “Waiting”." in page
    assert theme_of(draft, "queues").retired
    assert back.status_code == 303
    assert not theme_of(await draft_of(desk), "queues").retired


@pytest.mark.parametrize(
    ("act", "fields", "status"),
    [
        ("merge", {"id": "phone"}, 422),
        ("merge", {"id": "phone", "into": "phone"}, 409),
        ("merge", {"id": "phone", "into": "weather"}, 404),
        ("split", {"id": "waiting", "name": "", "words": "queue"}, 422),
        ("split", {"id": "waiting", "name": "New", "words": "nothing of it"}, 409),
        ("retire", {"id": "weather"}, 404),
        ("publish", {"version": "1"}, 404),
        ("drop", {"version": "1"}, 404),
        ("refresh", {"version": "1"}, 404),
        ("restore", {"restore": "77"}, 404),
    ],
)
async def test_what_cannot_be_done_is_said_and_changes_nothing(
    desk: Desk, act: str, fields: dict[str, str], status: int
) -> None:
    async with desk.browsing("ada") as browser:
        answer = await sent(browser, act, **fields)

    assert answer.status_code == status
    async with desk.database.reading() as view:
        assert await drafted_taxonomy(view) is None
    assert await in_use(desk) == OURS


# ------------------------------------------------------------------ the draft and others


async def test_a_draft_that_was_overtaken_shows_both_and_is_brought_up_to_date(
    desk: Desk,
) -> None:
    theirs = {"id": "waiting", "name": "Waiting time", "keywords": {"en": ["wait", "delay"]}}
    others = {"id": "late", "name": "Late", "keywords": {"en": ["late"]}}
    async with desk.browsing("ada") as browser:
        await sent(
            browser, "one", id="waiting", name="Waiting", keywords_en="wait\nline", version="0"
        )
        phone = {"id": "phone", "name": "Phone", "keywords": {"en": ["phone", "call"]}}
        await put_in_use(desk, parse_taxonomy({"themes": [theirs, phone, others]}))
        page = text_of(await browser.get(PATH))
        refused = await sent(browser, "publish", version="1")
        refreshed = await sent(browser, "refresh", version="1")
        published = await sent(browser, "publish", version="2")

    assert "“Waiting”: keywords +1, \N{MINUS SIGN}1." in page
    assert "“Late” is new" in page
    assert "brought up to date: Waiting" in page
    assert refused.status_code == 409
    assert (refreshed.status_code, published.status_code) == (303, 303)
    after = await in_use(desk)
    assert theme_of(after, "waiting").keywords == {"en": ("wait", "line")}
    assert theme_of(after, "phone").keywords == {"en": ("phone", "call")}
    assert theme_of(after, "late").name == "Late"


async def test_an_earlier_version_is_put_back_and_every_version_says_what_it_changed(
    desk: Desk,
) -> None:
    await put_in_use(desk, Taxonomy(themes=OURS.themes[:1]))
    async with desk.browsing("ada") as browser:
        before = text_of(await browser.get(PATH))
        answer = await sent(browser, "restore", restore="2")
        after = text_of(await browser.get(PATH))

    assert "“Phone” is removed." in before
    assert answer.status_code == 303
    assert await in_use(desk) == OURS
    assert "“Phone” is new, keywords: 1." in after
    assert "Version 4 applies." in after


async def test_a_dropped_draft_leaves_what_applies(desk: Desk) -> None:
    async with desk.browsing("ada") as browser:
        await sent(browser, "common", best_only="yes", version="0")
        changed = text_of(await browser.get(PATH))
        dropped = await sent(browser, "drop", version="1")

    assert "Each text gets its best theme only." in changed
    assert dropped.status_code == 303
    assert await in_use(desk) == OURS


# ------------------------------------------------------------------ files


async def test_a_file_that_was_saved_is_read_back(desk: Desk) -> None:
    async with desk.browsing("ada") as browser:
        saved = await browser.get(f"{PATH}.json")
        document = saved.json()
        document["themes"][0]["keywords"]["ru"] = ["ждать"]
        content = json.dumps(document, ensure_ascii=False).encode()
        answer = await browser.post(
            f"{PATH}/import",
            data={"version": "0"},
            files={"file": ("ours.json", content, "application/json")},
        )

    assert "attachment" in saved.headers["content-disposition"]
    assert answer.status_code == 303, text_of(answer)
    assert theme_of(await draft_of(desk), "waiting").keywords["ru"] == ("ждать",)
    assert await in_use(desk) == OURS


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        (b"no json", 400, "JSON"),
        (b"", 400, ""),
        (b'{"themes": [{"id": "a"}, {"name": "b"}]}', 422, "/themes/1/id"),
    ],
)
async def test_a_file_that_cannot_be_used_says_where(
    desk: Desk, content: bytes, status: int, said: str
) -> None:
    async with desk.browsing("ada") as browser:
        answer = await browser.post(
            f"{PATH}/import",
            data={"version": "0"},
            files={"file": ("bad.json", content, "application/json")},
        )
        unfit = await browser.post(f"{PATH}/import", data={"version": "0"})

    assert answer.status_code == status
    assert said in text_of(answer)
    assert unfit.status_code == 415
    async with desk.database.reading() as view:
        assert await drafted_taxonomy(view) is None


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("multipart/form-data", b"--x\r\n\r\n--x--", 400),
        ("multipart/form-data; boundary=x", b"", 400),
        ("multipart/form-data; boundary=x", b"--y\r\n\r\n--y--\r\n", 400),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\nno name\r\n--x--\r\n", 400),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="version"\r\n\r\n\xff\r\n--x--\r\n',
            400,
        ),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\n\r\n" * 30 + b"--x--\r\n", 400),
        ("multipart/form-data; boundary=x", b"-" * 8_000_001, 413),
        ("text/plain", b"themes", 415),
    ],
)
async def test_a_form_that_no_browser_sends_is_refused(
    desk: Desk, kind: str, body: bytes, status: int
) -> None:
    async with desk.browsing("ada") as browser:
        answer = await browser.post(
            f"{PATH}/import", content=body, headers={"Content-Type": kind}
        )

    assert answer.status_code == status
    assert await in_use(desk) == OURS


# ------------------------------------------------------------------ what would change?


async def test_the_preview_counts_what_a_draft_gains_loses_and_moves(desk: Desk) -> None:
    await desk.hears("We had to wait and wait", block={"name": "Maya Lind"})
    await desk.hears("The queue was long, said Maya", block={"name": "Maya Lind"})
    await desk.hears("Nobody said hello")
    await desk.hears(HOSTILE)
    await desk.hears(None)
    async with desk.browsing("ada") as browser:
        same = text_of(await browser.get(f"{PATH}/preview"))
        await sent(browser, "split", id="waiting", name="Queues", words="queue", version="0")
        await sent(browser, "one", name="Greeting", keywords_en="hello", do="save", version="1")
        page = await browser.get(f"{PATH}/preview")
    shown = text_of(page)

    assert "Nothing would change." in same
    assert "Comments read 4 With other themes than now 2 Without a theme 1, now 2" in shown
    assert "Waiting 2 1 0 1" in shown
    assert "Queues 0 1 1 0" in shown
    assert "Greeting 0 1 1 0" in shown
    assert "Waiting → Queues : 1 comment" in shown
    assert "The queue was long, said [name]" in shown
    assert "Maya" not in shown
    assert "<script>document" not in page.text


async def test_a_pasted_text_is_held_against_what_is_shown(desk: Desk) -> None:
    async with desk.browsing("ada") as browser:
        found = await sent(browser, "try", text="Queues <i>and</i> a phone")
        nothing = await sent(browser, "try", text="Lovely weather")
        empty = await sent(browser, "try", text="")

    assert "<mark>Queues</mark> &lt;i&gt;and&lt;/i&gt; a <mark>phone</mark>" in found.text
    assert "Waiting because of “ Queues ” by the keyword “ queue ”" in text_of(found)
    assert "No theme is found in this text." in text_of(nothing)
    assert empty.status_code == 422


# ------------------------------------------------------------------ who may


async def test_only_who_may_change_themes_is_offered_to(desk: Desk) -> None:
    async with desk.browsing("bea") as browser:
        page = await browser.get(PATH)
        theme = await browser.get(f"{PATH}/one?id=phone")
        refused = await sent(browser, "one", id="phone", name="Phone", version="0")
        preview = await browser.get(f"{PATH}/preview")
    async with desk.browsing() as browser:
        nobody = await browser.get(PATH)

    assert (page.status_code, theme.status_code) == (200, 200)
    assert "Add a theme" not in page.text
    assert "Save in the draft" not in theme.text
    assert (refused.status_code, preview.status_code) == (403, 403)
    assert "/sign-in" in nobody.headers["location"]
