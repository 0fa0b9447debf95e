"""What events, states and results of webhooks are called on the pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from services.notify.domain.deliveries import State
from shared.i18n import Reader, marked

EVENTS: Final[Mapping[str, str]] = {
    "*": marked("Everything, also what is to come"),
    "task.*": marked("Everything about tasks"),
    "source.*": marked("Everything about sources"),
    "theme.*": marked("Everything about themes"),
    "customer.*": marked("Everything about customers"),
    "task.opened": marked("A task was opened"),
    "task.assigned": marked("Somebody else owns a task"),
    "task.contacted": marked("Staff tried to reach the customer"),
    "task.due-soon": marked("A deadline is close"),
    "task.overdue": marked("A deadline has passed"),
    "task.escalated": marked("A task was escalated"),
    "task.promise-due": marked("Something promised to a customer is due"),
    "task.approval-asked": marked("A remedy waits for approval"),
    "task.recognised": marked("Praise was passed on"),
    "task.resolved": marked("A task was resolved"),
    "task.confirmed": marked("The customer confirmed it"),
    "task.reopened": marked("A task is open again"),
    "task.closed": marked("A task was closed"),
    "source.silent": marked("A source fell silent"),
    "source.resumed": marked("A source delivers again"),
    "theme.rising": marked("A theme rises"),
    "customer.erased": marked("A customer was forgotten"),
}

STATES: Final[Mapping[State, tuple[str, str]]] = {
    State.DUE: (marked("waiting"), ""),
    State.SENDING: (marked("being sent"), ""),
    State.DELIVERED: (marked("delivered"), "done"),
    State.FAILED: (marked("given up"), "late"),
    State.HELD: (marked("held"), "soon"),
}
"""What a state is called, and the class that sets its word off."""

REASONS: Final[Mapping[str, str]] = {
    "accepted": marked("The receiver took it."),
    "timeout": marked("The receiver did not answer in time."),
    "connection_failed": marked("Nobody listens at that address."),
    "connection_broken": marked("The connection broke; the receiver may have got it."),
    "tls_failed": marked("The certificate of the receiver is not valid for its name."),
    "name_not_found": marked("The name of the receiver is not known."),
    "too_many_addresses": marked("The name of the receiver has too many addresses."),
    "address_refused": marked("The address behind the name may not be called from here."),
    "url_refused": marked("This URL may not be called from here."),
    "redirect_refused": marked("The receiver sent us elsewhere; redirects are not followed."),
    "receiver_gone": marked("The receiver asked for no more calls (410)."),
    "http_413": marked("The receiver finds the body too large (413)."),
    "http_414": marked("The receiver finds the address too long (414)."),
    "http_429": marked("The receiver asks for fewer calls (429)."),
    "http_401": marked("The receiver does not let us in (401): look at the secret."),
    "http_403": marked("The receiver does not let us in (403): look at the secret."),
    "http_404": marked("The receiver has nothing at this address (404)."),
    "tries_used_up": marked("Ten tries over three days, none of which arrived."),
    "endpoint_disabled": marked("It waits because the webhook is switched off."),
    "endpoint_deleted": marked("Its webhook was deleted."),
    "skipped": marked("Somebody decided not to send it."),
    "worker_lost": marked("Our side was interrupted; the receiver may have got it."),
}

DISABLED: Final[Mapping[str, str]] = {
    "no_success": marked("Nothing got through for five days."),
    "receiver_gone": marked("Its receiver answered “410 Gone”."),
    "switched_off": marked("Somebody switched it off."),
}


def reason_in_words(code: str | None, reader: Reader) -> str:
    """Return a reason as a sentence; nothing where there is none."""
    if code is None:
        return ""
    if code in REASONS:
        return reader.gettext(REASONS[code])
    if code.startswith("http_"):
        return reader.gettext("The receiver answered %(status)s.", status=code[5:])
    return code.replace("_", " ")
