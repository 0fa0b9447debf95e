"""Notify, put together: its doors, its workers, and what they hold."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from services.notify.api import router
from services.notify.channels.capture import CaptureChannel
from services.notify.channels.email import Limits, MailChannel, SmtpChannel, SmtpServer
from services.notify.channels.message import can_be_from
from services.notify.channels.webhook import Rules, WebhookChannel
from services.notify.domain.deliveries import Verdict
from services.notify.domain.mail import Sender, bounce_mailbox_problem, sender_of
from services.notify.handlers.composing import Composer
from services.notify.handlers.endpoints import Notify
from services.notify.jobs import Dispatcher
from services.notify.listeners import (
    CUSTOMER_EVENTS,
    SOURCE_EVENTS,
    TASK_EVENTS,
    THEME_EVENTS,
    also_hear_of_customers,
    hear_events,
)
from services.notify.pages import ROUTERS
from services.notify.pages.mail_settings import REASONS
from services.notify.store import OLD_DELIVERIES, PERSONAL, PLUMBING, figures
from services.notify.upkeep import Upkeep
from shared.bus.consumer import Consumer
from shared.bus.relay import Relay
from shared.errors import Misconfigured
from shared.events import topics
from shared.events.loop import TaskRemoved
from shared.service import Kit, Service
from shared.settings import Settings

__all__ = ["PERSONAL", "PLUMBING", "Notify", "build", "look_at_mail"]

_CAPTURE: Final = "capture:"
_LOOKING: Final = Limits(connect=10, command=10, whole=25)


def build(kit: Kit) -> Service:
    """Return the service, ready to be served; ``kit.database`` is notify's own handle.

    Raises ``Misconfigured`` for a mail server or a sender that cannot be used.
    """
    rules = Rules.of(kit.settings)
    dispatcher = Dispatcher(
        database=kit.database,
        clock=kit.clock,
        keyring=kit.keyring,
        person_keys=kit.person_keys,
        mail=_mail_channel(kit),
        webhooks=WebhookChannel(rules),
        composer=Composer(
            sender=_sender(kit.settings),
            public_url=kit.settings.public_url,
            keyring=kit.keyring,
        ),
        mail_settings=_digest_of(kit),
    )
    return Service(
        name="notify",
        routers=[router, *ROUTERS],
        workers=[
            Relay(database=kit.database, bus=kit.bus, clock=kit.clock, keyring=kit.keyring),
            Consumer(
                name="notify",
                topics=[topics.TASKS, topics.ALERTS, topics.RESPONSES, topics.OUTER_LOOP],
                kinds=[
                    *TASK_EVENTS,
                    *SOURCE_EVENTS,
                    *CUSTOMER_EVENTS,
                    *THEME_EVENTS,
                    TaskRemoved,
                ],
                handler=also_hear_of_customers(
                    hear_events(public_url=kit.settings.public_url, wake=dispatcher.wake),
                    keyring=kit.keyring,
                    person_keys=kit.person_keys,
                    wake=dispatcher.wake,
                ),
                database=kit.database,
                bus=kit.bus,
                clock=kit.clock,
                keyring=kit.keyring,
            ),
            dispatcher,
            Upkeep(kit.database, kit.clock, keyring=kit.keyring, wake=dispatcher.wake),
        ],
        resources=Notify(
            clock=kit.clock,
            database=kit.database,
            keyring=kit.keyring,
            person_keys=kit.person_keys,
            rules=rules,
            wake=dispatcher.wake,
        ),
        measure=figures,
        expiring=[OLD_DELIVERIES],
    )


def _digest_of(kit: Kit) -> str:
    """Return what tells these mail settings from others, and nothing of them."""
    settings = kit.settings
    return kit.keyring.mac(
        "mail-settings",
        settings.smtp_url.get_secret_value(),
        settings.mail_from,
        settings.mail_return_path,
    )


def _mail_channel(kit: Kit) -> MailChannel:
    url = kit.settings.smtp_url.get_secret_value()
    if url == _CAPTURE:
        return CaptureChannel(kit.database, keyring=kit.keyring, clock=kit.clock)
    return SmtpChannel(SmtpServer.read(url), name=_sender(kit.settings).domain)


async def look_at_mail(settings: Settings) -> str:
    """Say how mail goes; connect, encrypt and log in as for a mail, and send none.

    Raises ``Misconfigured`` with what to do.
    """
    sender, url = _sender(settings), settings.smtp_url.get_secret_value()
    if url == _CAPTURE:
        return "kept on the mail page, never sent"
    server = SmtpServer.read(url)
    place = f"{server.host}:{server.port}"
    outcome = await SmtpChannel(server, name=sender.domain, limits=_LOOKING).try_out()
    if outcome.verdict is not Verdict.ACCEPTED:
        code = f" ({outcome.code})" if outcome.code else ""
        message = f"{place}{code}: {REASONS.get(outcome.reason, outcome.reason)}"
        raise Misconfigured(message)
    if server.scheme == "smtp":
        return f"{place} takes mail, not encrypted on the way there"
    return f"{place} takes mail, encrypted" + (", and knows us" if server.user else "")


def _sender(settings: Settings) -> Sender:
    """Return who mails come from; prove that a mail can be made that says so."""
    sender = sender_of(settings.mail_from)
    if sender is None or not can_be_from(sender):
        raise Misconfigured(
            "CLOSED_LOOP_MAIL_FROM must be an address, or a name and an address in angle"
            " brackets, such as: Closed Loop <closed-loop@example.org>."
        )
    if not settings.mail_return_path:
        return sender
    if bounce_mailbox_problem(settings.mail_return_path):
        raise Misconfigured(
            "CLOSED_LOOP_MAIL_RETURN_PATH must be an address such as bounces@example.org, of at"
            " most 16 characters before the @; what is sent to bounces+anything@example.org"
            " must arrive there. Leave it out to have bounces sent to CLOSED_LOOP_MAIL_FROM."
        )
    return replace(sender, bounces_to=settings.mail_return_path)
