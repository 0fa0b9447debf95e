"""``closed-loop source …``: what ``/v1/sources`` does, for whoever sits at the machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import yaml

from services.beside import ingest_beside
from services.commands.output import data, data_json, rows, say
from services.composition import (
    Call,
    SourceChange,
    Standing,
    change_source,
    list_standing,
    mapping_of,
    read_payload,
    receive,
    source_named,
    source_out,
    standing_of,
)
from shared.errors import Invalid
from shared.identity.audit import SYSTEM
from shared.identity.keys import source_name
from shared.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

_FIELDS = ("sender", "mapping", "namespace", "silent_after_hours")


async def list_sources(*, as_json: bool) -> int:
    """List sources by name."""
    settings = Settings.load()
    found: list[Standing] = []
    async with ingest_beside(settings) as ingest, ingest.database.reading() as view:
        while page := await list_standing(
            view,
            keyring=ingest.keyring,
            now=ingest.clock.now(),
            after=found[-1].source.name if found else None,
        ):
            found += page
    if as_json:
        data_json([source_out(one, public_url=settings.public_url) for one in found])
        return 0
    rows(
        ("name", "sender", "last_response_at", "accepted_today", "others_today", "state"),
        [
            (
                one.source.name,
                one.source.sender or ("own mapping" if one.source.mapping else None),
                one.figures.last_response_at,
                one.figures.accepted_today,
                sum(tally.n for tally in one.figures.today),
                "silent" if one.source.silent_since else "",
            )
            for one in found
        ],
        as_json=False,
    )
    return 0


async def show_source(name: str, *, as_json: bool) -> int:
    """Show one source as ``GET /v1/sources/{name}`` does."""
    settings = Settings.load()
    async with ingest_beside(settings) as ingest, ingest.database.reading() as view:
        found = await standing_of(view, name, keyring=ingest.keyring, now=ingest.clock.now())
    shown = source_out(found, public_url=settings.public_url)
    if as_json:
        data_json(shown)
        return 0
    for member, value in shown.items():
        if member in {"today", "last_7_days"}:
            _show_figures(member, value)
        elif member == "secrets":
            data(f"secrets: {len(value)}")
            for secret in value:
                until = f" until {secret['until']}" if secret["until"] else ""
                data(f"  {secret['id']} made {secret['made_at']}{until}")
        elif member == "test" and value is not None:
            _show_figures("test today", value["today"])
        elif member == "mapping" and value is not None:
            data(f"mapping:\n{yaml.safe_dump(value, allow_unicode=True)}".rstrip())
        else:
            data(f"{member}: {'' if value is None else value}".rstrip())
    return 0


def _show_figures(what: str, figures: Mapping[str, Any]) -> None:
    data(f"{what}: {figures['accepted']} accepted")
    for other in figures["others"]:
        data(f"  {other['n']} {other['outcome']} {other['reason']}".rstrip())


async def set_source(
    name: str, *, given: Mapping[str, Any], mapping: Path | None, clear: Sequence[str]
) -> int:
    """Change the settings that are given or cleared; leave the others alone."""
    if unknown := sorted(set(clear) - set(_FIELDS)):
        message = f"--clear takes {', '.join(_FIELDS)}; not {', '.join(unknown)}."
        raise Invalid(message)
    changes = {field: value for field, value in given.items() if value is not None}
    if mapping is not None:
        changes["mapping"] = _document(mapping)
    changes |= dict.fromkeys(clear)
    async with ingest_beside(Settings.load()) as ingest:
        source = await source_named(ingest, source_name(name))
        kept = SourceChange(**{field: getattr(source, field) for field in _FIELDS})
        async with ingest.database.transaction() as tx:
            changed = await change_source(
                tx,
                name,
                replace(kept, **changes),
                keyring=ingest.keyring,
                expected=source.version,
                by=SYSTEM,
                now=ingest.clock.now(),
            )
    say(f"Source {changed.name} is at version {changed.version}.")
    return 0


async def try_source(
    name: str,
    payload: Path,
    *,
    sender: str | None,
    mapping: Path | None,
    content_type: str,
    as_json: bool,
) -> int:
    """Say what would become of a payload; record nothing."""
    call = _call(payload, content_type)
    async with ingest_beside(Settings.load()) as ingest:
        source = await source_named(ingest, source_name(name))
        if sender is not None or mapping is not None:
            document = None if mapping is None else _document(mapping)
            mapping_of(sender, document)
            source = replace(source, sender=sender, mapping=document)
        results = await receive(ingest, source, call, test=False, dry_run=True)
    if as_json:
        data_json([replace(one, id=None).shown() for one in results])
    else:
        columns = ("status", "reason", "pointer", "path", "detail")
        rows(columns, [[asdict(one)[c] for c in columns] for one in results], as_json=False)
    return 1 if any(one.status == "rejected" for one in results) else 0


def _call(file: Path, content_type: str) -> Call:
    body = file.read_bytes()
    return Call(payload=read_payload(body, content_type), body=body, content_type=content_type)


def _document(file: Path) -> Any:  # noqa: ANN401 - whatever stands in it; compiling judges it
    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        message = f"{file} is neither YAML nor JSON."
        raise Invalid(message) from None
