"""Promises survive a restart: one reminder, one alert, and none for what is done."""

from __future__ import annotations

import sqlite3
from collections import Counter
from datetime import UTC, datetime, timedelta

from tests.infra.processes import wait_until
from tests.journeys.installation import Embedded
from tests.journeys.test_one_response import a_response, handled


def _hours_pass(installation: Embedded, hours: float) -> None:
    """Let time pass for tasks and timers while the program is down."""
    past = timedelta(hours=hours)
    with sqlite3.connect(installation.database) as connection:
        for table, columns in (
            ("loop_timers", ("due_at",)),
            ("loop_tasks", ("opened_at", "first_contact_due_at", "due_at", "next_due_at")),
        ):
            found = connection.execute(f"SELECT id, {', '.join(columns)} FROM {table}")  # noqa: S608 - our own names
            for row_id, *moments in found.fetchall():
                earlier = [
                    moment and (datetime.fromisoformat(moment) - past).astimezone(UTC)
                    for moment in moments
                ]
                connection.execute(
                    f"UPDATE {table} SET {', '.join(f'{name} = ?' for name in columns)}"  # noqa: S608
                    " WHERE id = ?",
                    [*(m and m.isoformat(timespec="microseconds") for m in earlier), row_id],
                )


def _mails_of(installation: Embedded, task_id: str) -> Counter[str]:
    with installation.client() as client:
        page = client.get("/v1/deliveries", params={"limit": "200"}).json()["data"]
    return Counter(
        delivery["purpose"]
        for delivery in page
        if delivery["task_id"] == task_id
        and delivery["channel"] == "email"
        and delivery["state"] == "delivered"
    )


def test_one_reminder_one_alert_and_none_for_a_task_that_is_done(unique: str) -> None:
    """Nineteen hours later comes the reminder, after another six the alert; each once."""
    with Embedded() as installation:
        with installation.client() as client:
            # Whatever hour it is while this runs: by itself nothing rings at night.
            by_night = client.patch("/v1/schemes/standard", json={"night": True})
            assert by_night.status_code == 200, by_night.text
            posted = [
                client.post(
                    "/v1/responses",
                    json=a_response(
                        unique,
                        external_id=f"{unique}-{n}",
                        # Two customers: what one says twice in a while is one case.
                        customer={"id": f"C-{unique}-{n}"},
                    ),
                ).json()["id"]
                for n in (1, 2)
            ]
            open_task, done_task = (handled(client, one)["task_id"] for one in posted)
            closed = client.post(
                f"/v1/tasks/{done_task}/close",
                json={"reason": "not_needed", "note": "It was a slip of the finger."},
            )
            assert closed.status_code == 200, closed.text
        wait_until(
            lambda: _mails_of(installation, open_task) == {"task_opened": 1},
            what="the first mail",
        )

        installation.kill("all")
        _hours_pass(installation, 19)
        installation.start()
        wait_until(
            lambda: _mails_of(installation, open_task)["task_due_soon"] == 1, what="a reminder"
        )

        installation.kill("all")
        _hours_pass(installation, 6)
        installation.start()
        wait_until(
            lambda: (
                {"task_overdue", "task_escalated"} <= set(_mails_of(installation, open_task))
            ),
            what="an alert, and one above the owner",
        )

        assert _mails_of(installation, open_task) == {
            "task_opened": 1,
            "task_due_soon": 1,
            "task_overdue": 1,
            "task_escalated": 1,
        }
        assert set(_mails_of(installation, done_task)) <= {"task_opened"}
        with installation.client() as client:
            task = client.get(f"/v1/tasks/{open_task}").json()
        assert task["overdue"] is True
        assert "overdue" in task["flags"]
