"""What becomes of a delivery over hours: who is ill, who is well again, who forgets."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from click.testing import CliRunner

from flows.rollout_world import ByHand, HandClock
from ports.alert_receivers import T0, Hook, hook, notice
from servewell.adapters.embedded.alerting.sinks import NetworkSinks
from servewell.cli.app import app
from servewell.cli.context import Session
from servewell.core.catalog.alert import Alert, AlertState, Delivery, DeliveryState, Reason
from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.known_workload import KnownWorkload
from servewell.core.catalog.signal import Severity
from servewell.core.catalog.workload import Artifact, Workload
from servewell.core.catalog.workload_alerts import AlertRules, Receiver
from servewell.flows.monitoring.alert_delivery import TURN_S, deliver_alerts
from servewell.flows.monitoring.standing import repeat_standing
from servewell.flows.monitoring.undelivered import delivery_signals
from servewell.flows.platform import Platform
from servewell.ports.sinks import Taken

pytestmark = pytest.mark.enable_socket
HOUR_S = 3_600.0


class House:
    """A home with one receiver, a clock that is set by hand, and what waits in its outbox."""

    def __init__(self, platform: Platform, server: Hook, folder: Path) -> None:
        (folder / "key").write_text("correct horse")
        self.clock = HandClock(at=T0)
        self.by_hand = ByHand(platform, self.clock)
        self.platform = cast("Platform", self.by_hand)
        self.server = server
        self.folder = folder
        self.name()

    def name(self, **receivers: Receiver) -> None:
        """Let the workload name these receivers, or the one at the server."""
        found = self.platform.workloads.list()
        self.platform.workloads.save(
            KnownWorkload(
                name="flights",
                folder=str(self.folder),
                digest="",
                workload=Workload(
                    workload="flights",
                    artifact=Artifact(path="model.onnx"),
                    alerts=AlertRules(receivers=receivers or {"oncall": self.receiver()}),
                ),
                at=0.0,
                principal="anna",
                scheduled_from=0.0,
                revision=found[0].revision if found else 0,
            )
        )

    def receiver(self, **more: object) -> Receiver:
        """Return the receiver at the server."""
        made = {"to": "webhook", "url": self.server.url, "unencrypted": True, "secret": "file:key"}
        return Receiver(**{**made, **more})  # type: ignore[arg-type]  # as the workload file has it

    def alert(self, number: int = 1, **changed: Any) -> Alert:  # noqa: ANN401 - fields of an alert
        """Keep an alert that was told, and return it."""
        known = {one.id: one for one in self.platform.alerts.list()}
        told: dict[str, Any] = {"tell": None, "told_at": T0, "told_severity": Severity.PAGE}
        made = replace(notice().alerts[0], id=number, **{**told, **changed})
        made = replace(made, revision=known[number].revision if number in known else 0)
        self.platform.alerts.save(made)
        return made

    def sends(self, name: str, *alerts: Alert, **more: object) -> Delivery:
        """Put a delivery into the outbox."""
        told = replace(notice(), alerts=alerts or (self.alert(),))
        made = Delivery(
            id=name,
            workload="flights",
            receiver="oncall",
            notice=told,
            made_at=self.clock.now(),
            due_at=self.clock.now(),
        )
        made = replace(made, **more)  # type: ignore[arg-type]  # fields of a delivery
        self.platform.alerts.save(deliveries=[made])
        return made

    def waits(self, hours: float) -> None:
        """Deliver what is due each minute for some hours."""
        for _ in range(round(hours * 60)):
            self.clock.at += 60
            deliver_alerts(self.platform)

    def ids(self, state: DeliveryState) -> list[str]:
        """Return the deliveries in a state, oldest first."""
        return sorted(one.id for one in self.platform.outbox.list(state))

    @property
    def taken(self) -> list[str]:
        """The ids that the receiver got, one after the other."""
        return [one.headers["x-servewell-delivery"] for one in self.server.taken]


@pytest.fixture
def house(platform: Platform, endpoint: Endpoint, tmp_path: Path) -> Iterator[House]:
    """Give a home with an endpoint and a receiver."""
    assert endpoint.name == "flights"
    with hook() as server:
        yield House(platform, server, tmp_path)


def test_a_page_outlives_an_outage_of_hours(house: House) -> None:
    """Given up after twelve tries it is tried once more each hour, while its alert is open."""
    house.sends("page")
    house.server.status = 503
    house.waits(5)
    assert house.ids(DeliveryState.DEAD) == ["page"]
    assert 12 < len(house.server.taken) < 18
    house.server.status = 200
    house.waits(1.1)
    assert house.ids(DeliveryState.DELIVERED) == ["page"]


def test_who_takes_one_is_told_what_was_given_up(house: House) -> None:
    """At once; but not what has ended meanwhile, nor what is older than a day."""
    dead: dict[str, Any] = {"state": DeliveryState.DEAD, "tries": 12, "due_at": T0 + HOUR_S}
    house.sends("open", **dead)
    over = house.alert(2, state=AlertState.RESOLVED, ended_at=T0 - 1)
    house.sends("ended", over, **dead)
    house.sends("old", **{**dead, "made_at": T0 - 25 * HOUR_S})
    house.sends("elsewhere", receiver="other", **dead)
    house.sends("new")
    deliver_alerts(house.platform)
    deliver_alerts(house.platform)
    assert house.taken == ["new", "open"]
    assert house.ids(DeliveryState.DEAD) == ["elsewhere", "ended", "old"]


def test_an_undelivered_page_is_told_as_one(house: House) -> None:
    """To the other receivers; one that was taken out of the file is nobody's fault."""
    dead = {"state": DeliveryState.DEAD, "answer": "500"}
    house.sends("dead", **dead)
    (found,) = delivery_signals(house.platform, now=T0)
    assert (found.severity, found.value) == (Severity.PAGE, 1.0)
    refused = "taken for anna; refused: ben (550 gone)"
    house.sends("some", state=DeliveryState.PARTLY, answer=refused)
    (_, partly) = delivery_signals(house.platform, now=T0)
    assert (partly.severity, "550 gone" in partly.because) == (Severity.TICKET, True)
    house.sends("gone", receiver="other", **dead)
    assert len(delivery_signals(house.platform, now=T0)) == 2
    assert delivery_signals(house.platform, now=T0 + 25 * HOUR_S) == ()


