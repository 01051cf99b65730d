"""A run on real MicroPython: each station is an interpreter of its own with the board's program,
and sends over its own sockets to a gateway elsewhere.

Protocol time is driven, as in mqtt_run.py: slot k begins with the operator's tick, which every
connected board hears; then boards run to the end of the slot, and stand there until every message
that left has its receipt. Frames are exchanged when all boards have run past the last beacon of
the slot. Boards' back-off runs on virtual time here, so nobody waits for a board that has no
connection. Lost Wi-Fi and power cuts inside a change of the flash are the scenario's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from simulator.board import device_name
from simulator.counterpart import (
    Counterpart,
    FleetHalted,
    Hooks,
    Target,
    anchor_planned,
    tally,
)
from simulator.ledger import Counts, Failure, Ledger
from simulator.medium import AirCounts
from simulator.micropython.host import Runner
from simulator.micropython_air import make_air
from simulator.micropython_boards import (
    Equipment,
    add_board,
    device_of_key,
    look_at,
    provision,
)
from simulator.micropython_faults import Cuts
from simulator.micropython_measured import Samples, judge
from simulator.micropython_news import News
from simulator.micropython_sensors import Sensors
from simulator.network import Network
from simulator.operator_login import OperatorLogin
from simulator.run import DRAIN_MS_MAX, MINUTE_MS, REVEALED_MS, Course, Progress, StationPlan
from simulator.tally import Boards, Tally, Transport
from simulator.watch import SLOT_MS, Watch
from simulator.weather import DAY_MS
from simulator.wire import Wire
from simulator.world import World

KEEPALIVE_S = 1_200
# After the last moment at which a beacon of the slot can end, and before the next slot.
FRAMES_MS = 58_000
PUMP_S = 0.005
# A gateway that was started anew has missed a tick; who does not answer for longer is given up.
AGAIN_S = 2.0
STALL_S = 3.0
AWAY_S = 60.0
STARTED_S = 5.0
LOGIN_S = 15.0
# So many slots after the first boot somebody must be connected.
NOBODY_SLOTS = 4


class MicroPythonRun:
    """Make one, call `execute` once, read the rest, and `close` it, however it ended."""

    def __init__(
        self,
        course: Course,
        plans: list[StationPlan],
        home: tuple[Target, Counterpart],
        hooks: Hooks,
        *,
        equipment: Equipment,
        progress: Progress | None = None,
    ) -> None:
        """home: the broker, and the network whose gateway takes what goes there."""
        self.course, self.plans = course, plans
        self.target, self._counterpart = home
        self.counts = Counts(0, 0, 0, 0)
        self.failures: list[Failure] = []
        self.resends = self.board_restarts = 0
        self._equipment = equipment
        self._hooks = hooks
        self._progress = progress or (lambda _ms, _messages: None)
        self._devices = [bytes(device_of_key(plan.key_seed)) for plan in plans]
        self.ledger = Ledger()
        self._wire = Wire(World(course.begin_ms, course.seed))
        self._watch = Watch()
        self._air = make_air(course, plans)
        self.news = News(self._devices, self.ledger, self._watch, self._air, self._offered)
        self._network = Network(
            course.faults, course.seed, course.start_ms, course.end_ms, len(plans)
        )
        self._cuts = Cuts(course, len(plans), equipment.power_cuts)
        self._login = OperatorLogin(self._wire, self.target, self._counterpart)
        self._sensors, self._samples = Sensors(course, plans), Samples(len(plans))
        self._runner: Runner | None = None
        # Slot of the next boot, by board that is off.
        self._boots_at = {index: plan.power_on_ms // SLOT_MS for index, plan in enumerate(plans)}
        self._without_wifi: set[int] = set()
        self._wifi_losses = 0
        self._crashes_due = [
            course.start_ms + minute * MINUTE_MS for minute in course.faults.gateway_crash_minutes
        ]
        self._crashes = self._crashes_left_out = 0
        self._slot = course.begin_ms // SLOT_MS
        self._slots = self._stalled = self._pauses = 0
        self._boards: Boards | None = None
        self._began_s = time.monotonic()

    def execute(self) -> None:
        """Run to the close of the last day. RunnerError is a bug, or a board that hung."""
        self._begin()
        self._play_to(self.course.end_ms)
        self._heal()
        self._drain()
        self._boards = self._look_at_boards()
        self._the_runner().close()
        self._runner = None
        self.news.off.update(range(len(self.plans)))
        self.news.online.clear()
        self._close_epochs()
        stored = list(self._counterpart.stored())
        self.counts, broken = self.ledger.compare(stored)
        self.failures += broken + self.news.lost_messages(stored) + self.news.unasked_restarts()
        self.resends = self.news.published - self.counts.durable
        self.failures += self._check_refusals() + self._check_readings()

    def device(self, index: int) -> bytes:
        return self._devices[index]

    def tally(self) -> Tally:
        transport = Transport(
            broker=self.target.url,
            slots=self._slots,
            stalled_slots=self._stalled,
            reconnects=max(self.news.connections - self.news.counts["up"], 0),
            pauses=self._pauses,
            crashes_left_out=self._crashes_left_out,
            wall_s=round(time.monotonic() - self._began_s, 3),
        )
        return tally(
            self._counterpart,
            transport,
            corruptions=0,
            gateway_crashes=self._crashes,
            boards=self._boards,
        )

    def close(self) -> None:
        """End every interpreter and the operator's connection; idempotent."""
        self._login.control.stop()
        if self._runner is not None:
            self._runner.close()
        self._wire.close()
        self._counterpart.close()

    # ---- the begin

    def _begin(self) -> None:
        self._login.log_in(LOGIN_S)
        self._begin_slot()
        anchor_planned(self._counterpart, self._hooks, self.plans, self._devices)
        equipment, address = self._equipment, self.target.address
        runner = self._runner = Runner(
            equipment.application, equipment.node_modules, self.course.begin_ms
        )
        for index, plan in enumerate(self.plans):
            self.ledger.open_account(self._devices[index], plan.name)
            settings = provision(
                index,
                plan,
                self._counterpart.genesis,
                equipment,
                broker_host=address.host,
                broker_port=address.port,
                broker_ca=address.authority,
                broker_password=self._login.password_of(device_name(self._devices[index])),
                keepalive_s=KEEPALIVE_S,
            )
            add_board(runner, index, plan, settings, self.course.seed)

    def _the_runner(self) -> Runner:
        assert self._runner is not None
        return self._runner

    # ---- slots

    def _play_to(self, until_ms: int) -> None:
        while self._slot * SLOT_MS < until_ms:
            self._crash_if_due()
            self._begin_slot()
            self._sensors.show(self._the_runner(), self._slot * SLOT_MS)
            self._switch_on()
            self._break_things()
            self._run_slot()
            done_ms = max(self._slot * SLOT_MS - self.course.start_ms, 0)
            self._progress(done_ms, self.ledger.signed_count)

    def _begin_slot(self) -> None:
        """Say the tick until everybody who is connected has heard it, and the slot's entropy."""
        slot, watch, control = self._slot, self._watch, self._login.control
        self._slots += 1
        self._take()
        if self._slots > NOBODY_SLOTS and not self.news.known:
            raise self._nobody()
        entropy = self._air is not None and slot * SLOT_MS < self.course.end_ms
        watch.expect_tick(slot, self.news.online, entropy=entropy)
        control.tick(slot)
        if not self._await(lambda: control.acknowledged >= slot and watch.ticked(), AWAY_S):
            raise self._halted()
        if not self._await(watch.linked, STALL_S):
            self._stalled += 1
            watch.give_up()

    def _run_slot(self) -> None:
        runner, slot = self._the_runner(), self._slot
        begin_ms = slot * SLOT_MS
        if self._air is not None:
            runner.run_to(begin_ms + FRAMES_MS)
            self._take()
            for heard in self._air.play(begin_ms + FRAMES_MS):
                radio, channel, rssi, snr, frame = heard.sound
                runner.frame(heard.station, radio, channel, rssi, snr, heard.at_ms, frame)
        runner.run_to(begin_ms + SLOT_MS)
        self._slot = slot + 1
        self._take()
        if not self._await(self._watch.quiet, STALL_S):
            self._stalled += 1
            self._watch.give_up()

    def _switch_on(self) -> None:
        """Boot whose time has come: after the tick, which is then the first that they hear."""
        runner = self._the_runner()
        due = [index for index, slot in self._boots_at.items() if slot <= self._slot]
        if not due:
            return
        for index in due:
            del self._boots_at[index]
        runner.boot(due)
        runner.run_to(self._slot * SLOT_MS)
        here = set(due) - self._without_wifi
        self._await(lambda: here <= self.news.ticked | self.news.off, STARTED_S)

    def _take(self) -> None:
        if self._runner is None:
            return
        happened = self._runner.happenings()
        self.news.take(happened)
        self._samples.take(happened)
        for one in happened:
            if one.kind == "off" and one.values["why"] == "cut":
                self._boots_at[one.board] = self._cuts.struck(one.board, one.at_ms)

    def _await(self, done: Callable[[], bool], patience_s: float) -> bool:
        """Pump until done; False if nothing came for so long. The tick is said again meanwhile."""
        watch, control = self._watch, self._login.control
        seen, paused = watch.progress, False
        last_s = said_s = time.monotonic()
        self._take()
        while not done():
            self._wire.pump(PUMP_S)
            self._take()
            now_s = time.monotonic()
            if watch.progress != seen:
                seen, last_s, said_s = watch.progress, now_s, now_s
            if now_s - last_s > patience_s:
                return False
            if now_s - said_s > AGAIN_S:
                self._pauses += not paused
                paused = True
                control.tick(watch.slot)
                said_s = now_s
        return True

    # ---- faults

    def _crash_if_due(self) -> None:
        while self._crashes_due and self._crashes_due[0] <= self._slot * SLOT_MS:
            self._crashes_due.pop(0)
            if self._hooks.crash is None:
                self._crashes_left_out += 1
            else:
                self._crashes += 1
                self._hooks.crash()

    def _break_things(self) -> None:
        runner, news, now_ms = self._the_runner(), self.news, self._slot * SLOT_MS
        for index in range(len(self.plans)):
            reachable = self._network.reachable(index, now_ms)
            if reachable == (index in self._without_wifi):
                self._set_wifi(index, up=reachable)
            if index not in news.off and (cut := self._cuts.due(index, now_ms)) is not None:
                runner.arm(index, cut.after, cut.part)

    def _set_wifi(self, index: int, *, up: bool) -> None:
        self._the_runner().wifi(index, up=up)
        if up:
            self._without_wifi.discard(index)
        else:
            self._without_wifi.add(index)
            self._wifi_losses += 1

    def _heal(self) -> None:
        self._network.heal()
        for index in range(len(self.plans)):
            self._the_runner().disarm(index)
            if index in self._without_wifi:
                self._set_wifi(index, up=True)

    def _drain(self) -> None:
        """Faults have stopped: every message must find its receipt within a bound."""
        end_ms = self.course.end_ms
        last_ms = self._slot * SLOT_MS + DRAIN_MS_MAX
        if self._air is not None:
            self._play_to(max(end_ms, end_ms // DAY_MS * DAY_MS + REVEALED_MS))
        while self._slot * SLOT_MS < last_ms:
            self._play_to((self._slot + 1) * SLOT_MS)
            if not self._boots_at and not self.ledger.unreceipted():
                return
        self.failures += [
            Failure("progress after faults", f"{name} still waits for the receipt of seq {seq}")
            for name, seq in self.ledger.unreceipted()
        ]

    def _halted(self) -> FleetHalted:
        control, watch = self._login.control, self._watch
        if not control.up:
            why = f"The operator's connection is gone: {control.failure or 'no answer'}."
        elif not self._counterpart.is_up():
            why = "No gateway runs on this network's data directory."
        else:
            why = f"{len(self.news.online)} boards are connected and hear no tick of {watch.slot}."
        return FleetHalted(
            f"The fleet has waited {AWAY_S:.0f} s for {self.target.url}, and stops.",
            why,
            "Look into the gateway's and the broker's log; limits on logins are settings "
            "(address_logins_burst).",
        )

    def _nobody(self) -> FleetHalted:
        told = "; ".join(f"{c} ({d})" for c, d in sorted(self.news.newest.items())) or "nothing"
        return FleetHalted(
            f"No board could connect to {self.target.url} in {NOBODY_SLOTS} minutes of its time.",
            f"They report: {told}.",
            "Give --broker and --network of one network; at a broker that is not the gateway's "
            "own, let every station in (`cairn broker init`).",
        )

    # ---- the end

    def _look_at_boards(self) -> Boards:
        runner, news = self._the_runner(), self.news
        air = AirCounts() if self._air is None else self._air.counts
        boards = look_at(runner, len(self.plans), air, self._counterpart.stored())
        self.board_restarts = boards.boots - boards.interpreters
        return replace(
            boards,
            power_cuts=self._cuts.done,
            wifi_losses=self._wifi_losses,
            kept=news.kept,
            reports=dict(sorted(news.reports.items())),
        )

    def _close_epochs(self) -> None:
        last_ms = (self.course.end_ms - 1) // DAY_MS * DAY_MS + DAY_MS + DAY_MS // 2
        counterpart = self._counterpart
        while (close_ms := counterpart.next_close_ms()) <= last_ms:
            self._slot = max(-(-close_ms // SLOT_MS), self._slot)
            self._begin_slot()
            deadline_s = time.monotonic() + AWAY_S * 10
            while counterpart.next_close_ms() == close_ms:
                self._wire.pump(PUMP_S)
                if time.monotonic() > deadline_s:
                    raise self._halted()

    def _check_refusals(self) -> list[Failure]:
        """Nothing is damaged on the way, so nothing may be refused."""
        refusals = self._counterpart.refusals()
        if not refusals.rejected:
            return []
        detail = f"{refusals.rejected} rejected; verdicts {refusals.named}"
        return [Failure("only damage is refused", detail)]

    def _check_readings(self) -> list[Failure]:
        sent = self._counterpart.readings()
        found = judge(self._sensors.desks, self._samples, self._devices, sent)
        assert self._boards is not None
        self._boards = replace(self._boards, measured=found.values, sensor_faults=found.faults)
        return found.failures

    def _offered(self, station: int, seq: int, message: bytes) -> None:
        if self._hooks.record is not None:
            device, now_ms = self._devices[station], self._slot * SLOT_MS
            self._hooks.record.offered(device, seq, message, now_ms)
