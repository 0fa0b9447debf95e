"""What only reads comments on the command line starts at once and holds little in memory."""

from __future__ import annotations

import subprocess
import sys

HEAVY = {"fastapi", "sqlalchemy", "aiokafka", "services.composition"}


def test_classifying_comments_loads_no_service_and_no_database() -> None:
    ask = "import sys, services.commands.classifying; print(*sys.modules)"
    done = subprocess.run(  # noqa: S603 - our own interpreter and words
        [sys.executable, "-c", ask], capture_output=True, text=True, check=True, timeout=60
    )
    assert HEAVY & set(done.stdout.split()) == set()
