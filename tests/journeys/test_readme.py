"""The README's own words, typed in: the demo starts, its curl works, the loop closes."""

from __future__ import annotations

import contextlib
import html
import json
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.infra.processes import LOOPBACK, Child, data_folder, free_port, wait_until
from tests.journeys.installation import CLEAN, PROGRAM, ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
PROMISED_ADDRESS = "127.0.0.1:8000"


@dataclass(frozen=True, kw_only=True)
class Demo:
    """A running demo, and what it said when it was ready."""

    folder: Path
    port: int
    said: str
    child: Child

    @property
    def address(self) -> str:
        """Return where it listens."""
        return f"http://{LOOPBACK}:{self.port}"

    def type_in(self, command: str) -> str:
        """Run a line of the README in a shell beside the demo; only the port is ours."""
        done = subprocess.run(
            ["bash", "-euc", command.replace(PROMISED_ADDRESS, f"{LOOPBACK}:{self.port}")],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextlib.contextmanager
    def browser(self) -> Iterator[httpx.Client]:
        """Lend a browser of somebody who signs in with what the demo printed."""
        ((email, password),) = re.findall(
            r"^sign in as (\S+) with (\S+)$", self.said, flags=re.MULTILINE
        )
        with httpx.Client(
            base_url=self.address,
            follow_redirects=True,
            headers={"Origin": self.address, "Accept": "text/html"},
            timeout=30,
            trust_env=False,
        ) as client:
            reply = client.post("/sign-in", data={"email": email, "password": password})
            assert reply.status_code == 200, reply.text[:500]
            yield client


def start_demo(folder: Path, port: int) -> Demo:
    """Start it in a folder of its own and wait for the line that the README promises."""
    log = folder / f"demo-{len(list(folder.glob('demo-*.log')))}.log"
    child = Child(
        "demo",
        [*PROGRAM, "demo"],
        log=log,
        cwd=folder,
        env={**CLEAN, "PYTHONPATH": str(ROOT), "CLOSED_LOOP_PORT": str(port)},
    )
    ready = f"closed-loop is ready at http://{LOOPBACK}:{port}"
    child.wait_ready(lambda: ready in log.read_text().splitlines(), seconds=180)
    wait_until(lambda: "\nsign in as " in log.read_text(), what="the sign-in", seconds=10)
    return Demo(folder=folder, port=port, said=log.read_text(), child=child)


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    """The demo of the README, in an empty folder and on a free port."""
    if shutil.which("curl") is None:
        pytest.skip("no curl on this machine")
    with data_folder("demo") as folder:
        running = start_demo(folder, free_port())
        yield running
        running.child.kill()


def the_curl() -> str:
    """Return the command that the README tells to type."""
    found: list[str] = [
        block
        for block in re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
        if block.startswith("curl ")
    ]
    assert len(found) == 1
    return found[0]


def its_body() -> dict[str, Any]:
    """Return what that command posts."""
    (body,) = re.findall(r"-d '(.*)'", the_curl())
    found: dict[str, Any] = json.loads(body)
    return found


def test_the_readme_says_what_the_demo_says(demo: Demo) -> None:
    """The ready line and the sign-in, word for word but for port and password."""
    (shown,) = re.findall(r"```\n(closed-loop is ready.*?)```", README, flags=re.DOTALL)
    ready, sign_in = shown.splitlines()

    lines = demo.said.splitlines()
    assert ready.replace(PROMISED_ADDRESS, f"{LOOPBACK}:{demo.port}") in lines
    assert any(line.startswith(sign_in.rstrip("…")) for line in lines)


def test_the_curl_of_the_readme_closes_the_loop(demo: Demo) -> None:
    """A task in the queue, a mail to the owner; once more and it is a duplicate."""
    words = its_body()["comment"]
    first = json.loads(demo.type_in(the_curl()))
    with demo.browser() as browser:
        _wait_for_task(browser, words)
        wait_until(lambda: "/mail/" in browser.get("/mail").text, what="a mail", seconds=20)
        queue = html.unescape(browser.get("/").text)
        newest = browser.get(re.findall(r'href="(/mail/[^"/]+)"', browser.get("/mail").text)[0])
    again = json.loads(demo.type_in(the_curl()))

    assert re.fullmatch(r"rsp_\w+", first["id"])
    assert (first["status"], first["duplicate"], first["revision"]) == ("accepted", False, 1)
    assert words in html.unescape(newest.text)
    assert queue.count(words) == 1
    assert (again["id"], again["duplicate"]) == (first["id"], True)


def test_the_curl_that_the_demo_prints_is_the_readmes(demo: Demo) -> None:
    """Same route, same body; the key is written out."""
    (printed,) = [line for line in demo.said.splitlines() if line.startswith("curl ")]
    (body,) = re.findall(r"-d '(.*)'", printed)

    assert f"{demo.address}/v1/responses" in printed
    assert json.loads(body) == its_body()
    answer = json.loads(demo.type_in(printed))
    assert answer["status"] == "accepted"


def test_the_demo_ends_at_once_and_starts_again_on_the_same_data(demo: Demo) -> None:
    """Ctrl-C is no error; the second start posts nothing, and what was accepted is there."""
    demo.type_in(the_curl())
    demo.child.stop(by=signal.SIGINT, seconds=30)
    again = start_demo(demo.folder, demo.port)
    try:
        assert demo.child.exit_code == 0
        assert "Posting half a year" in demo.said
        assert "Posting half a year" not in again.said
        with again.browser() as browser:
            _wait_for_task(browser, its_body()["comment"])
    finally:
        again.child.stop(seconds=30)


def _wait_for_task(browser: httpx.Client, comment: str) -> None:
    wait_until(
        lambda: comment in html.unescape(browser.get("/").text),
        what="the task in the queue",
        seconds=20,
    )
