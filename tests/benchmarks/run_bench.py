"""``make bench``: start a real PostgreSQL and a real Kafka, name them, measure every row.

``python -m tests.benchmarks.run_bench [closed-loop bench's own options]``. A server that the
machine cannot give leaves its rows unmeasured, with the reason.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys

from tests.infra import kafka, postgres


def main() -> int:
    with contextlib.ExitStack() as stack:
        named: dict[str, str] = {}
        if reason := postgres.missing():
            print(reason, file=sys.stderr)
        else:
            server = postgres.new_server()
            server.start()
            stack.callback(server.stop)
            named["CLOSED_LOOP_TEST_POSTGRES"] = server.url("postgres")
        if reason := kafka.missing():
            print(reason, file=sys.stderr)
        else:
            broker = kafka.new_broker()
            broker.start()
            stack.callback(broker.stop)
            named["CLOSED_LOOP_TEST_KAFKA"] = broker.bootstrap
        done = subprocess.run(
            [sys.executable, "-m", "services", "bench", *sys.argv[1:]],
            env={**os.environ, **named},
            check=False,
        )
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
