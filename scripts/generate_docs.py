"""Writes the parts of the documentation that are made from the code.

``python scripts/generate_docs.py`` writes; with ``--check`` it only tells what differs, which is
what the tests do.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from services.composition import compose  # noqa: E402 - the path comes first
from shared.events.registry import EVENTS, schema_of  # noqa: E402
from shared.settings import PREFIX, Settings  # noqa: E402


def _json(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def events() -> dict[str, str]:
    """Return one schema per event, and the page that lists them."""
    pages = {
        f"docs/events/{name}.json": _json(schema_of(kind)) for name, kind in EVENTS.items()
    }
    lines = [
        "# Events",
        "",
        "Every record is a CloudEvent 1.0 in structured JSON; the key is a pseudonym of the person.",
        "The schema of each type lies beside this page and changes only by addition.",
        "`data.person` is sealed: it opens only inside the installation, and no more once the person is erased.",
        "",
        "| type | topic | published by | when |",
        "|---|---|---|---|",
    ]
    for name, kind in EVENTS.items():
        text = " ".join((kind.__doc__ or "").split())
        lines.append(f"| [`{name}`]({name}.json) | `{kind.TOPIC}` | {kind.OWNER} | {text} |")
    pages["docs/events/README.md"] = "\n".join(lines) + "\n"
    return pages


def configuration() -> dict[str, str]:
    """Return the page of settings."""
    lines = [
        "# Configuration",
        "",
        "Settings come from the environment or from a file `.env` in the working folder; the environment wins.",
        f"An unknown name that begins with `{PREFIX}` stops the start. Set to nothing is not set.",
        "`closed-loop check` looks at the result.",
        "",
        "| variable | default | meaning |",
        "|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        default = field.default
        shown = getattr(default, "get_secret_value", lambda value=default: value)()
        text = (
            "none"
            if shown in (None, ())
            else f"`{str(shown).lower() if isinstance(shown, bool) else shown}`"
        )
        lines.append(f"| `{PREFIX}{name.upper()}` | {text} | {field.description} |")
    return {"docs/configuration.md": "\n".join(lines) + "\n"}


async def _openapi() -> dict[str, str]:
    with TemporaryDirectory() as folder:
        settings = Settings(
            database_url=f"sqlite+aiosqlite:///{folder}/closed-loop.db",
            secret="-" * 32,
            public_url="http://127.0.0.1:8000",
        )
        async with compose(settings) as system:
            return {"docs/openapi.json": _json(system.app.openapi())}


def generated() -> dict[str, str]:
    """Return every generated file by its path below the repository."""
    return {**events(), **configuration(), **asyncio.run(_openapi())}


def differing() -> list[str]:
    """Return the generated files that are missing or out of date."""
    return [
        path
        for path, text in generated().items()
        if not (ROOT / path).exists() or (ROOT / path).read_text(encoding="utf-8") != text
    ]


def main() -> None:
    """Write the files, or check them."""
    if "--check" in sys.argv:
        found = differing()
        print("\n".join(found) or "every generated page is up to date")
        raise SystemExit(bool(found))
    for path, text in generated().items():
        target = ROOT / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
