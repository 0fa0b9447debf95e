"""Who is one person: a namespace with an id, else an address; never a name or a number."""

from __future__ import annotations

from typing import Any

import pytest

from tests.handlers.test_record_responses import Recorder, recorder

__all__ = ["recorder"]


async def ref_of(recorder: Recorder, number: int, **members: Any) -> str:
    """Post a response and return whose it is."""
    posted = await recorder.post(f"A-{number}", score=3, **members)
    return (await recorder.stored(posted.id)).person_ref


async def refs(recorder: Recorder, *posts: dict[str, Any]) -> list[str]:
    """Post responses and return whose each is."""
    return [await ref_of(recorder, number, **post) for number, post in enumerate(posts)]


def crm(customer: dict[str, Any] | None, **rest: Any) -> dict[str, Any]:
    """Return a post about this customer."""
    return rest if customer is None else {"customer": customer, **rest}


async def test_two_sources_that_share_a_namespace_know_the_same_person(
    recorder: Recorder,
) -> None:
    one, other, alone = await refs(
        recorder,
        crm({"id": "C-1"}, source="shop", namespace="house"),
        crm({"id": "C-1"}, source="support", namespace="house"),
        crm({"id": "C-2"}, source="support", namespace="house"),
    )

    assert one == other
    assert alone != one


async def test_the_same_id_in_two_namespaces_is_two_persons(recorder: Recorder) -> None:
    own, others, shared = await refs(
        recorder,
        crm({"id": "C-1"}, source="shop"),
        crm({"id": "C-1"}, source="support"),
        crm({"id": "C-1"}, source="shop", namespace="house"),
    )

    assert len({own, others, shared}) == 3


async def test_a_namespace_is_the_source_unless_it_is_another(recorder: Recorder) -> None:
    own, named = await refs(
        recorder,
        crm({"id": "C-1"}, source="shop"),
        crm({"id": "C-1"}, source="support", namespace="shop"),
    )

    assert own == named


@pytest.mark.parametrize(
    "written", ["ana@example.org", " Ana@Example.ORG ", "ANA@EXAMPLE.ORG\t"]
)
async def test_without_an_id_the_address_identifies_trimmed_and_in_lower_case(
    recorder: Recorder, written: str
) -> None:
    one, other, elsewhere, somebody = await refs(
        recorder,
        crm({"email": "ana@example.org"}),
        crm({"email": written, "name": "Someone Else"}),
        crm({"email": written}, source="another"),
        crm({"email": "anna@example.org"}),
    )

    assert one == other
    assert len({one, elsewhere, somebody}) == 3


async def test_an_id_counts_before_the_address(recorder: Recorder) -> None:
    by_id, same_id, by_address = await refs(
        recorder,
        crm({"id": "C-1", "email": "ana@example.org"}),
        crm({"id": "C-1", "email": "other@example.org"}),
        crm({"email": "ana@example.org"}),
    )

    assert by_id == same_id
    assert by_address != by_id


@pytest.mark.parametrize(
    "customer",
    [
        {"name": "Ana Berg"},
        {"phone": "+44 20 7946 0001"},
        {"name": "Ana Berg", "phone": "+44 20 7946 0001", "account": "ACME"},
        {"id": "   "},
        {"email": "  "},
        None,
    ],
)
async def test_names_and_numbers_identify_nobody(
    recorder: Recorder, customer: dict[str, Any] | None
) -> None:
    one, other = await refs(recorder, crm(customer), crm(customer))

    assert one != other
    assert one.startswith("rsp_")
