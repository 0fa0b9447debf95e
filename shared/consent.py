"""Whether a customer may be written to: one answer, wherever a message to them can arise.

What a customer asked not to be done holds for all of their matters, whichever answer it came
with; what they agreed to must have been said. Silence is no consent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

Purpose = Literal["follow_up", "news"]
"""What a message is for: the matter of the customer's own answer, or anything else."""
Refusal = Literal["do_not_contact", "no_consent"]
WhyNot = Literal["erased", "do_not_contact", "no_consent", "no_address"]


def refused_in(customer: Mapping[str, Any] | None) -> Refusal | None:
    """Return what a customer block forbids us: any contact, or one about this matter."""
    block = customer or {}
    if block.get("do_not_contact") is True:
        return "do_not_contact"
    return "no_consent" if _consent(block, "follow_up") is False else None


def allowed_in(customer: Mapping[str, Any] | None) -> frozenset[Refusal]:
    """Return which former refusals a customer block takes back, in so many words."""
    block = customer or {}
    taken_back: set[Refusal] = set()
    if block.get("do_not_contact") is False:
        taken_back.add("do_not_contact")
    if _consent(block, "follow_up") is True:
        taken_back.add("no_consent")
    return frozenset(taken_back)


def why_not_write(
    customer: Mapping[str, Any] | None,
    *,
    unusable: Container[str] = (),
    purpose: Purpose,
    refused: Refusal | None,
) -> WhyNot | None:
    """Say why the program must not write to a customer, or None.

    ``customer`` is the block that was posted, None where nothing can be read any more;
    ``refused`` is what they asked for with any of their answers.
    """
    if customer is None:
        return "erased"
    if "do_not_contact" in {refused, refused_in(customer)}:
        return "do_not_contact"
    if refused is not None or _consent(customer, purpose) is not True:
        return "no_consent"
    email = customer.get("email")
    is_usable = isinstance(email, str) and bool(email.strip()) and "email" not in unusable
    return None if is_usable else "no_address"


def _consent(block: Mapping[str, Any], purpose: Purpose) -> object:
    consent = block.get("consent")
    return consent.get(purpose) if isinstance(consent, dict) else None
