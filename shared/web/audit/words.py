"""What each deed is called in the words of those who read the trail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from shared.i18n import marked

ACTIONS: Final[Mapping[str, str]] = {
    "absence.ended": marked("An absence was ended"),
    "absence.noted": marked("An absence was noted"),
    "audit.exported": marked("The audit trail was exported"),
    "calendar.published": marked("A calendar was published"),
    "dead-letter.discarded": marked("A dead letter was discarded"),
    "dead-letter.opened": marked("A dead letter was opened"),
    "dead-letter.replayed": marked("A dead letter was replayed"),
    "delivery.opened": marked("A delivery was opened"),
    "delivery.resent": marked("A delivery was sent again"),
    "department.changed": marked("A department was changed"),
    "department.created": marked("A department was created"),
    "key.created": marked("A key was created"),
    "key.revoked": marked("A key was revoked"),
    "key.rotated": marked("A key was replaced"),
    "list.exported": marked("A list was exported"),
    "mail.opened": marked("A captured mail was opened"),
    "mail.paused": marked("Sending mail was paused"),
    "mail.resumed": marked("Sending mail was resumed"),
    "mail.suppressed": marked("An address was found to be dead"),
    "mail.unsuppressed": marked("An address is written to again"),
    "organisation.changed": marked("The organisation was changed"),
    "payload.opened": marked("A payload was opened"),
    "payload.received": marked("A payload was taken in again"),
    "person.viewed": marked("A customer was looked at"),
    "product.changed": marked("A product was changed"),
    "product.described": marked("A product was described"),
    "product.retired": marked("A product was retired"),
    "reason.changed": marked("A contact reason was changed"),
    "reason.described": marked("A contact reason was described"),
    "reason.retired": marked("A contact reason was retired"),
    "rules.draft-dropped": marked("A draft of the rules was dropped"),
    "rules.published": marked("Rules were published"),
    "scheme.published": marked("A scheme was published"),
    "segment.changed": marked("A segment was changed"),
    "segment.described": marked("A segment was described"),
    "segment.retired": marked("A segment was retired"),
    "session.ended": marked("Somebody signed out"),
    "session.refused": marked("A sign-in failed"),
    "session.started": marked("Somebody signed in"),
    "source.changed": marked("A source was changed"),
    "source.secret_added": marked("A secret of a source was added"),
    "source.secret_deleted": marked("A secret of a source was deleted"),
    "staff.changed": marked("An account was changed"),
    "staff.created": marked("An account was created"),
    "staff.disabled": marked("An account was disabled"),
    "staff.handed-over": marked("Somebody's work was handed over"),
    "staff.password-set": marked("A password was set"),
    "tasks.bulk_taken_back": marked("Changes to several tasks were taken back"),
    "tasks.changed_in_bulk": marked("Several tasks were changed at once"),
    "taxonomy.changed": marked("The taxonomy was changed"),
    "team.changed": marked("A team was changed"),
    "team.created": marked("A team was created"),
    "team.joined": marked("Somebody joined a team"),
    "touchpoint.changed": marked("A touchpoint was changed"),
    "touchpoint.described": marked("A touchpoint was described"),
    "touchpoint.owner-ended": marked("An ownership was ended"),
    "touchpoint.owner-planned": marked("An owner was planned"),
    "webhook.changed": marked("A webhook was changed"),
    "webhook.created": marked("A webhook was created"),
    "webhook.deleted": marked("A webhook was deleted"),
    "webhook.disabled": marked("A webhook was switched off"),
    "webhook.recovered": marked("What a webhook missed was sent again"),
    "webhook.rotated": marked("A webhook got a new secret"),
    "webhook.skipped": marked("What a webhook missed was given up"),
    "workload.limited": marked("A limit of work was set"),
}
"""Every name that is ever recorded; a test holds this to the code."""

KINDS: Final[Mapping[str, str]] = {
    "staff": marked("Person"),
    "key": marked("Key"),
    "system": marked("The installation"),
}
"""Who can stand in the trail."""
