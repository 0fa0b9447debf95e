"""What is sent, made of a claimed delivery: the mail, or the person's words for a webhook."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.notify.channels.account_texts import render_reset
from services.notify.channels.customer_texts import render_question
from services.notify.channels.endpoint_texts import render_endpoint
from services.notify.channels.message import Mail, UnsafeMail, build_mail
from services.notify.channels.source_texts import render_source
from services.notify.channels.summaries import render_summary
from services.notify.channels.texts import Rendered, render_mail
from services.notify.channels.theme_texts import render_theme
from services.notify.domain.accounts import PASSWORD_RESET, reset_facts_from
from services.notify.domain.alerts import facts_from
from services.notify.domain.customers import (
    CUSTOMER_MAIL_KINDS,
    LINK_PURPOSE,
    address_of,
    question_from,
)
from services.notify.domain.endpoints import ENDPOINT_MAIL_KINDS, endpoint_facts_from
from services.notify.domain.mail import Sender, return_path
from services.notify.domain.sources import SOURCE_MAIL_KINDS, source_facts_from
from services.notify.domain.themes import THEME_MAIL_KINDS, theme_facts_from
from services.notify.handlers.readying import Ready, person_of
from services.notify.store import Delivery, Mailbox
from shared.identity.password_resets import token_of
from shared.links import sign
from shared.logs import get_logger
from shared.sealing import Keyring

_log = get_logger(__name__)
_PURPOSE = "return-path"


@dataclass(frozen=True, kw_only=True)
class Composer:
    """Makes mails: who they come from, where their links lead, where their bounces go."""

    sender: Sender
    public_url: str
    keyring: Keyring

    def mail(self, ready: Ready, at: datetime) -> Mail:
        """Return the mail of a delivery; raise ``UnsafeMail`` where there must be none."""
        one = ready.delivery
        if one.purpose in CUSTOMER_MAIL_KINDS:
            return self._to_customer(ready, at)
        if one.recipient is None:
            raise UnsafeMail("no_recipient")
        return build_mail(
            self._rendered(ready, one.recipient, at),
            delivery_id=one.id,
            sender=self.sender,
            recipient=one.recipient.email,
            return_path=self._return_path(one),
            date=one.first_tried_at or at,
            person_ref=one.person_ref,
            person_key=ready.person_key,
        )

    def _to_customer(self, ready: Ready, at: datetime) -> Mail:
        """Return a mail to a customer; address and link are made here and kept nowhere."""
        one, person = ready.delivery, person_of(ready)
        email, facts = address_of(person), question_from(one.payload)
        if email is None:
            raise UnsafeMail("no_recipient")
        token = sign(self.keyring, LINK_PURPOSE, facts.link_subject, facts.expires_at)
        return build_mail(
            render_question(
                facts,
                person=person or {},
                contact=ready.contact,
                sender=self.sender,
                link=f"{self.public_url}/settled/{token}",
            ),
            delivery_id=one.id,
            sender=self.sender,
            recipient=email,
            return_path=self._return_path(one),
            date=one.first_tried_at or at,
            person_ref=one.person_ref,
            person_key=ready.person_key,
            is_to_customer=True,
        )

    def _return_path(self, one: Delivery) -> str:
        """Return where this mail's bounces go; they can tell which delivery they are about.

        Lower case, because some servers on the way make it so.
        """
        mailbox = self.sender.bounces_to
        if mailbox is None:
            return self.sender.address
        name = one.id.lower()
        return return_path(mailbox, name, self.keyring.mac(_PURPOSE, name))

    def _rendered(self, ready: Ready, box: Mailbox, at: datetime) -> Rendered:
        one = ready.delivery
        if ready.summary is not None:
            return render_summary(
                one.purpose,
                ready.summary,
                language=box.language,
                time_zone=box.time_zone,
                public_url=self.public_url,
                now=at,
                in_place_of=ready.in_place_of,
            )
        if one.purpose == PASSWORD_RESET:
            reset = reset_facts_from(one.payload)
            token = token_of(self.keyring, reset.reset_id, reset.expires_at)
            return render_reset(
                reset,
                language=box.language,
                time_zone=box.time_zone,
                link=f"{self.public_url}/sign-in/reset/{token}",
            )
        if one.purpose in SOURCE_MAIL_KINDS.values():
            return render_source(
                one.purpose,
                source_facts_from(one.payload),
                language=box.language,
                time_zone=box.time_zone,
                public_url=self.public_url,
                now=at,
                in_place_of=ready.in_place_of,
            )
        if one.purpose in THEME_MAIL_KINDS.values():
            return render_theme(
                one.purpose,
                theme_facts_from(one.payload),
                language=box.language,
                time_zone=box.time_zone,
                public_url=self.public_url,
                in_place_of=ready.in_place_of,
            )
        if one.purpose in ENDPOINT_MAIL_KINDS.values():
            return render_endpoint(
                one.purpose,
                endpoint_facts_from(one.payload),
                language=box.language,
                time_zone=box.time_zone,
                public_url=self.public_url,
                now=at,
                in_place_of=ready.in_place_of,
            )
        return render_mail(
            one.purpose,
            facts_from(one.payload),
            person=None if ready.is_erased else person_of(ready) or {},
            refused=ready.refused,
            language=box.language,
            time_zone=box.time_zone,
            public_url=self.public_url,
            now=at,
            in_place_of=ready.in_place_of,
        )
