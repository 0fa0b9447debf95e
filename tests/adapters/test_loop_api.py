"""What loop's rooms answer over HTTP: themes, taxonomy, scores, touchpoints."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from shared.db.transaction import Database
from shared.identity.erasure import erase_person
from shared.identity.groups import DEFAULT_TEAM
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Scope
from shared.identity.tables import teams
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.handlers.intake import WAITED, Intake
from tests.loop_door import EVERY_SCOPE, Api, opened


@pytest_asyncio.fixture
async def api(
    database_of: Callable[[str], Database],
    clock: ManualClock,
    keyring: Keyring,
    person_keys: PersonKeys,
) -> AsyncIterator[Api]:
    intake = Intake(
        database=database_of("loop"), clock=clock, keyring=keyring, person_keys=person_keys
    )
    async with opened(intake, database_of("shared")) as door:
        yield door


# ------------------------------------------------------------------ rights


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("/v1/themes", Scope.THEMES_READ),
        ("/v1/themes/waiting", Scope.THEMES_READ),
        ("/v1/taxonomy", Scope.THEMES_READ),
        ("/v1/scores", Scope.SCORES_READ),
        ("/v1/touchpoints", Scope.SETTINGS_READ),
    ],
)
async def test_every_list_wants_its_own_right(api: Api, path: str, scope: Scope) -> None:
    others = EVERY_SCOPE - {scope}

    assert (await api.client.get(path)).status_code == 401
    assert (await api.get(path, *others)).status_code == 403
    assert (await api.get(path, scope)).status_code == 200


@pytest.mark.parametrize("path", ["/v1/themes", "/v1/scores", "/v1/touchpoints"])
async def test_a_query_is_read_strictly(api: Api, path: str) -> None:
    twice = await api.client.get(f"{path}?limit=1&limit=2", headers=await api.key())
    too_many = await api.get(path, limit=201)

    assert twice.status_code == 400
    assert too_many.status_code == 422


# ------------------------------------------------------------------ scores


async def test_scores_of_the_last_twelve_weeks_by_touchpoint(api: Api) -> None:
    now = api.intake.clock.now()
    await api.intake.take_in(
        *await api.intake.responses(
            [
                {"score": 10, "touchpoint": "door"},
                {"score": 2, "touchpoint": "desk"},
                {"score": 2, "touchpoint": "desk", "answered_at": now - timedelta(days=83)},
                {"score": 9, "touchpoint": "desk", "answered_at": now - timedelta(days=84)},
            ]
        )
    )

    answer = (await api.get("/v1/scores", metric="nps", group_by="touchpoint")).json()

    assert (answer["metric"], answer["measurement"]) == ("nps", "transactional")
    assert (answer["from"], answer["to"]) == ("2025-12-09", "2026-03-02")
    assert [
        (row["group"], row["score"], row["n"], row["enough"]) for row in answer["data"]
    ] == [({"touchpoint": "desk"}, -100.0, 2, False), ({"touchpoint": "door"}, 100.0, 1, False)]
    assert set(answer["data"][0]) == {
        "group",
        "score",
        "n",
        "promoters",
        "passives",
        "detractors",
        "ci95",
        "enough",
    }
    assert answer["has_more"] is False


async def test_scores_come_in_parts_with_a_cursor(api: Api) -> None:
    await api.intake.take_in(
        *await api.intake.responses([{"touchpoint": f"place {n}"} for n in range(3)])
    )

    first = (await api.get("/v1/scores", group_by="touchpoint", limit=2)).json()
    rest = (
        await api.get("/v1/scores", group_by="touchpoint", limit=2, cursor=first["next_cursor"])
    ).json()
    foreign = await api.get("/v1/scores", group_by="segment", cursor=first["next_cursor"])

    assert [row["group"]["touchpoint"] for row in first["data"] + rest["data"]] == [
        "place 0",
        "place 1",
        "place 2",
    ]
    assert (first["has_more"], rest["has_more"], rest["next_cursor"]) == (True, False, None)
    assert foreign.status_code == 422


@pytest.mark.parametrize(
    "query",
    [
        {"metric": "stars"},
        {"measurement": "all"},
        {"group_by": "weather"},
        {"from": "yesterday"},
        {"from": "2026-02-30"},
        {"to": "2026-03-01T10:00:00"},
        {"from": "2026-03-02", "to": "2026-03-01"},
        {"from": "1990-01-01"},
        {"touchpoint": ""},
    ],
)
async def test_a_question_about_scores_that_makes_no_sense(
    api: Api, query: dict[str, str]
) -> None:
    answer = await api.get("/v1/scores", **query)

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    for value in query.values():
        assert not value or value not in answer.json()["detail"]
    (pointer,) = [finding["pointer"] for finding in answer.json()["errors"]]
    assert pointer in {f"/{name}" for name in query}


# ------------------------------------------------------------------ themes


async def test_themes_are_listed_beside_the_period_before(api: Api) -> None:
    now = api.intake.clock.now()
    await api.intake.take_in(
        *await api.intake.responses(
            [
                {"score": 2, "comment": WAITED},
                {"score": 10, "comment": WAITED},
                {"score": 9, "comment": "xyzzy"},
                {"score": 9},
                {"comment": WAITED, "answered_at": now - timedelta(days=10)},
            ]
        )
    )

    answer = (await api.get("/v1/themes", **{"from": "2026-02-24", "to": "2026-03-02"})).json()

    assert answer["comments"] == 3
    waiting = answer["data"][0]
    assert waiting["id"] == "waiting"
    assert (waiting["mentions"], waiting["comments"], waiting["share"]) == (2, 3, 0.6667)
    assert waiting["share_ci95"][0] < waiting["share"] < waiting["share_ci95"][1]
    assert (waiting["detractors"], waiting["promoters"], waiting["rated"]) == (1, 1, 2)
    assert (waiting["detractor_share"], waiting["enough"]) == (0.5, False)
    assert (waiting["previous"]["mentions"], waiting["previous"]["comments"]) == (1, 1)
    quiet = answer["data"][-1]
    assert (quiet["mentions"], quiet["share"], quiet["detractor_share"]) == (0, 0.0, None)


async def test_themes_can_be_narrowed_and_come_in_parts(api: Api) -> None:
    await api.intake.take_in(
        await api.intake.response(comment=WAITED, touchpoint="door", segment="private"),
        await api.intake.response(comment=WAITED, touchpoint="desk", segment="private"),
    )

    door = (await api.get("/v1/themes", touchpoint="door", segment="private")).json()
    every: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        part = (await api.get("/v1/themes", limit=5, **cursor)).json()
        every += [theme["id"] for theme in part["data"]]
        if not part["has_more"]:
            break
        cursor = {"cursor": part["next_cursor"]}

    assert (door["comments"], door["data"][0]["mentions"]) == (1, 1)
    assert len(every) == len(set(every)) >= 12
    assert every[0] == "waiting"


async def test_a_theme_says_what_it_costs_where_and_why(api: Api) -> None:
    """Twenty waited at the door; thirty had nothing to say at the desk."""
    await api.intake.take_in(
        *await api.intake.responses(
            [
                *({"score": 2, "comment": WAITED, "touchpoint": "door"},) * 20,
                *({"score": 10, "comment": "xyzzy", "touchpoint": "desk"},) * 30,
            ]
        )
    )

    listed = (await api.get("/v1/themes", limit=10, sort="cost")).json()
    one = (await api.get("/v1/themes/waiting")).json()

    waiting = listed["data"][0]
    assert (waiting["id"], waiting["rank"], waiting["former_rank"]) == ("waiting", 1, None)
    assert {name: waiting["impact"][name] for name in ("points", "n", "enough", "rank")} == {
        "points": -80.0,
        "n": 20,
        "enough": True,
        "rank": 1,
    }
    low, high = waiting["impact"]["ci95"]
    assert low < -80 < high
    assert listed["sources"] == [
        {"source": "crm", "mentions": 50, "share": 1.0, "share_ci95": [0.9287, 1.0]}
    ]
    assert listed["without_theme"]["mentions"] == 30
    assert listed["without_theme"]["previous"]["comments"] == 0
    assert one["impact"] == waiting["impact"]
    (door,) = one["matrix"]["touchpoint"]
    assert (door["group"], door["mentions"], door["score"]) == (
        {"touchpoint": "door"},
        20,
        -100,
    )
    assert (door["deviates"], door["frequency"]) == ("too_few", "more")
    assert one["decomposition"] is None


async def test_themes_in_every_order_come_in_parts(api: Api) -> None:
    await api.intake.take_in(
        *await api.intake.responses(
            [
                *({"score": 2, "comment": WAITED},) * 12,
                *({"score": 10, "comment": "The adviser was friendly and polite."},) * 12,
            ]
        )
    )

    for order in ("mentions", "cost", "lift", "promoters"):
        whole = (await api.get("/v1/themes", limit=200, sort=order)).json()["data"]
        every: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            part = (await api.get("/v1/themes", limit=3, sort=order, **cursor)).json()
            every += [theme["id"] for theme in part["data"]]
            if not part["has_more"]:
                break
            cursor = {"cursor": part["next_cursor"]}
        assert every == [theme["id"] for theme in whole]
        assert (every[0] == "waiting") == (order in {"mentions", "cost"})
    assert (await api.get("/v1/themes", sort="name")).status_code == 422


async def test_all_themes_beside_one_another(api: Api) -> None:
    """Whoever waited at the door was unhappy; who waited elsewhere was not."""
    friendly = "The adviser was friendly and polite."
    await api.intake.take_in(
        *await api.intake.responses(
            [
                *({"score": 2, "comment": WAITED, "touchpoint": "door"},) * 30,
                *({"score": 9, "comment": WAITED, "touchpoint": "desk"},) * 12,
                *({"score": 9, "comment": friendly, "touchpoint": "desk"},) * 40,
                *({"score": 7, "comment": "xyzzy", "touchpoint": "desk"},) * 20,
            ]
        )
    )

    matrix = (await api.get("/v1/theme-matrix", Scope.THEMES_READ)).json()
    first = (await api.get("/v1/theme-matrix", limit=1)).json()
    second = (await api.get("/v1/theme-matrix", limit=1, cursor=first["next_cursor"])).json()
    segments = (await api.get("/v1/theme-matrix", by="segment")).json()
    impacts = (await api.get("/v1/theme-impacts", Scope.THEMES_READ)).json()

    waiting = matrix["data"][0]
    assert (matrix["by"], waiting["id"], waiting["mentions"]) == ("touchpoint", "waiting", 42)
    assert [
        (cell["group"]["touchpoint"], cell["mentions"], cell["deviates"], cell["frequency"])
        for cell in waiting["cells"]
    ] == [("door", 30, "lower", "more"), ("desk", 12, "higher", "fewer")]
    assert first["data"] + second["data"] == matrix["data"][:2]
    assert segments["data"][0]["cells"][0]["group"] == {"segment": "unknown"}
    assert (impacts["n"], impacts["data"][0]["id"]) == (102, "waiting")
    for row in impacts["data"]:
        low, high = row["own"]["ci95"]
        assert low < row["own"]["points"] < high
        assert row["impact"]["enough"]
    assert impacts["data"][0]["own"]["points"] < 0
    for path in ("/v1/theme-matrix", "/v1/theme-impacts"):
        assert (await api.get(path, Scope.SCORES_READ)).status_code == 403
        assert (await api.get(path, limit=201)).status_code == 422
        assert (await api.get(path, measurement="all")).status_code == 422
        assert (await api.get(path, measurement="periodic")).status_code == 200
    periodic = (await api.get("/v1/themes/waiting", measurement="periodic")).json()
    assert (periodic["mentions"], periodic["impact"]["n"]) == (42, 0)
    assert (await api.get("/v1/theme-matrix", by="weather")).status_code == 422
    assert (await api.get("/v1/theme-matrix", touchpoint="shop")).json()["data"] == []
    assert (await api.get("/v1/theme-impacts", touchpoint="shop")).json()["n"] == 0


async def test_one_theme_shows_the_words_that_decided_to_those_who_may_read_them(
    api: Api,
) -> None:
    older = await api.intake.response(
        comment=WAITED, answered_at=api.intake.clock.now() - timedelta(days=3)
    )
    newer = await api.intake.response(comment=WAITED, customer="c-2")
    await api.intake.take_in(older, newer)

    full = (await api.get("/v1/themes/waiting")).json()
    board = (await api.get("/v1/themes/waiting", Scope.THEMES_READ)).json()

    assert [m["response_id"] for m in full["latest"]] == [
        newer.response_id,
        older.response_id,
    ]
    start, end = full["latest"][0]["evidence"]
    assert "waited" in full["latest"][0]["comment"][start:end]
    assert [m["comment"] for m in board["latest"]] == [None, None]
    assert WAITED not in str(board)


async def test_an_erased_person_leaves_the_mention_without_the_words(api: Api) -> None:
    event = await api.intake.response(comment=WAITED)
    await api.intake.take_in(event)
    async with api.intake.database.transaction() as tx:
        await erase_person(tx, event.person_ref, api.intake.clock.now())

    (mention,) = (await api.get("/v1/themes/waiting")).json()["latest"]

    assert (mention["comment"], mention["erased"], mention["score"]) == (None, True, 2)


async def test_mentions_of_a_theme_come_in_parts(api: Api) -> None:
    await api.intake.take_in(
        *await api.intake.responses([{"comment": WAITED} for _ in range(3)])
    )

    first = (await api.get("/v1/themes/waiting", limit=2)).json()
    rest = (await api.get("/v1/themes/waiting", limit=2, cursor=first["next_cursor"])).json()

    found = [m["response_id"] for m in first["latest"] + rest["latest"]]
    assert len(found) == len(set(found)) == 3
    assert rest["has_more"] is False


async def test_a_theme_that_nobody_knows_is_not_found(api: Api) -> None:
    assert (await api.get("/v1/themes/weather")).status_code == 404


# ------------------------------------------------------------------ taxonomy


async def test_the_shipped_taxonomy_is_in_use_from_the_start(api: Api) -> None:
    answer = await api.get("/v1/taxonomy")

    assert answer.headers["etag"] == '"1"'
    assert {"id", "name", "keywords"} <= set(answer.json()["themes"][0])
    assert len(answer.json()["themes"]) >= 12


async def test_what_was_read_can_be_put_back(api: Api) -> None:
    document = (await api.get("/v1/taxonomy")).json()

    answer = await api.send("PUT", "/v1/taxonomy", json=document, If_Match='"1"')

    assert answer.status_code == 200, answer.text
    assert answer.headers["etag"] == '"2"'
    assert answer.json() == document


async def test_a_new_taxonomy_decides_from_the_next_response_on(api: Api) -> None:
    before = await api.intake.response(comment=WAITED)
    await api.intake.take_in(before)
    taxonomy = {
        "version": 1,
        "themes": [{"id": "forty", "name": "Forty", "keywords": {"en": ["forty"]}}],
    }

    changed = await api.send("PUT", "/v1/taxonomy", json=taxonomy)
    after = await api.intake.response(comment=WAITED)
    await api.intake.take_in(after)

    assert changed.status_code == 200
    first, second = await api.intake.handled()
    assert "waiting" in first.themes
    assert second.themes == ["forty"]
    listed = (await api.get("/v1/themes")).json()["data"]
    assert {theme["id"]: theme["in_use"] for theme in listed}["forty"] is True
    assert {theme["id"]: theme["in_use"] for theme in listed}["waiting"] is False
    mention = (await api.get("/v1/themes/forty")).json()["latest"][0]
    assert mention["taxonomy_version"] == 2


async def test_somebody_elses_change_is_not_overwritten(api: Api) -> None:
    taxonomy = {"version": 1, "themes": []}
    await api.send("PUT", "/v1/taxonomy", json=taxonomy)

    stale = await api.send("PUT", "/v1/taxonomy", json=taxonomy, If_Match='"1"')

    assert stale.status_code == 412
    assert stale.json()["version"] == 2


async def test_a_taxonomy_with_mistakes_is_answered_with_every_one_of_them(api: Api) -> None:
    mistakes = {
        "themes": [
            {"id": "a", "keywords": {"en": ["…"]}},
            {"id": "a", "keywords": ["wait"]},
            {"name": "without an id"},
        ]
    }

    answer = await api.send("PUT", "/v1/taxonomy", json=mistakes)

    assert answer.status_code == 422
    assert {error["code"] for error in answer.json()["errors"]} == {
        "never_matches",
        "type",
        "duplicate",
        "missing",
    }
    assert (await api.get("/v1/taxonomy")).headers["etag"] == '"1"'


async def test_only_who_may_change_the_taxonomy_does(api: Api) -> None:
    answer = await api.send(
        "PUT", "/v1/taxonomy", *(EVERY_SCOPE - {Scope.TAXONOMY_WRITE}), json={"themes": []}
    )

    assert answer.status_code == 403


# ------------------------------------------------------------------ touchpoints


async def test_a_touchpoint_is_described_changed_and_read(api: Api) -> None:
    made = await api.send(
        "POST", "/v1/touchpoints", json={"code": "call/support", "name": " Support call "}
    )
    changed = await api.send(
        "PATCH", "/v1/touchpoints/call/support", json={"macro": "Service"}, If_Match='"1"'
    )
    stale = await api.send(
        "PATCH", "/v1/touchpoints/call/support", json={"name": None}, If_Match='"1"'
    )
    read = await api.get("/v1/touchpoints/call/support")

    assert (made.status_code, made.headers["etag"]) == (201, '"1"')
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    assert (stale.status_code, stale.json()["version"]) == (412, 2)
    assert read.json() == changed.json()
    assert (read.json()["name"], read.json()["macro"]) == ("Support call", "Service")
    assert read.json()["mapped"] is True


async def test_what_only_responses_name_stands_on_the_unmapped_list_until_described(
    api: Api,
) -> None:
    await api.intake.take_in(await api.intake.response(touchpoint="kiosk 7"))

    unmapped = (await api.get("/v1/touchpoints", mapped="false")).json()["data"]
    described = await api.send(
        "POST", "/v1/touchpoints", json={"code": "kiosk 7", "name": "Kiosk"}
    )
    again = await api.send("POST", "/v1/touchpoints", json={"code": "kiosk 7"})

    assert [(t["code"], t["mapped"], t["name"]) for t in unmapped] == [("kiosk 7", False, None)]
    assert (described.status_code, described.json()["mapped"]) == (201, True)
    assert described.json()["first_seen_at"] == unmapped[0]["first_seen_at"]
    assert (await api.get("/v1/touchpoints", mapped="false")).json()["data"] == []
    assert again.status_code == 409


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"code": ""},
        {"code": " \t"},
        {"code": "x" * 201},
        {"code": "a\x07b"},
        {"code": 7},
        {"code": "x", "naem": "Typo"},
        {"code": "x", "owner": "team_nobody"},
        {"code": "x", "owner": ["team_customer_care"]},
        {"code": "x", "owner": {"id": "stf_nobody", "kind": "person"}},
        {"code": "x", "department_id": "dep_nowhere"},
        [],
    ],
)
async def test_a_touchpoint_that_cannot_be_leaves_no_row(api: Api, body: Any) -> None:
    answer = await api.send("POST", "/v1/touchpoints", json=body)

    assert answer.status_code == 422
    assert (await api.get("/v1/touchpoints")).json()["data"] == []


async def test_a_touchpoint_that_nobody_knows_is_not_found(api: Api) -> None:
    assert (await api.get("/v1/touchpoints/nowhere")).status_code == 404
    changed = await api.send("PATCH", "/v1/touchpoints/nowhere", json={"name": "x"})
    assert changed.status_code == 404


async def test_an_owner_who_exists_is_taken_and_can_be_taken_away(api: Api) -> None:
    async with api.intake.database.transaction() as tx:
        await tx.execute(
            teams.insert().values(
                id=DEFAULT_TEAM, name="Customer care", created_at=api.intake.clock.now()
            )
        )
    owner = {"id": DEFAULT_TEAM, "kind": "team"}

    made = await api.send("POST", "/v1/touchpoints", json={"code": "door", "owner": owner})
    cleared = await api.send("PATCH", "/v1/touchpoints/door", json={"owner": None})
    by_id = await api.send("PATCH", "/v1/touchpoints/door", json={"owner": DEFAULT_TEAM})

    assert made.json()["owner"] == owner
    assert cleared.json()["owner"] is None
    assert by_id.json()["owner"] == owner
