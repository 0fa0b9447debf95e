"""Who somebody means: by an id at once, by an address in the documents of everybody.

An address is not looked up: what is sealed can be searched only by opening it, a slice at a
time. A response that stands alone and names the address is its owner's; where it stands in what
somebody else said, a person has to look.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from services.ingest import store
from services.ingest.domain.persons import Addresses, Named, address_in, tidy_address
from services.ingest.domain.reading import tidy
from services.ingest.handlers.sealing import open_sealed
from shared.errors import NotFound
from shared.identity.forgetting import refs_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from services.ingest.handlers.commands import Ingest
    from services.ingest.store import Sealed
    from shared.db.transaction import Reading
    from shared.identity.person_keys import PersonKeys

SLICE: Final = 300
"""So many responses are opened at once; what others ask for comes in between."""


@dataclass(kw_only=True)
class Findings:
    """Whom a search has found so far."""

    refs: dict[str, None] = field(default_factory=dict)
    mentions: dict[str, None] = field(default_factory=dict)

    def merge(self, other: Findings) -> None:
        """Take in what another slice found; whoever is found is not merely mentioned."""
        self.refs |= other.refs
        self.mentions |= other.mentions


async def identified(view: Reading, ingest: Ingest, named: Named) -> list[str]:
    """Return whom these words name without a search; raise ``NotFound`` for an unknown id."""
    match named.by:
        case "response_id":
            response = await store.find_response(view, named.value)
            if response is None:
                raise NotFound("There is no such response.")
            return [response.person_ref]
        case "ref":
            ref = await store.owner_of(view, named.value)
            if not await store.presence_of(view, [ref]):
                raise NotFound("There is no such person.")
            return [ref]
        case "customer_id":
            source = tidy(named.source or "")
            namespace = (await store.namespaces(view)).get(source, source)
            ref = ingest.person_keys.ref(namespace, tidy(named.value))
            return [ref] if await store.presence_of(view, [ref]) else []
        case "email":
            return []


async def addresses_of(
    view: Reading, person_keys: PersonKeys, refs: Sequence[str]
) -> list[str]:
    """Return every address that these persons gave as their own."""
    found: dict[str, None] = {}
    for ref in refs:
        keys = await person_keys.for_reading(view, await refs_of(view, ref))
        for response, parts in await store.responses_of(view, list(keys)):
            tokens = [
                (response.person_ref, response.sealed_person),
                *((part.person_ref, part.sealed_person) for part in parts),
            ]
            for whose, token in tokens:
                document = open_sealed(token, keys.get(whose), response.id)
                if (address := address_in(document.get("customer") or {})) is not None:
                    found[address] = None
    return list(found)


async def subject_of(
    view: Reading, ingest: Ingest, named: Named
) -> tuple[list[str], list[str], bool]:
    """Return who is named, which addresses to search for, and whether they are the name.

    Where an address is the name, everybody who gave it as theirs is meant. Where a person is
    named otherwise, somebody else who has the same address stays who they are.
    """
    if named.by == "email":
        return [], [tidy_address(named.value)], True
    refs = await identified(view, ingest, named)
    return refs, await addresses_of(view, ingest.person_keys, refs), False


async def search(
    view: Reading,
    person_keys: PersonKeys,
    addresses: Addresses,
    *,
    after: str,
    by_address: bool,
) -> tuple[Findings, str | None]:
    """Open the next slice of documents; return whom they name, and where to go on."""
    documents, cursor = await store.documents_after(view, after, limit=SLICE)
    keys = await person_keys.for_reading(view, [one.person_ref for one in documents])
    findings = Findings()
    for one in documents:
        _look_at(one, keys, addresses, findings, by_address=by_address)
    return findings, cursor


def _look_at(
    one: Sealed,
    keys: Mapping[str, bytes],
    addresses: Addresses,
    findings: Findings,
    *,
    by_address: bool,
) -> None:
    document = open_sealed(one.token, keys.get(one.person_ref), one.response_id)
    alone = one.person_ref == one.response_id
    if by_address and addresses.are_of(document.get("customer") or {}):
        findings.refs[one.person_ref] = None
    elif addresses.stand_in(document):
        if alone:
            findings.refs[one.person_ref] = None
        else:
            findings.mentions[one.response_id] = None
