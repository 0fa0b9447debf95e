"""Child processes that tests start: free ports, waiting until ready, stopping by recorded id.

Everything else in this package stands on it. Nothing here ever ends a process that it did not
start itself.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

LOOPBACK = "127.0.0.1"


class ServerDidNotStart(Exception):
    """A child ended, or was not ready in time; the end of its log is in the message."""


def free_port() -> int:
    """Return a loopback port that nobody listens on at this moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def accepts(port: int, host: str = LOOPBACK) -> bool:
    """Tell whether somebody accepts connections there."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
        return True
    return False


def wait_until(
    condition: Callable[[], bool], *, what: str, seconds: float = 30, every: float = 0.05
) -> None:
    """Return as soon as the condition holds; raise ``TimeoutError`` naming it otherwise."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            message = f"waited {seconds:g} s for: {what}"
            raise TimeoutError(message)
        time.sleep(every)


@contextlib.contextmanager
def data_folder(name: str) -> Iterator[Path]:
    """Lend a fresh folder that every user may enter, and remove it afterwards."""
    with tempfile.TemporaryDirectory(
        prefix=f"closed-loop-{name}-", ignore_cleanup_errors=True
    ) as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path


class Child:
    """One child process in a session of its own, with its output in a log file."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
    ) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                cwd=cwd,
                env=None if env is None else {**os.environ, **env},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=user,
                group=user,
                extra_groups=None if user is None else [],
            )
        self.pid = self._process.pid
        log.with_suffix(".pid").write_text(f"{self.pid}\n")
        atexit.register(self.kill)

    @property
    def running(self) -> bool:
        """Whether the process still lives."""
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How it ended, or None while it lives."""
        return self._process.poll()

    def tail(self, lines: int = 25) -> str:
        """Return the end of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def wait_ready(self, ready: Callable[[], bool], *, seconds: float = 60) -> None:
        """Wait for the condition; raise ``ServerDidNotStart`` when the child ends first."""
        deadline = time.monotonic() + seconds
        while True:
            if not self.running:
                message = f"{self.name} ended with {self.exit_code}:\n{self.tail()}"
                raise ServerDidNotStart(message)
            if ready():
                return
            if time.monotonic() > deadline:
                self.kill()
                message = f"{self.name} was not ready in {seconds:g} s:\n{self.tail()}"
                raise ServerDidNotStart(message)
            time.sleep(0.05)

    def send(self, number: signal.Signals) -> None:
        """Signal this process alone, if it still lives."""
        if self.running:
            self._process.send_signal(number)

    def stop(self, *, by: signal.Signals = signal.SIGTERM, seconds: float = 20) -> None:
        """Ask it to end, and end it for good when it does not in time."""
        self.send(signal.SIGCONT)
        self.send(by)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        atexit.unregister(self.kill)

    def kill(self) -> None:
        """SIGKILL to its whole process group, as a power cut would."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self._process.wait(10)

    def pause(self) -> None:
        """SIGSTOP: connections stay open, nobody answers, from the return on."""
        self.send(signal.SIGSTOP)
        # Its threads stop one after the other; one of them might still answer.
        stat = Path(f"/proc/{self.pid}/stat")
        wait_until(
            lambda: stat.read_text().rpartition(")")[2].split()[0] in "TZ",
            what=f"the standstill of {self.name}",
            every=0.001,
        )

    def resume(self) -> None:
        """SIGCONT."""
        self.send(signal.SIGCONT)
