"""Walks from the cable to the first accepted reading, and stops at the first broken link.

Pure over two sides (doctor_sides.py): what they answer makes the findings. Findings come one by
one, so that whoever shows them need not wait for the last. It writes to nobody, and leaves it to
whoever opened the board to let it run again.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from gateway.board import doctor_board, doctor_gateway
from gateway.board.answer import Answer
from gateway.board.doctor_report import (
    NOT_BLOCKING,
    Finding,
    Link,
    State,
    failed,
    passed,
    skipped,
)
from gateway.board.doctor_sides import (
    UNKNOWN,
    BoardSide,
    DeviceLook,
    GatewaySide,
    NetworkLook,
    Unreached,
    Wait,
)
from gateway.shell.errors import Code, OperatorFault

_OF_THE_GATEWAY = (Link.REGISTRY, Link.READING)
# Faults of the board side that tell of its program, not of the way to it.
_OF_THE_PROGRAM = {
    Code.BOARD_BLANK,
    Code.BOARD_CRASHING,
    Code.BOARD_RAISED,
    Code.BOARD_WITHOUT_CAIRN,
    Code.REPL_REFUSED,
}
Find = Callable[[str | None], GatewaySide | None]


class Patient(NamedTuple):
    """station: its name, None if the board tells it. board: None without a cable. gateway: None
    if nobody named one: then `find` makes one from the address that the board was given, None if
    it was given none. wait: asks a gateway for a device until something holds. now_ms: this
    computer's time.
    """

    station: str | None
    board: BoardSide | None
    gateway: GatewaySide | None
    find: Find
    wait: Callable[[GatewaySide, str], Wait]
    now_ms: Callable[[], int]


@dataclass(slots=True)
class Visit:
    """One walk. After it `station` and `gateway` are known as far as anybody told them."""

    patient: Patient
    findings: list[Finding] = field(default_factory=list)
    station: str | None = None
    gateway: GatewaySide | None = None
    _whoami: Answer | None = None
    _network: NetworkLook | Unreached | None = None
    _look: DeviceLook | Unreached | None = None
    _program: OperatorFault | None = None
    _running: bool = False

    def walk(self) -> Iterator[Finding]:
        """Every link once, in order."""
        self.station, self.gateway = self.patient.station, self.patient.gateway
        blocker: Link | None = None
        for link in Link:
            if blocker is not None:
                finding = skipped(link, "not looked at", f"first mend: {blocker.value}")
            elif self.patient.board is None and link not in _OF_THE_GATEWAY:
                finding = skipped(link, "not looked at", "there is no cable to the board")
            else:
                finding = self._look_at(link)
            self.findings.append(finding)
            if finding.state is State.FAILED and finding.link not in NOT_BLOCKING:
                blocker = finding.link
            yield finding

    def _look_at(self, link: Link) -> Finding:
        try:
            return _LOOKS[link](self)
        except OperatorFault as fault:
            return failed(link, str(fault.code), fault.what, fault.why, fault.do)

    # ---- the board

    @property
    def _board(self) -> BoardSide:
        assert self.patient.board is not None
        return self.patient.board

    def serial(self) -> Finding:
        try:
            self._board.enter()
        except OperatorFault as fault:
            if fault.code not in _OF_THE_PROGRAM:
                raise
            # The cable is good: something came through it.
            self._program = fault
        return passed(Link.SERIAL, "the board answers")

    def firmware(self) -> Finding:
        if self._program is not None:
            raise self._program
        answer = self._whoami = self._board.whoami()
        name = answer.facts.get("device")
        told = name if isinstance(name, str) else None
        if self.station and told and self.station != told:
            return failed(
                Link.FIRMWARE,
                "board_other_station",
                f"The board on this cable is {told}, not {self.station}.",
                "One of the two names was mistaken for the other.",
                "Plug the other board in, or leave `--station` out.",
                device=told,
            )
        self.station = told or self.station
        config = answer.facts.get("config")
        time = config.get("time") if isinstance(config, dict) else None
        if self.gateway is None:
            self.gateway = self.patient.find(time_url(time))
        if self.gateway is not None:
            self._network = self.gateway.network()
        known = self._network if isinstance(self._network, NetworkLook) else None
        return doctor_board.firmware(answer, known)

    def sensors(self) -> Finding:
        return doctor_board.sensors(self._board.check("sensors"))

    def wifi(self) -> Finding:
        return doctor_board.wifi(self._board.check("wifi"))

    def dns(self) -> Finding:
        return doctor_board.dns(self._board.check("dns"))

    def broker(self) -> Finding:
        answer = self._board.check("broker")
        answer = replace(answer, facts={**self._broker(), **answer.facts})
        host, port = answer.facts.get("host"), answer.facts.get("port")
        reaches = None
        if not answer.ok and self.gateway is not None and isinstance(port, int):
            reaches = self.gateway.reaches(str(host), port)
        return doctor_board.broker(answer, computer_reaches=reaches)

    def _broker(self) -> dict[str, Any]:
        """Where the configuration says that it is: a fault need not repeat that."""
        config = None if self._whoami is None else self._whoami.facts.get("config")
        found = config.get("broker") if isinstance(config, dict) else None
        return dict(found) if isinstance(found, dict) else {}

    def tls(self) -> Finding:
        return doctor_board.tls(self._board.check("tls"))

    def clock(self) -> Finding:
        return doctor_board.clock(self._board.check("clock"), self.patient.now_ms())

    def signature(self) -> Finding:
        assert self._whoami is not None
        return doctor_board.signature(self._board.check("signature"), self._whoami)

    # ---- the gateway

    def registry(self) -> Finding:
        cable = self.patient.board is not None
        if self.gateway is None or self.station is None:
            return failed(
                Link.REGISTRY,
                "gateway_unnamed",
                "Nobody said which gateway to ask, or for which station.",
                "No gateway runs on the data directory here, and the board names none.",
                "Name them with `--gateway URL` and `--station NAME`.",
            )
        if not isinstance(self._network, NetworkLook):
            self._network = self.gateway.network()
        look = self.gateway.device(self.station)
        if isinstance(self._network, Unreached) or isinstance(look, Unreached):
            lost = self._network if isinstance(self._network, Unreached) else look
            assert isinstance(lost, Unreached)
            return doctor_gateway.unreached(Link.REGISTRY, lost, board_came_through=cable)
        if look.state == UNKNOWN and not doctor_gateway.refusals(look) and cable:
            look = self._wait(_heard)
            if isinstance(look, Unreached):
                return doctor_gateway.unreached(Link.REGISTRY, look, board_came_through=True)
        self._look = look
        policy = self._network.admission_policy
        said = self._said()
        return doctor_gateway.registry(
            self.station, look, said, policy=policy, cable=cable, owned=self._owned()
        )

    def reading(self) -> Finding:
        assert isinstance(self._look, DeviceLook)
        assert self.station is not None
        assert self.gateway is not None
        network = self._network if isinstance(self._network, NetworkLook) else None
        look: DeviceLook | Unreached = self._look
        if not doctor_gateway.is_fresh(self._look, network) and self.patient.board is not None:
            before = self._look.reading
            look = self._wait(lambda one: one.reading != before)
            network = _known(self.gateway.network())
        if isinstance(look, Unreached):
            return doctor_gateway.unreached(Link.READING, look, board_came_through=True)
        flag = self.gateway.flag(self.station)
        return doctor_gateway.reading(self.station, look, network, flag, self._said())

    def _wait(self, enough: Callable[[DeviceLook], bool]) -> DeviceLook | Unreached:
        """Until the gateway has heard of it; the station has to run for that."""
        assert self.gateway is not None
        assert self.station is not None
        if not self._running:
            self._board.restart()
            self._running = True
        return self.patient.wait(self.gateway, self.station)(enough)

    def _owned(self) -> bool:
        config = None if self._whoami is None else self._whoami.facts.get("config")
        return not isinstance(config, dict) or config.get("owner") is not None

    def _said(self) -> list[tuple[str, str]]:
        return list(self._board.said()) if self._running else []


def _heard(look: DeviceLook) -> bool:
    return look.state != UNKNOWN or bool(doctor_gateway.refusals(look))


def _known(network: NetworkLook | Unreached) -> NetworkLook | None:
    return network if isinstance(network, NetworkLook) else None


def time_url(time: object) -> str | None:
    """A board fetches the time where the gateway's API is."""
    if not isinstance(time, dict) or not time.get("host"):
        return None
    host = str(time["host"])
    return f"http://{f'[{host}]' if ':' in host else host}:{time.get('port')}"


_LOOKS: dict[Link, Callable[[Visit], Finding]] = {
    Link.SERIAL: Visit.serial,
    Link.FIRMWARE: Visit.firmware,
    Link.SENSORS: Visit.sensors,
    Link.WIFI: Visit.wifi,
    Link.DNS: Visit.dns,
    Link.BROKER: Visit.broker,
    Link.TLS: Visit.tls,
    Link.CLOCK: Visit.clock,
    Link.SIGNATURE: Visit.signature,
    Link.REGISTRY: Visit.registry,
    Link.READING: Visit.reading,
}
