"""Gateway and broker are killed with -9 at random moments while a fleet sends over MQTT.

Whatever was signed must be durable once, and the roots must be those that the core computes in
this process from the fleet's own record of what it signed.
"""

import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.cli.fleet_run import simulate_over_mqtt
from gateway.cli.gateway_child import LOG, GatewayChild
from gateway.shell.network import DATABASE, create_network, load_network
from gateway.shell.store.sqlite import SqliteStore
from simulator.door import settle_record
from simulator.fleet import FleetReport, plan_stations
from simulator.record import Record
from simulator.run import device_of_plan
from simulator.scenario import parse_scenario
from tests.service.children import MosquittoChild

KILLS = 10
# Between two kills the fleet must get ahead this far: an outage ends before the next begins.
MINUTES_BETWEEN = 30
WAIT_SECONDS_MAX = 120
TOML = """
name = "kills"
description = "Two hundred stations, one day, no fault but the killings."
start = 2026-03-02

[fleet]
stations = 200
anchored = 20
sample_interval_s = 600
samples_per_message = 1

[town]
radius_m = 12_000
"""


class Killer(threading.Thread):
    """Kills each victim `KILLS` times, at moments that the seed draws, while the fleet runs."""

    def __init__(self, seed: int, victims: list[tuple[Callable[[], None], Callable[[], object]]]):
        super().__init__(daemon=True)
        self.kills = 0
        self.error: BaseException | None = None
        self._random = random.Random(seed)
        self._victims = victims
        self._ahead = threading.Condition()
        self._done_ms = 0
        self._over = False

    def progress(self, done_ms: int, _total_ms: int) -> None:
        with self._ahead:
            self._done_ms = done_ms
            self._ahead.notify_all()

    def finish(self) -> None:
        with self._ahead:
            self._over = True
            self._ahead.notify_all()
        self.join(WAIT_SECONDS_MAX)

    def run(self) -> None:
        try:
            for kill, start in self._victims:
                for _ in range(KILLS):
                    if not self._wait_ahead():
                        return
                    # Anywhere inside a slot: while signing, sending, committing, receipting.
                    time.sleep(self._random.random() / 10)
                    kill()
                    start()
                    self.kills += 1
        except BaseException as error:  # noqa: BLE001 - shown by the test, which must not hang
            self.error = error

    def _wait_ahead(self) -> bool:
        minutes = MINUTES_BETWEEN + self._random.randrange(10)
        with self._ahead:
            goal_ms = self._done_ms + minutes * 60_000
            self._ahead.wait_for(
                lambda: self._over or self._done_ms >= goal_ms, timeout=WAIT_SECONDS_MAX
            )
            return not self._over


@pytest.fixture
def seed() -> int:
    chosen = int(os.environ.get("CAIRN_SEED", random.SystemRandom().randrange(1 << 30)))
    sys.stderr.write(f"again: CAIRN_SEED={chosen} pytest {__file__}\n")
    return chosen


def _run(folder: Path, seed: int, *, mosquitto: bool) -> tuple[FleetReport, Record, Killer]:
    scenario = parse_scenario(TOML, "kills.toml")
    create_network(folder, "kills", simulated=True, epoch_zero_ms=scenario.start_ms, seed=seed)
    options = ["--clock", "driven"]
    broker = None
    if mosquitto:
        devices = [device_of_plan(plan) for plan in plan_stations(scenario, seed)]
        broker = MosquittoChild(folder, folder / "mosquitto", devices)
        broker.start()
        options += broker.gateway_options
    gateway = GatewayChild(folder, *options)
    victims = [(gateway.kill, gateway.start)]
    if broker is not None:
        victims.append((broker.kill, broker.start))
    killer, record = Killer(seed, victims), Record()
    try:
        url = gateway.start().mqtt
        killer.start()
        report = simulate_over_mqtt(scenario, seed, url, folder, killer.progress, record=record)
    finally:
        killer.finish()
        stopped = gateway.stop()
        if broker is not None:
            broker.stop()
    assert stopped == 0, (folder / LOG).read_text()
    return report, record, killer


@pytest.mark.slow
@pytest.mark.parametrize("mosquitto", [False, True], ids=["endpoint", "mosquitto"])
def test_nothing_is_lost_and_nothing_counts_twice(
    mosquitto: bool,  # noqa: FBT001
    seed: int,
    tmp_path: Path,
    require_component: Callable[[str], str],
):
    if mosquitto:
        require_component("mosquitto")
    report, record, killer = _run(tmp_path, seed, mosquitto=mosquitto)
    assert killer.error is None
    assert killer.kills == KILLS * (1 + mosquitto)
    assert report.failures == ()
    # Everything that a board signed, and nothing else, stands in the store once.
    assert report.messages_dropped == report.signatures_cut == 0
    assert report.messages_durable == report.messages_signed == len(record.messages)
    store = SqliteStore.open(tmp_path / DATABASE, load_network(tmp_path).network_id)
    stored = Counter(logged.data for logged in store.iterate())
    store.close()
    assert stored == Counter(one.data for one in record.messages.values())
    (epoch,) = report.epochs
    assert (epoch.message_root, epoch.payout_root) == settle_record(tmp_path, record)
    assert epoch.paid > 0
