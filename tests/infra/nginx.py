"""A real nginx with a configuration that the test brings, under a prefix of its own."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Self

from tests.infra.processes import Child, ServerDidNotStart, accepts, data_folder

# Debian keeps it where only root looks.
_PLACES = "/usr/sbin:/usr/local/sbin:/sbin"


def program() -> str | None:
    """Return the path of nginx, or None."""
    return shutil.which("nginx") or shutil.which("nginx", path=_PLACES)


def missing() -> str | None:
    """Say why nginx cannot be had on this machine, or None when it can."""
    return None if program() else "no nginx: install nginx"


class Nginx:
    """One nginx in the foreground; ``port`` is where its configuration makes it listen."""

    def __init__(self, configuration: str | Path, *, port: int) -> None:
        self.port = port
        self._text = (
            configuration.read_text() if isinstance(configuration, Path) else configuration
        )
        self._cleanup = contextlib.ExitStack()
        self._child: Child | None = None
        self.prefix: Path | None = None

    def start(self) -> None:
        """Check the configuration, start, and return when the port accepts."""
        path = program()
        if path is None:
            message = "nginx is not installed"
            raise ServerDidNotStart(message)
        self.prefix = prefix = self._cleanup.enter_context(data_folder("nginx"))
        (prefix / "logs").mkdir()
        (prefix / "nginx.conf").write_text(self._text)
        base = [
            path,
            "-p",
            f"{prefix}/",
            "-c",
            "nginx.conf",
            "-e",
            "stderr",
            "-g",
            f"daemon off; pid {prefix}/nginx.pid;",
        ]
        checked = subprocess.run(
            [*base, "-t"], capture_output=True, text=True, check=False, cwd=prefix, timeout=30
        )
        if checked.returncode:
            message = f"nginx refuses the configuration:\n{checked.stderr}"
            raise ServerDidNotStart(message)
        self._child = Child("nginx", base, log=prefix / "output.log", cwd=prefix)
        self._child.wait_ready(lambda: accepts(self.port), seconds=20)

    def stop(self) -> None:
        """End it and forget its folder."""
        if self._child is not None:
            self._child.stop(by=signal.SIGTERM)
            self._child = None
        self._cleanup.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
