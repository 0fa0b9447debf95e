"""What the kernel saw: before each 202 leaves, its row was written and synced."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.infra.processes import wait_until
from tests.journeys.installation import Embedded

POSTS = 20
CALLS = "trace=pwrite64,fdatasync,fsync,sendto,write,writev"
WRITE = re.compile(r"(?P<pid>\d+) +pwrite64\(\d+<[^>]*-wal>, ")
SYNC = re.compile(r"(?P<pid>\d+) +(?:fdatasync|fsync)\(\d+<[^>]*-wal>(?P<done>\) += 0)?")
SYNCED = re.compile(r"(?P<pid>\d+) +<\.\.\. (?:fdatasync|fsync) resumed>\) += 0")
ANSWER = re.compile(r"HTTP/1\.1 202 .*?location: /v1/responses/(?P<id>rsp_\w+)")


def unsynced_answers(trace: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the ids that were answered, and those of them that were not safe by then."""
    written: dict[str, str] = {}  # ids in the log by the thread that wrote them, not yet synced
    syncing: dict[str, set[str]] = {}
    safe: set[str] = set()
    answered, early = [], []
    for line in trace:
        if found := WRITE.match(line):
            for response in re.findall(r"rsp_\w{26}", line):
                written.setdefault(response, found["pid"])
        elif found := SYNC.match(line):
            mine = {one for one, pid in written.items() if pid == found["pid"]}
            if found["done"]:
                safe |= mine
            else:
                syncing[found["pid"]] = mine
        elif found := SYNCED.match(line):
            safe |= syncing.pop(found["pid"], set())
        elif found := ANSWER.search(line):
            answered.append(found["id"])
            if found["id"] not in safe:
                early.append(found["id"])
    return answered, early


@pytest.mark.strace
def test_every_202_leaves_after_its_row_is_synced(tmp_path: Path, unique: str) -> None:
    trace = tmp_path / "trace.txt"
    installation = Embedded()
    strace = ["strace", "-f", "-y", "-s", "16384", "-e", CALLS, "-o", str(trace)]
    installation.command = [*strace, *installation.command]
    try:
        installation.start()
        with installation.client() as client:
            posted = [
                client.post(
                    "/v1/responses", json={"external_id": f"{unique}-{n}", "score": n % 11}
                ).json()["id"]
                for n in range(POSTS)
            ]
    finally:
        installation.stop()
    wait_until(trace.exists, what="the trace")

    answered, early = unsynced_answers(trace.read_text(errors="replace").splitlines())

    assert answered == posted
    assert early == []


def test_an_answer_before_the_sync_is_noticed() -> None:
    """The reader of traces finds what it is there for."""
    response = "rsp_" + "0" * 26
    write = f'7 pwrite64(8</x/closed-loop.db-wal>, "{response}", 4096, 0) = 4096'
    sync = "7 fdatasync(8</x/closed-loop.db-wal>) = 0"
    begun, done = sync.replace(") = 0", " <unfinished ...>"), "7 <... fdatasync resumed>) = 0"
    answer = (
        f'6 sendto(5, "HTTP/1.1 202 Accepted\\r\\nlocation: /v1/responses/{response}\\r\\n"'
    )
    of_another_file = sync.replace("-wal", "")

    for trace, is_early in (
        ([write, sync, answer], False),
        ([write, begun, done, answer], False),
        ([write, answer], True),
        ([sync, write, answer], True),
        ([begun, write, done, answer], True),
        ([write, begun, answer, done], True),
        ([write, of_another_file, answer], True),
        ([write, sync.replace("= 0", "= -1 EIO"), answer], True),
        ([answer, write, sync], True),
    ):
        assert unsynced_answers(trace) == ([response], [response] if is_early else []), trace
