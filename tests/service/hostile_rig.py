"""A fleet at work on a gateway that is attacked, in step: what test_hostile.py is made of.

The fleet runs in this process, the gateway, the broker and the attackers in their own. It says
nothing of what an attack consists of, nor of what must hold.
"""

import json
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from gateway.cli.gateway_child import LOG, GatewayChild
from gateway.core.genesis import DAY_MS
from gateway.core.ids import device_name
from gateway.core.verdicts import Verdict
from gateway.shell.mosquitto import broker_password, broker_secret, password_line
from gateway.shell.network import NetworkKeys, create_network, load_keys
from simulator.fleet import plan_stations
from simulator.record import Record, Recorded
from simulator.run import device_of_plan
from simulator.scenario import Scenario, parse_scenario
from tests.service import hostile_paho
from tests.service.children import MosquittoChild
from tests.service.gateway_rig import open_gateway, send
from tests.service.signing_station import SigningStation

SEED = 5
WAIT_S = 60
MINUTE_MS = 60_000
# When the attack begins, on the fleet's day.
FROM_MINUTE = 360
# What the attackers publish in one go, while the fleet's gate opens by one step.
TOGETHER = 250
OWN_MESSAGES = 150
MALLORY, EVE = "mallory", "eve"  # users that a careless operator lets publish anything
TOML = """
name = "hostile"
description = "Twenty stations, one day, no fault of their own."
start = 2026-03-02

[fleet]
stations = 20
anchored = 4
sample_interval_s = 600
samples_per_message = 1

[town]
radius_m = 5_000
"""


class Gate:
    """Keeps the fleet in step with the attack."""

    def __init__(self, begun: Callable[[], None]) -> None:
        """begun: what to do when the fleet gets there."""
        self._begun = begun
        self._changed = threading.Condition()
        self._minute = 0.0
        self._open_to = float(FROM_MINUTE)
        self._over = False

    def progress(self, done_ms: int, _total_ms: int) -> None:
        """On the fleet's thread: let nobody past the gate."""
        minute = done_ms / MINUTE_MS
        if self._minute < FROM_MINUTE <= minute:
            self._begun()
        with self._changed:
            self._minute = minute
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._over or minute < self._open_to, WAIT_S)

    def wait_begun(self) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self._minute >= FROM_MINUTE, WAIT_S)

    def open(self, minutes: float) -> None:
        """Let the fleet go on by so much more."""
        with self._changed:
            self._open_to += minutes
            self._changed.notify_all()

    def end(self) -> None:
        with self._changed:
            self._over = True
            self._changed.notify_all()