def test_a_dead_letter_is_forgotten_in_the_end(house: House) -> None:
    """After ninety days, when the next one is sent."""
    house.sends("old", state=DeliveryState.DEAD, made_at=T0 - 91 * 24 * HOUR_S)
    house.sends("young", state=DeliveryState.DEAD, made_at=T0 - 89 * 24 * HOUR_S)
    house.sends("new")
    deliver_alerts(house.platform)
    assert house.ids(DeliveryState.DEAD) == ["young"]


def test_a_delivery_that_nobody_can_send_ends_nothing(house: House) -> None:
    """A fault of ours in sending it is a failed try, without the words that may hold a secret."""

    class Faulty(NetworkSinks):
        def send(self, *_: object, **__: object) -> Taken:
            raise LookupError("correct horse")

    house.by_hand.platform = cast("Platform", _With(house.by_hand.platform, Faulty()))
    house.sends("poison")
    deliver_alerts(house.platform)
    (left,) = house.platform.outbox.list(DeliveryState.WAITING)
    assert (left.tries, left.answer) == (1, "it could not be sent: LookupError")


class _With:
    """`Platform`, but for the sinks."""

    def __init__(self, platform: Platform, sinks: object) -> None:
        self._platform = platform
        self.sinks = sinks

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever port it is
        return getattr(self._platform, name)


def test_a_receiver_that_is_slow_lets_the_others_have_their_turn(house: House) -> None:
    """After its time it waits for the next round, with what is left."""

    class Slow(NetworkSinks):
        def send(self, *_: object, **__: object) -> Taken:
            house.clock.at += 0.6 * TURN_S
            return Taken(answer="200", wholly=False)

    house.by_hand.platform = cast("Platform", _With(house.by_hand.platform, Slow()))
    for name in ("a", "b", "c"):
        house.sends(name)
    deliver_alerts(house.platform)
    assert house.ids(DeliveryState.WAITING) == ["c"]
    assert house.ids(DeliveryState.PARTLY) == ["a", "b"]


def test_alertmanager_is_told_again_of_what_stands(house: House) -> None:
    """As it was told, for five minutes each time; nothing that waits, ended, or is new."""
    house.name(oncall=house.receiver(to="alertmanager"))
    repeat_standing(house.platform)
    assert house.server.taken == []
    house.alert(1, severity=Severity.TICKET, heard=Severity.PAGE)
    house.alert(2, tell=Reason.FIRED, told_at=None)
    house.alert(3, state=AlertState.PENDING)
    house.alert(4, state=AlertState.RESOLVED, ended_at=T0)
    repeat_standing(house.platform)
    (taken,) = house.server.taken
    (posted,) = taken.value
    assert posted["labels"]["severity"] == "page"
    house.server.status = 500
    repeat_standing(house.platform)
    assert house.ids(DeliveryState.WAITING) == []
    house.name()
    repeat_standing(house.platform)
    assert len(house.server.taken) == 2


def test_a_silence_has_an_end_that_somebody_lives_to_see(platform: Platform) -> None:
    """A month at most: what is to be quiet for longer is a rule of the workload."""
    words = ["alerts", "silence", "--because", "known", "--for"]
    for span, code in (("31d", 2), ("999999d", 2), ("30d", 0)):
        session = Session(open_platform=lambda _: platform)
        assert CliRunner().invoke(app, [*words, span], obj=session).exit_code == code
