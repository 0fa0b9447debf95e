"""Mail that is kept here and goes nowhere: for trying the product out, and for the demo.

It takes the same way as real mail up to the last step. The message is sealed, because it holds
the customer's words.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.notify import store
from services.notify.channels.message import Mail
from services.notify.domain.deliveries import Outcome, Verdict
from shared.clock import Clock
from shared.db.group import GroupCommit
from shared.db.transaction import Database, Reading, Transaction
from shared.identity.person_keys import PersonKeys
from shared.ids import new_id
from shared.sealing import CannotOpen, Keyring, seal, unseal

_PURPOSE = "captured-mails"
_ACCEPTED = Outcome(verdict=Verdict.ACCEPTED, reason="accepted", reply="captured")


class CaptureChannel:
    """Keeps mails in the database; several at once share a commit."""

    def __init__(self, database: Database, *, keyring: Keyring, clock: Clock) -> None:
        self._keyring = keyring
        self._clock = clock
        self._group: GroupCommit[Mail, Outcome] = GroupCommit(database, self._keep)

    async def send(self, mail: Mail) -> Outcome:
        """Keep the mail; a second copy of the same delivery leaves no trace."""
        return await self._group.submit(mail)

    async def _keep(self, tx: Transaction, mails: Sequence[Mail]) -> Sequence[Outcome]:
        now = self._clock.now()
        await store.capture(
            tx,
            [
                (
                    store.CapturedMail(
                        id=new_id("cap"),
                        delivery_id=mail.delivery_id,
                        recipient="" if mail.is_to_customer else mail.recipient,
                        subject=mail.subject,
                        at=now,
                        person_ref=mail.person_ref if mail.person_key else None,
                    ),
                    self._sealed(mail),
                )
                for mail in mails
            ],
        )
        return [_ACCEPTED] * len(mails)

    def _sealed(self, mail: Mail) -> bytes:
        if mail.person_key is not None:
            return seal(mail.person_key, mail.raw, context=mail.delivery_id)
        return self._keyring.seal(_PURPOSE, mail.raw, context=mail.delivery_id)


async def opened(
    view: Reading, mail_id: str, *, keyring: Keyring, person_keys: PersonKeys
) -> tuple[store.CapturedMail, bytes | None] | None:
    """Return a captured mail and its message; the message is None once its person is erased."""
    found = await store.captured_mail(view, mail_id)
    if found is None:
        return None
    mail, sealed = found
    if not sealed:  # scrubbed
        return mail, None
    if mail.person_ref is None:
        return mail, keyring.open(_PURPOSE, sealed, context=mail.delivery_id)
    key = (await person_keys.for_reading(view, [mail.person_ref])).get(mail.person_ref)
    if key is None:
        return mail, None
    try:
        return mail, unseal(key, sealed, context=mail.delivery_id)
    except CannotOpen:
        return mail, None
