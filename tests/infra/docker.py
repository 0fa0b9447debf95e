"""The few verbs of Docker that tests need, for machines where an engine answers."""

from __future__ import annotations

import atexit
import functools
import shutil
import subprocess
from collections.abc import Callable, Mapping

from tests.infra.processes import LOOPBACK, ServerDidNotStart, wait_until


@functools.cache
def answers() -> bool:
    """Tell whether a Docker engine answers; the client alone is not enough."""
    if shutil.which("docker") is None:
        return False
    try:
        done = subprocess.run(
            ["docker", "info", "--format", "{{.ServerVersion}}"],
            capture_output=True,
            text=True,
            check=False,
            timeout=10,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0 and bool(done.stdout.strip())


class Container:
    """One container with ports published on loopback; removed by the id it was given."""

    def __init__(
        self,
        image: str,
        *,
        env: Mapping[str, str],
        ports: Mapping[int, int],
        command: tuple[str, ...] = (),
    ) -> None:
        arguments = ["run", "--detach"]
        for name, value in env.items():
            arguments += ["--env", f"{name}={value}"]
        for outside, inside in ports.items():
            arguments += ["--publish", f"{LOOPBACK}:{outside}:{inside}"]
        self._image = image
        self._id = self._docker(*arguments, image, *command)
        atexit.register(self.remove)

    @staticmethod
    def _docker(*arguments: str) -> str:
        done = subprocess.run(
            ["docker", *arguments], capture_output=True, text=True, check=False, timeout=600
        )
        if done.returncode:
            message = f"docker {arguments[0]} failed: {done.stderr.strip()}"
            raise ServerDidNotStart(message)
        return done.stdout.strip()

    def do(self, *verb: str) -> None:
        """Run ``docker <verb> <this container>``."""
        self._docker(*verb, self._id)

    def wait_ready(self, ready: Callable[[], bool]) -> None:
        """Wait until the condition holds; the container's log is in the error otherwise."""
        try:
            wait_until(ready, what=f"{self._image} to answer", seconds=90, every=0.5)
        except TimeoutError as error:
            message = f"{error}\n{self._docker('logs', '--tail', '25', self._id)}"
            raise ServerDidNotStart(message) from error

    def remove(self) -> None:
        """End it and forget its data."""
        atexit.unregister(self.remove)
        self._docker("rm", "--force", "--volumes", self._id)
