"""Settings as an operator gives them: what follows from what, and what is refused."""

from __future__ import annotations

import pytest

from shared.errors import Misconfigured
from shared.settings import PREFIX, Settings


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Read neither the environment nor a ``.env`` of whoever runs the tests."""
    for name in Settings.model_fields:
        monkeypatch.delenv(PREFIX + name.upper(), raising=False)
    monkeypatch.chdir(tmp_path_factory.mktemp("nowhere"))


def test_links_follow_the_port_unless_a_public_address_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever moves the port and says no more means this machine."""
    assert Settings.load().public_url == "http://127.0.0.1:8000"

    monkeypatch.setenv("CLOSED_LOOP_PORT", "8080")
    assert Settings.load().public_url == "http://127.0.0.1:8080"
    assert Settings.load(port=9000).public_url == "http://127.0.0.1:9000"

    monkeypatch.setenv("CLOSED_LOOP_PUBLIC_URL", "https://loop.example/")
    assert Settings.load().public_url == "https://loop.example"


def test_a_setting_set_to_nothing_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """A compose file passes empty values for what nobody filled in."""
    monkeypatch.setenv("CLOSED_LOOP_BOOTSTRAP_API_KEY", "")

    assert Settings.load().bootstrap_api_key is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CLOSED_LOOP_SECRET", "short"),
        ("CLOSED_LOOP_BOOTSTRAP_API_KEY", "short"),
        ("CLOSED_LOOP_BOOTSTRAP_ADMIN", "nobody"),
        ("CLOSED_LOOP_PUBLIC_URL", "loop.example"),
        ("CLOSED_LOOP_WEBHOOK_ALLOW_NETWORKS", "10.0.0.0/99"),
        ("CLOSED_LOOP_PORT", "0"),
        ("CLOSED_LOOP_LOG_LEVEL", "loud"),
        ("CLOSED_LOOP_SECRETT", "anything"),
    ],
)
def test_an_unusable_setting_is_named_and_its_value_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """The sentence names the setting and where to read on."""
    monkeypatch.setenv(name, value)

    with pytest.raises(Misconfigured) as refused:
        Settings.load()

    assert name in str(refused.value)
    assert "docs/configuration.md" in str(refused.value)
