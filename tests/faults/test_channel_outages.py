"""A mail server or a receiver that hangs or resets stops neither ingest nor the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.faults.checker import unfinished, violations
from tests.faults.evidence import Evidence, gather
from tests.faults.steady import OneProcess, Steady, ready
from tests.infra.processes import wait_until
from tests.infra.proxy import Bandwidth, FaultProxy, Hang, Reset, Toxic
from tests.infra.receiver import Receiver
from tests.infra.smtp import MailServer

A_FEW = 30


@dataclass(frozen=True)
class House:
    """An installation whose two channels lead through a bad network each."""

    installation: OneProcess
    mail: MailServer
    receiver: Receiver
    to_mail: FaultProxy
    to_receiver: FaultProxy

    @property
    def mailed(self) -> int:
        """How many mails have come."""
        return len(self.mail.mails)

    @property
    def called(self) -> int:
        """How many calls have come."""
        return len(self.receiver.requests())


@pytest.fixture
def house(mail_server: MailServer, receiver: Receiver) -> Iterator[House]:
    with (
        FaultProxy(mail_server.port) as to_mail,
        FaultProxy(receiver.port) as to_receiver,
        OneProcess(
            smtp_url=f"smtp://{to_mail.address}", mail_from="Closed Loop <loop@example.org>"
        ) as installation,
    ):
        with installation.client() as client:
            url = f"http://{to_receiver.address}/hook"
            reply = client.post("/v1/webhooks", json={"url": url, "events": ["task.opened"]})
            assert reply.status_code == 201, reply.text
            receiver.use_secret(reply.json()["secret"])
        yield House(installation, mail_server, receiver, to_mail, to_receiver)


def test_one_channel_in_trouble_stops_neither_ingest_nor_the_other(
    house: House, unique: str
) -> None:
    steady = Steady(
        # Each answer is another customer's, and a task with a mail and a call of its own.
        house.installation,
        prefix=unique,
        rate=20,
        customers=10_000,
    )
    steady.start()
    steady.more(A_FEW)
    wait_until(lambda: house.mailed > 0 and house.called > 0, what="both channels to work")

    def others_go_on(broken: FaultProxy, toxic: Toxic) -> None:
        broken.use(toxic)
        mailed, called = house.mailed, house.called
        answers = steady.more(A_FEW)
        assert {one.status for one in answers} == {202}, toxic
        assert max(one.seconds for one in answers) < 4, toxic
        assert ready(house.installation)[0] == 200
        if broken is house.to_mail:
            wait_until(lambda: house.called > called + 5, what="webhooks meanwhile")
        else:
            wait_until(lambda: house.mailed > mailed + 5, what="mails meanwhile")
        broken.heal()

    others_go_on(house.to_mail, Hang())
    others_go_on(house.to_mail, Bandwidth(2_000))
    others_go_on(house.to_receiver, Hang())
    others_go_on(house.to_receiver, Bandwidth(2_000))
    others_go_on(house.to_receiver, Reset())
    steady.stop()

    # What failed twice is tried again in five minutes: nobody waits for that here.
    wait_until(
        lambda: _under_way(gather(house.installation, with_log=False)) == [],
        what="everything but later tries to be done",
        seconds=120,
        every=0.5,
    )
    evidence = gather(house.installation, receiver=house.receiver, mail=house.mail)
    wrong = {
        name: list(some)[:5]
        for name, some in violations(steady.history, evidence).items()
        if not name.startswith("I5")
    }
    assert wrong == {}
    assert {one.state for one in evidence.deliveries} <= {"delivered", "due"}


def _under_way(evidence: Evidence) -> list[str]:
    later = {
        f"unsent {one.id}"
        for one in evidence.deliveries
        if one.channel == "webhook" and one.state == "due" and one.attempts > 0
    }
    return [one for one in unfinished(evidence) if one not in later]
