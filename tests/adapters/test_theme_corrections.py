"""Correcting a theme over the interface and on the pages: who may, what it does, undoing it."""

from __future__ import annotations

import pytest

from shared.identity.principal import Scope
from tests.desk import Desk
from tests.forms import URLENCODED
from tests.handlers.intake import WAITED
from tests.loop_door import Api
from tests.staff import audited


async def heard(api: Api, comment: str = WAITED) -> str:
    event = await api.intake.response(comment=comment)
    await api.intake.take_in(event)
    return f"/v1/responses/{event.response_id}/theme-corrections"


async def test_a_theme_is_taken_off_and_given_back(api: Api) -> None:
    path = await heard(api)
    wrong = {"theme_id": "waiting", "verdict": "not"}

    answer = await api.send("POST", path, json=wrong)
    listed = (await api.get("/v1/themes/waiting")).json()
    back = await api.send("DELETE", f"{path}/waiting")
    again = await api.get(path)

    assert answer.status_code == 200
    assert answer.json()["themes"] == []
    (said,) = answer.json()["corrections"]
    assert (said["theme_id"], said["verdict"], said["found"]) == ("waiting", "not", True)
    assert (listed["mentions"], listed["latest"]) == (0, [])
    assert (back.status_code, back.content) == (204, b"")
    assert again.json()["themes"] == ["waiting"]
    assert again.json()["corrections"] == []
    names = await audited(api.intake.database)
    assert [name for name in names if name.startswith("theme.")] == [
        "theme.corrected",
        "theme.correction-undone",
    ]


async def test_a_theme_is_added(api: Api) -> None:
    path = await heard(api)

    answer = await api.send("POST", path, json={"theme_id": "price", "verdict": "also"})

    assert sorted(answer.json()["themes"]) == ["price", "waiting"]
    (mention,) = (await api.get("/v1/themes/price")).json()["latest"]
    assert (mention["confidence"], mention["evidence"]) == (1.0, None)


async def test_who_works_on_tasks_or_on_the_taxonomy_may_correct(api: Api) -> None:
    path = await heard(api)
    right = {"theme_id": "waiting", "verdict": "right"}

    for scope in (Scope.TASKS_WRITE, Scope.TAXONOMY_WRITE):
        assert (await api.send("POST", path, scope, json=right)).status_code == 200
    assert (await api.send("POST", path, Scope.TASKS_READ, json=right)).status_code == 403
    assert (await api.send("DELETE", f"{path}/waiting", Scope.TASKS_READ)).status_code == 403
    assert (await api.get(path, Scope.TASKS_READ)).status_code == 200
    assert (await api.get(path, Scope.THEMES_READ)).status_code == 403


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"theme_id": "waiting", "verdict": "maybe"}, 422),
        ({"theme_id": "wating", "verdict": "not"}, 422),
        ({"theme_id": "", "verdict": "not"}, 422),
        ({"verdict": "not"}, 422),
        ({"theme_id": "price", "verdict": "right"}, 409),
    ],
)
async def test_what_makes_no_sense_is_refused(
    api: Api, body: dict[str, str], status: int
) -> None:
    path = await heard(api)

    answer = await api.send("POST", path, json=body)

    assert answer.status_code == status
    assert "maybe" not in answer.text
    assert "wating" not in answer.text


async def test_there_is_no_correction_of_what_is_not_there(api: Api) -> None:
    path = "/v1/responses/rsp_none/theme-corrections"
    body = {"theme_id": "waiting", "verdict": "not"}

    assert (await api.get(path)).status_code == 404
    assert (await api.send("POST", path, json=body)).status_code == 404
    assert (await api.send("DELETE", f"{path}/waiting")).status_code == 404


async def test_the_doors_of_the_pages_lead_back_and_say_what_was_done(desk: Desk) -> None:
    task = await desk.hears(WAITED)
    fields = {
        "response_id": task.response_id,
        "verdict": "not",
        "back": "/themes/waiting?days=84&corrected=also&response=rsp_x",
    }

    async with desk.browsing("ana") as browser:
        done = await browser.post("/themes/waiting/corrections", data=fields)
        undone = await browser.post(
            "/themes/waiting/corrections/undo",
            data={"response_id": task.response_id, "theme_id": "waiting"},
        )
        other = await browser.post(
            "/themes/waiting/corrections",
            data={"response_id": task.response_id, "verdict": "also", "also": "price"},
        )
        nothing = await browser.post("/themes/waiting/corrections", data={"verdict": "x"})

    where = f"response={task.response_id}"
    assert (done.status_code, done.headers["location"]) == (
        303,
        f"/themes/waiting?days=84&corrected=not&{where}",
    )
    assert undone.headers["location"] == f"/themes/waiting?corrected=undone&{where}"
    assert other.headers["location"] == f"/themes/waiting?corrected=also&{where}&about=price"
    assert nothing.headers["location"] == "/themes/waiting?"
    assert (await audited(desk.database))[-3:] == [
        "theme.corrected",
        "theme.correction-undone",
        "theme.corrected",
    ]


async def test_the_doors_lead_nowhere_else(desk: Desk) -> None:
    task = await desk.hears(WAITED)

    async with desk.browsing("ana") as browser:
        away = await browser.post(
            "/themes/waiting/corrections",
            data={
                "response_id": task.response_id,
                "verdict": "not",
                "back": "https://elsewhere.example.org/?a=1",
            },
            headers=URLENCODED,
        )

    assert away.headers["location"].startswith("/themes/waiting?a=1&corrected=not")


@pytest.mark.parametrize("nick", ["bea", "dev"])
async def test_who_only_looks_corrects_nothing(desk: Desk, nick: str) -> None:
    task = await desk.hears(WAITED)

    async with desk.browsing(nick) as browser:
        for door in ("/themes/waiting/corrections", "/themes/waiting/corrections/undo"):
            answer = await browser.post(
                door, data={"response_id": task.response_id, "verdict": "not"}
            )
            assert answer.status_code == 403
