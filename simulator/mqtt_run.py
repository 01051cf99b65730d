"""A run over real MQTT: the same boards, with the firmware's MqttLink, to a gateway elsewhere.

Protocol time is driven (spec/protocol.md section 7). Slot k begins with the operator's tick, which
every connected board sees; then the world runs to the last millisecond of the slot, and stands
there until every message that reached a connection has its receipt. So virtual time never runs
ahead of the gateway, and what the scenario does on purpose (cut off, lose, damage) is waited for
by nobody.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial

from cairn.boards import base
from cairn.config import Config
from cairn.login import Login
from cairn.mqttlink import MqttLink

from simulator.board import device_name
from simulator.counterpart import (
    Counterpart,
    FleetHalted,
    Hooks,
    Target,
    anchor_planned,
    tally,
)
from simulator.ledger import Failure, Stored
from simulator.mqtt_link import CarriedLink, LinkBoard, Way
from simulator.operator_login import OperatorLogin
from simulator.run import (
    MINUTE_MS,
    Course,
    Progress,
    Run,
    StationPlan,
    station_config,
)
from simulator.seeds import stream
from simulator.tally import Tally, Transport
from simulator.watch import SLOT_MS, Header, Watch
from simulator.weather import DAY_MS
from simulator.wire import TooFewFiles, Wire, allow_sockets

KEEPALIVE_S = 1_200
PUMP_S = 0.25
# Nothing came for so long: look who is missing, and say the tick again to a gateway that may have
# been started anew since.
LOOK_S = 0.3
AGAIN_S = 1.0
# Everybody is there and nothing comes: a message died with a broker. Its board sends it again.
STALL_S = 3.0
# Somebody is missing: time stands still for them, but not for ever.
AWAY_S = 60.0
LOGIN_S = 15.0
# Ticks are left out while nothing happens on any board, but not for longer than this.
SLOTS_AT_ONCE_MAX = 60


class MqttRun(Run):
    """Stations in this process, network and gateway elsewhere."""

    def __init__(
        self,
        course: Course,
        plans: list[StationPlan],
        home: tuple[Target, Counterpart],
        hooks: Hooks,
        progress: Progress | None = None,
    ) -> None:
        """home: the broker, and the network whose gateway takes what goes there."""
        super().__init__(course, plans, progress)
        self.record = hooks.record
        self.target, self._counterpart = target, counterpart = home
        self._hooks = hooks
        self._wire = Wire(self.world)
        self._watch = Watch()
        self._ways: dict[int, Way] = {}
        self._slot = course.begin_ms // SLOT_MS
        self._login = OperatorLogin(self._wire, target, counterpart)
        self._control = self._login.control
        self._published_before = 0
        self._connections = self._boots = 0
        self._damaged = 0
        self._crashes = self._crashes_left_out = 0
        self._slots = self._stalled = self._pauses = 0
        self._began_s = time.monotonic()

    def tally(self) -> Tally:
        transport = Transport(
            broker=self.target.url,
            slots=self._slots,
            stalled_slots=self._stalled,
            reconnects=self._reconnects(),
            pauses=self._pauses,
            crashes_left_out=self._crashes_left_out,
            wall_s=round(time.monotonic() - self._began_s, 3),
        )
        return tally(
            self._counterpart,
            transport,
            corruptions=self._damaged,
            gateway_crashes=self._crashes,
        )

    def close(self) -> None:
        self._control.stop()
        for way in self._ways.values():
            way.board.cut()
        self._wire.close()
        self._counterpart.close()

    # ---- links

    def _config(self, index: int) -> Config:
        address = self.target.address
        device = device_name(self._devices[index])
        return station_config(
            self.plans[index],
            self._counterpart.genesis,
            None,
            broker_host=address.host,
            broker_port=address.port,
            broker_ca=address.authority,
            broker_password=self._login.password_of(device),
            keepalive_s=KEEPALIVE_S,
        )

    def _make_link(self, index: int) -> base.Link:
        board, config = self._boards[index], self._configs[index]
        if index in self._ways:
            self._count(self._ways[index])
        self._boots += 1
        random = stream(self.course.seed, "link entropy", index, board.boots)
        link_board = LinkBoard(self._wire, board, random, partial(self._reachable, index))
        login = Login(board.fs, board.sign_login, board.public_key(), config.network_id)
        inner = MqttLink(link_board, config, login)
        link = CarriedLink(self.world, self.network, index, inner, self)
        self._ways[index] = Way(link_board, inner, link)
        for task in (inner.run(), link.forward(), link.send_late()):
            self.world.spawn(task, board.group)
        return link

    async def _connect(self, index: int, host: str, port: int) -> base.Stream:
        raise OSError(f"board {index} knows no host {host}:{port} but its broker")

    def _restarted(self, index: int, reason: str) -> None:
        self._cut_off(index)
        super()._restarted(index, reason)

    def _cut_off(self, index: int) -> None:
        if index in self._ways:
            self._ways[index].board.cut()
        self._watch.forget(index)

    def _count(self, way: Way) -> None:
        self._published_before += way.link.published
        self._connections += way.board.connections

    def _published(self) -> int:
        return self._published_before + sum(way.link.published for way in self._ways.values())

    def _reconnects(self) -> int:
        now = sum(way.board.connections for way in self._ways.values())
        return max(self._connections + now - self._boots, 0)

    def _reachable(self, index: int) -> bool:
        return self.network.reachable(index, self.world.now_ms)

    # ---- what links tell (mqtt_link.Traffic)

    def offered(self, station: int, header: Header, message: bytes) -> None:
        if self.record is not None:
            device, now_ms = self._devices[station], self.world.now_ms
            self.record.offered(device, header.seq, message, now_ms)

    def handed(self, station: int, header: Header | None) -> None:
        if header is None:
            self._damaged += 1
        else:
            self._watch.handed(station, header)

    def withdrawn(self, station: int, header: Header | None) -> None:
        if header is None:
            self._damaged -= 1
        else:
            self._watch.withdrawn(station, header)

    def receipted(self, station: int, data: bytes) -> None:
        self.ledger.receipted(self._devices[station], data)
        self._watch.receipted(station, data)

    def ticked(self, station: int, data: bytes) -> int:
        return self._watch.tick(station, data)

    def linked(self, station: int, data: bytes) -> int:
        return self._watch.link(station, data)

    # ---- faults

    def _plan_crashes(self) -> None:
        for minute in self.course.faults.gateway_crash_minutes:
            self.world.call_at(self.course.start_ms + minute * MINUTE_MS, self._crash)
        for cut in self.network.partitions:
            for station in cut.stations:
                self.world.call_at(cut.first_ms, partial(self._cut_off, station))
                self.world.call_at(cut.last_ms, partial(self._hurry, station))

    def _crash(self) -> None:
        if self._hooks.crash is None:
            self._crashes_left_out += 1
        else:
            self._crashes += 1
            self._hooks.crash()

    def _hurry(self, station: int) -> None:
        if station in self._ways:
            self._ways[station].board.hurry()

    def _heal(self) -> None:
        super()._heal()
        for station in self._ways:
            self._hurry(station)

    # ---- the course of a run

    def _begin(self) -> None:
        try:
            allow_sockets(len(self.plans) + 1)
        except (TooFewFiles, OSError, ValueError) as error:
            raise FleetHalted(
                f"{len(self.plans)} stations cannot connect at once.",
                f"{error}.",
                "Raise the limit (`ulimit -n`), or run fewer stations.",
            ) from error
        self._login.log_in(LOGIN_S)
        self._begin_slot(self._slot)
        anchor_planned(self._counterpart, self._hooks, self.plans, self._devices)

    def _run_to(self, until_ms: int) -> None:
        while self.world.now_ms < until_ms - 1:
            self.world.run(max(self._slot * SLOT_MS, self.world.now_ms))
            slot = self._next_slot(until_ms)
            # The last millisecond: what happens at the begin of a slot comes after its tick.
            self.world.run(slot * SLOT_MS - 1)
            if not self._await(lambda: self._watch.quiet() and not self._missing()):
                self._stalled += 1
                self._watch.give_up()
            self._begin_slot(slot)
            done_ms = max(self.world.now_ms + 1 - self.course.start_ms, 0)
            self._progress(done_ms, self.ledger.signed_count)

    def _next_slot(self, until_ms: int) -> int:
        """The slot of the next event, when the present one has begun; not beyond the end."""
        if not all(self._ways[i].link.clocked for i in self._online()):
            return self._slot + 1  # whoever does not know the time does not know what is next
        if self.air is not None and self.world.now_ms < self.course.end_ms - 1:
            return self._slot + 1  # a slot whose entropy was not told is void
        next_ms = self.world.next_ms()
        last = min(-(-until_ms // SLOT_MS), self._slot + SLOTS_AT_ONCE_MAX)
        wanted = last if next_ms is None else min(next_ms // SLOT_MS, last)
        return max(wanted, self._slot + 1)

    def _begin_slot(self, slot: int) -> None:
        self._slot = slot
        self._slots += 1
        watch, control = self._watch, self._control
        entropy = self.air is not None and slot * SLOT_MS < self.course.end_ms
        watch.expect_tick(slot, self._online(), entropy=entropy)
        control.tick(slot)
        if not self._await(lambda: control.acknowledged >= slot and self._begun()):
            # Closing a day takes a while, and nobody is left then who could miss anything.
            self._stalled += bool(self._online())
            watch.give_up()

    def _begun(self) -> bool:
        return self._watch.ticked() and self._watch.linked()

    def _online(self) -> list[int]:
        return [i for i in self._ways if self._boards[i].group.alive and self._reachable(i)]

    def _missing(self) -> list[int]:
        """Stations that are on and reachable, and not connected."""
        ways = self._ways
        return [i for i in self._online() if ways[i].inner.state() != "up"]

    def _await(self, done: Callable[[], bool]) -> bool:
        """Pump until done; False if nothing comes although everybody is there."""
        watch, control = self._watch, self._control
        seen = (watch.progress, control.connections, -1)
        last_s = here_s = said_s = time.monotonic()
        paused = False
        while not done():
            self._wire.pump(PUMP_S)
            now_s = time.monotonic()
            if watch.progress != seen[0]:
                seen = (watch.progress, seen[1], seen[2])
                last_s = here_s = said_s = now_s
            if now_s - last_s < LOOK_S:
                continue
            missing = self._missing()
            if len(missing) != seen[2]:
                last_s = now_s if len(missing) < seen[2] else last_s
                seen = (seen[0], seen[1], len(missing))
            if control.connections != seen[1]:
                seen = (seen[0], control.connections, seen[2])
                for station in missing:
                    self._hurry(station)
            if missing or not control.up or not self._counterpart.is_up():
                self._pauses += not paused
                paused, here_s = True, now_s
                if now_s - last_s > AWAY_S:
                    raise self._halted(missing)
            elif now_s - max(last_s, here_s) > STALL_S:
                return False
            if now_s - said_s > AGAIN_S:
                control.tick(self._slot)
                said_s = now_s
        return True

    def _halted(self, missing: list[int]) -> FleetHalted:
        if not self._control.up:
            why = f"The operator's connection is gone: {self._control.failure or 'no answer'}."
        elif not self._counterpart.is_up():
            why = "No gateway runs on this network's data directory."
        else:
            names = ", ".join(self.plans[i].name for i in missing[:3])
            why = f"{len(missing)} stations cannot log in, among them {names}."
        return FleetHalted(
            f"The fleet has waited {AWAY_S:.0f} s for {self.target.url}, and stops.",
            why,
            "Look into the gateway's and the broker's log; limits on logins are settings "
            "(address_logins_burst).",
        )

    # ---- the end

    def _close_epochs(self) -> None:
        for station in self._ways:
            self._cut_off(station)
        counterpart = self._counterpart
        while (close_ms := counterpart.next_close_ms()) <= self.course.end_ms + DAY_MS // 2:
            self._begin_slot(max(-(-close_ms // SLOT_MS), self._slot))
            deadline_s = time.monotonic() + AWAY_S * 10
            while counterpart.next_close_ms() == close_ms:
                self._wire.pump(PUMP_S)
                if time.monotonic() > deadline_s:
                    raise self._halted([])

    def _stored(self) -> Iterable[Stored]:
        return self._counterpart.stored()

    def _check_refusals(self) -> list[Failure]:
        """Nothing else than damage may be refused. A lost connection makes its message come
        twice or never, so only without one the numbers must agree.
        """
        refusals = self._counterpart.refusals()
        rejected, damaged = refusals.rejected, self._damaged
        lossless = not self._reconnects() and not self.board_restarts
        too_many = rejected > 0 if not damaged else rejected > damaged and not self._reconnects()
        too_few = lossless and rejected < damaged - refusals.deferred
        if not too_many and not too_few:
            return []
        detail = f"{rejected} rejected, {damaged} damaged; verdicts {refusals.named}"
        return [Failure("only damage is refused", detail)]
