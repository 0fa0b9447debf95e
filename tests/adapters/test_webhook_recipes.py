"""What the documentation tells receivers to do, done to calls as we sign them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from services.notify.channels.webhook import headers_of
from tests.adapters.test_webhook import BODY, SECRET, a_call
from tests.infra.receiver import Receiver

PAGE = (Path(__file__).parents[2] / "docs/webhooks.md").read_text(encoding="utf-8")
OTHER = SECRET.replace("A", "B")
CASES = [(BODY, True), (BODY + b" ", False)]


def recipe(language: str, *, about: str) -> str:
    """Return the one block of code in a language that is about this."""
    blocks = re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)
    (found,) = [block for block in blocks if about in block]
    return str(found)


def signed(*secrets: str) -> dict[str, str]:
    return dict(headers_of(a_call("https://crm.example.com/", secrets=secrets)))


@pytest.mark.parametrize(("body", "same"), CASES)
@pytest.mark.parametrize("secrets", [[SECRET], [OTHER, SECRET], [OTHER]])
def test_python(body: bytes, same: bool, secrets: list[str]) -> None:
    room: dict[str, object] = {}
    exec(recipe("python", about="is_ours"), room)  # noqa: S102 - our own page
    is_ours = room["is_ours"]
    assert callable(is_ours)

    headers = signed(*secrets)
    old = {**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) - 400)}

    assert is_ours(SECRET, headers, body) is (same and SECRET in secrets)
    assert is_ours(SECRET, old, body) is False


@pytest.mark.parametrize(
    ("program", "language", "around"),
    [
        (
            ["php"],
            "php",
            (
                "<?php {recipe} echo json_encode(is_ours({secret},"
                " json_decode({headers}, true), {body}));"
            ),
        ),
        (
            ["node", "-"],
            "js",
            (
                "{recipe} console.log(JSON.stringify(isOurs({secret},"
                " JSON.parse({headers}), Buffer.from({body}))))"
            ),
        ),
    ],
    ids=["php", "node"],
)
@pytest.mark.parametrize(("body", "same"), CASES)
def test_other_languages(
    program: list[str],
    language: str,
    around: str,
    body: bytes,
    same: bool,
) -> None:
    if shutil.which(program[0]) is None:
        pytest.skip(f"{program[0]} is not installed")
    script = around.format(
        recipe=recipe(language, about="_ours" if language == "php" else "isOurs"),
        secret=f"'{SECRET}'",
        headers=f"'{json.dumps(signed(OTHER, SECRET))}'",
        body=f"'{body.decode()}'",
    )
    ran = subprocess.run(program, input=script, capture_output=True, text=True, check=True)  # noqa: S603 - named above

    assert json.loads(ran.stdout) is same


def test_a_receiver_can_be_tried_with_curl(receiver: Receiver) -> None:
    receiver.use_secret(SECRET)
    subprocess.run(  # noqa: S603 - our own page
        ["bash", "-euo", "pipefail", "-c", recipe("sh", about="openssl dgst")],  # noqa: S607 - the machine's own
        env={"PATH": "/usr/bin:/bin", "SECRET": SECRET, "URL": receiver.url},
        check=True,
        capture_output=True,
    )

    (request,) = receiver.requests()
    assert request.verified
    assert request.json["type"] == "webhook.test"