@dataclass
class Site:
    """A network, its gateway, the broker before it if there is one, and an attacker's device."""

    folder: Path
    scenario: Scenario
    keys: NetworkKeys
    thief: SigningStation
    gateway: GatewayChild
    broker: MosquittoChild | None
    # How many boards the attackers listen to.
    overheard: int = 20
    url: str = ""
    record: Record = field(default_factory=Record)

    @property
    def base(self) -> str:
        return f"cairn/1/{self.keys.network_id.hex()}"

    @property
    def captured(self) -> Path:
        return self.folder / "captured.txt"

    @property
    def own(self) -> str:
        return device_name(self.thief.device)

    def capture(self) -> None:
        """Note what was on the air so far; the attacker's own device was first."""
        sent = list(self.record.in_order())
        known = list(dict.fromkeys(one.device for one in sent))[: self.overheard + 1]
        lines = [f"{device_name(o.device)} {o.data.hex()}\n" for o in sent if o.device in known]
        self.captured.write_text("".join(lines))

    def judged(self) -> Counter[str]:
        """What the gateway has said so far, but for what it took in."""
        with urllib.request.urlopen(f"{self.gateway.addresses.http}/metrics") as answer:  # noqa: S310
            text = answer.read().decode()
        found = re.findall(r'^cairn_messages_total\{verdict="(\w+)"\} (\S+)$', text, re.MULTILINE)
        return Counter({name: int(float(n)) for name, n in found if name != "ok"})

    def memory_kb(self) -> tuple[int, int]:
        """What the gateway occupies, now and at its most."""
        status = Path(f"/proc/{self.gateway.pid}/status").read_text()
        return tuple(int(re.search(rf"{n}:\s+(\d+)", status)[1]) for n in ("VmRSS", "VmHWM"))

    def login(self, station: SigningStation) -> tuple[str, str]:
        """User and password of a device where it connects."""
        user = device_name(station.device)
        if self.broker is not None:
            return self.broker_login(user)
        return user, station.login(time.time_ns() // 1_000)

    def broker_login(self, user: str) -> tuple[str, str]:
        return user, broker_password(broker_secret(self.folder / "keys"), user)


@contextmanager
def site(folder: Path, settings: str, *, mosquitto: bool) -> Iterator[Site]:
    """A gateway that runs, and knows the attacker's device from the day before."""
    scenario = parse_scenario(TOML, "hostile.toml")
    day_before = scenario.start_ms - DAY_MS
    create_network(folder, "hostile", simulated=True, epoch_zero_ms=day_before, seed=SEED)
    (folder / "cairn.toml").write_text(settings)
    keys = load_keys(folder)
    thief = SigningStation(0, keys.network_id)
    own = [thief.hello(day_before)]
    own += [thief.reading(day_before + n * 60_000, n) for n in range(1, OWN_MESSAGES)]
    gateway = open_gateway(keys)
    assert set(send(gateway, *own, now_ms=day_before + DAY_MS // 2)) == {Verdict.OK}
    gateway.close()
    options, broker = ["--clock", "driven"], None
    if mosquitto:
        broker = careless_broker(folder, scenario, thief)
        options += broker.gateway_options
    made = Site(folder, scenario, keys, thief, GatewayChild(folder, *options), broker)
    for seq, data in enumerate(own, 1):
        one = Recorded(day_before + DAY_MS // 2, thief.device, seq, data)
        made.record.messages[thief.device, seq] = one
    try:
        made.url = made.gateway.start().mqtt
        yield made
    finally:
        stopped = made.gateway.stop()
        if broker is not None:
            broker.stop()
    assert stopped == 0, (folder / LOG).read_text()


def careless_broker(folder: Path, scenario: Scenario, thief: SigningStation) -> MosquittoChild:
    """Mosquitto as we configure it, with two users too many, and a log that tells of all."""
    out = folder / "mosquitto"
    devices = [device_of_plan(plan) for plan in plan_stations(scenario, SEED)]
    broker = MosquittoChild(folder, out, [*devices, device_name(thief.device)])
    secret = broker_secret(folder / "keys")
    additions = {
        "passwords": "".join(password_line(u, broker_password(secret, u)) for u in (MALLORY, EVE)),
        "acl": "".join(f"\nuser {user}\ntopic readwrite #\n" for user in (MALLORY, EVE)),
        "mosquitto.conf": "log_type all\n",
    }
    for name, text in additions.items():
        with (out / name).open("a") as file:
            file.write(text)
    broker.start()
    return broker


class Script:
    """The paho script as a process of its own."""

    def __init__(self, site: Site, login: tuple[str, str]) -> None:
        url, (user, password) = urlsplit(site.url), login
        command = [sys.executable, hostile_paho.__file__, url.hostname, str(url.port), site.base]
        self._process = subprocess.Popen(
            [*command, site.captured, user, site.own],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._say(password)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: object, *_: object) -> None:
        if error is not None:
            self._process.kill()
        self._process.communicate(timeout=WAIT_S)
        assert error is not None or self._process.returncode == 0

    def publish(self, kind: str, count: int, *, own: bool, seed: int = SEED) -> dict[str, Any]:
        self._say(json.dumps({"kind": kind, "count": count, "own": own, "seed": seed}))
        return json.loads(self._process.stdout.readline())

    def _say(self, line: str) -> None:
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()


class Attack(threading.Thread):
    """Publishes everything, and holds each kind to its verdicts before it begins the next."""

    def __init__(
        self, site: Site, gate: Gate, stages: list[Callable[["Attack"], None]], pace: float
    ) -> None:
        """pace: minutes by which the fleet goes on with every TOGETHER messages."""
        super().__init__(daemon=True)
        self.site = site
        self.error: BaseException | None = None
        self.published = self.bytes = 0
        self.verdicts: dict[str, Counter[str]] = {}
        # Messages that boards sent while those of this name had no verdict yet.
        self.met: Counter[str] = Counter()
        self.grown_kb = self.peak_kb = 0
        self._gate = gate
        self._stages = stages
        self._pace = pace

    @property
    def total(self) -> Counter[str]:
        return sum(self.verdicts.values(), Counter())

    def run(self) -> None:
        try:
            self._gate.wait_begun()
            before_kb, _ = self.site.memory_kb()
            for stage in self._stages:
                stage(self)
            now_kb, peak_kb = self.site.memory_kb()
            self.grown_kb, self.peak_kb = now_kb - before_kb, peak_kb - before_kb
        except BaseException as error:  # noqa: BLE001 - shown by the test, which must not hang
            self.error = error
        finally:
            self._gate.end()

    @contextmanager
    def held_to(
        self, name: str, count: int, verdicts: frozenset[str], *, others: int = 0
    ) -> Iterator[None]:
        """Whatever is published in here: so many verdicts, of these and no others.

        others: how many messages of honest boards at the most may be refused with it.
        """
        before, deadline_s = self.site.judged(), time.monotonic() + WAIT_S
        sent = len(self.site.record.messages)
        self._gate.open(self._pace)
        yield
        while (new := self.site.judged() - before).total() < count:
            assert time.monotonic() < deadline_s, f"{name}: {dict(new)} of {count}"
        self.met[name] = len(self.site.record.messages) - sent
        self.verdicts[name] = new
        assert count <= new.total() <= count + others, (name, new)
        assert new.keys() <= verdicts, (name, new)

    def publish(self, script: Script, kind: str, count: int, *, own: bool) -> None:
        """While the fleet goes on; all are acknowledged, whatever they are worth."""
        for first in range(0, count, TOGETHER):
            size = min(TOGETHER, count - first)
            self._gate.open(self._pace)
            answer = script.publish(kind, size, own=own, seed=SEED + first)
            self.bytes += answer.pop("bytes")
            assert answer == {"published": size, "acked": size, "ended": ""}, (kind, answer)
            self.published += size
