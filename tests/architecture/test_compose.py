"""The files of the scaled-out footing: what starts after what, and no secret among them."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.composition import ROLES
from shared.settings import PREFIX, Settings
from tests.architecture.composed import ROOT
from tests.infra import nginx
from tests.infra.processes import LOOPBACK

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: each for name, each in SERVICES.items() if each.get("image") == "closed-loop"}
SECRET = re.compile(r"SECRET|PASSWORD|KEY|TOKEN|ADMIN")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_every_part_of_the_footing_is_there() -> None:
    """The three roles, what they stand on, the step before them, and the front door."""
    assert set(OURS) == {*ROLES, "migrate"}
    assert set(SERVICES) - set(OURS) == {"kafka", "postgres", "mail", "nginx"}
    for role in ROLES:
        assert OURS[role]["command"] == ["serve", "--role", role]
    assert OURS["migrate"]["command"][0] == "migrate"


def test_nothing_starts_before_what_it_needs_is_healthy() -> None:
    """Tables after servers, roles after tables, the door after the roles."""
    conditions = {
        name: {needed: how["condition"] for needed, how in each.get("depends_on", {}).items()}
        for name, each in SERVICES.items()
    }

    assert conditions["migrate"] == {
        "kafka": "service_healthy",
        "postgres": "service_healthy",
    }
    for role in ROLES:
        assert conditions[role] == {"migrate": "service_completed_successfully"}
    assert conditions["nginx"] == dict.fromkeys(ROLES, "service_healthy")


def test_every_server_says_when_it_is_healthy() -> None:
    """Ours by the image, the others in the file; the one-off step has an exit code."""
    asked = set(re.findall(r"HEALTHCHECK", DOCKERFILE))

    assert asked
    assert "/readyz" in DOCKERFILE
    for name, each in SERVICES.items():
        assert name in OURS or each["healthcheck"]["test"], name


def test_no_secret_stands_in_the_file() -> None:
    """Each comes from the environment, and a missing one stops the start with a sentence."""
    literal = [
        f"{name}: {variable}"
        for name, each in SERVICES.items()
        for variable, value in each.get("environment", {}).items()
        if SECRET.search(variable) and not str(value).startswith("${")
    ]
    in_addresses = [
        f"{name}: {variable}"
        for name, each in SERVICES.items()
        for variable, value in each.get("environment", {}).items()
        if re.search(r"://[^/@]*:(?!\$\{)[^/@]+@", str(value))
    ]
    required = set(re.findall(r"\$\{([A-Z_]+):\?", (ROOT / "docker-compose.yml").read_text()))

    assert literal == []
    assert in_addresses == []
    assert required == {
        "CLOSED_LOOP_SECRET",
        "CLOSED_LOOP_BOOTSTRAP_ADMIN",
        "POSTGRES_PASSWORD",
        "ROLES_PASSWORD",
    }


def test_each_role_has_a_user_of_its_own_and_settings_that_exist() -> None:
    """The users are those that the migration grants their rights to."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    granted = dict(pair.split("=") for pair in OURS["migrate"]["command"][-1].split(","))

    for name, each in OURS.items():
        assert set(each["environment"]) <= known, name
    for role in ROLES:
        url = OURS[role]["environment"]["CLOSED_LOOP_DATABASE_URL"]
        assert url.startswith(f"postgresql+asyncpg://{granted[role]}:")
    assert len(set(granted.values())) == len(ROLES)
    script = (ROOT / "deploy" / "postgres-users.sh").read_text(encoding="utf-8")
    assert [user for user in granted.values() if user not in script] == []


def test_only_the_front_door_and_the_mail_page_are_reached_from_outside() -> None:
    """Databases, the broker and the roles have no published port and an inner network."""
    published = {name for name, each in SERVICES.items() if "ports" in each}

    assert published == {"nginx", "mail"}
    assert COMPOSE["networks"]["inside"]["internal"] is True
    for name in ("kafka", "postgres", "migrate", "ingest", "loop"):
        assert SERVICES[name]["networks"] == ["inside"]


def test_nginx_and_the_roles_meet_in_the_one_network_that_is_trusted() -> None:
    """Whoever else could reach a role could otherwise say that they speak for somebody."""
    (subnet,) = COMPOSE["networks"]["inside"]["ipam"]["config"]
    door = set(SERVICES["nginx"]["networks"])

    for role in ROLES:
        trusted = SERVICES[role]["environment"]["CLOSED_LOOP_TRUSTED_PROXIES"]
        assert trusted == subnet["subnet"]
        assert door & set(SERVICES[role]["networks"]) == {"inside"}


def test_every_file_that_is_mounted_exists() -> None:
    """And read-only, as far as it is ours."""
    mounts = [
        mount
        for each in SERVICES.values()
        for mount in each.get("volumes", [])
        if mount.startswith("./")
    ]

    assert mounts
    for mount in mounts:
        here, _, rest = mount.partition(":")
        assert (ROOT / here).is_file()
        assert rest.endswith(":ro")


def test_the_image_is_built_from_the_lock_and_runs_as_nobody_special() -> None:
    """Hashes for everything that is installed; everything that is copied exists."""
    installs = re.findall(r"pip install (.*)", DOCKERFILE)
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, flags=re.MULTILINE)

    assert all("--require-hashes" in line or "--no-deps" in line for line in installs)
    assert re.search(r"^USER (?!root)\S+$", DOCKERFILE, flags=re.MULTILINE)
    assert [
        name for line in copied for name in line.split() if not (ROOT / name).exists()
    ] == []
    # What runs for ever takes its signals itself.
    assert json.loads(DOCKERFILE.split("ENTRYPOINT ")[1].splitlines()[0]) == ["closed-loop"]


@pytest.mark.nginx
def test_nginx_accepts_the_front_door(tmp_path: Path) -> None:
    """The very file, with names that this machine can resolve."""
    text = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    for role in ROLES:
        assert f"server {role}:8000;" in text
        text = text.replace(f"server {role}:8000;", f"server {LOOPBACK}:8000;")
    (tmp_path / "logs").mkdir()
    (tmp_path / "nginx.conf").write_text(text)
    program = nginx.program()
    assert program is not None

    checked = subprocess.run(  # noqa: S603 - the machine's nginx
        [program, "-t", "-p", f"{tmp_path}/", "-c", "nginx.conf", "-e", "stderr"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert checked.returncode == 0, checked.stderr
    assert "warn" not in checked.stderr
