"""`cairn broker init mosquitto`, and what a real Mosquitto makes of it: who may do what."""

import json
import queue
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from click.testing import CliRunner
from paho.mqtt.enums import CallbackAPIVersion

from gateway.cli import main
from gateway.core.ids import device_name
from gateway.shell.mosquitto import broker_password, broker_secret
from gateway.shell.network import NetworkKeys
from gateway.shell.service import Gateway
from tests.service.children import MosquittoChild
from tests.service.gateway_rig import START, send
from tests.service.signing_station import SigningStation

SECONDS_MAX = 20


class Client:
    """A paho client that is in no way ours."""

    def __init__(self, port: int, user: str, password: str, client_id: str | None = None) -> None:
        self.received: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self.lost = threading.Event()
        self._answers: queue.Queue[str] = queue.Queue()
        self._subscribed: queue.Queue[list[bool]] = queue.Queue()
        client = self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id or user, reconnect_on_failure=False
        )
        client.username_pw_set(user, password)
        client.on_connect = lambda _c, _d, _f, reason, _p: self._answers.put(str(reason))
        client.on_disconnect = lambda *_: self.lost.set()
        client.on_message = lambda _c, _d, m: self.received.put((m.topic, bytes(m.payload)))
        client.on_subscribe = lambda _c, _d, _m, codes, _p: self._subscribed.put(codes)
        client.connect("127.0.0.1", port)
        client.loop_start()
        self.answer = self._answers.get(timeout=SECONDS_MAX)

    def subscribe(self, *topics: str) -> None:
        self._client.subscribe([(topic, 1) for topic in topics])
        self._subscribed.get(timeout=SECONDS_MAX)

    def publish(self, topic: str, data: bytes, *, retain: bool = False) -> None:
        """Publish at QoS 1 and wait for the acknowledgement."""
        self._client.publish(topic, data, 1, retain).wait_for_publish(SECONDS_MAX)

    def next(self) -> tuple[str, bytes]:
        return self.received.get(timeout=SECONDS_MAX)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class Town:
    """A broker with two stations, and clients for whom a test asks."""

    def __init__(self, keys: NetworkKeys, folder: Path) -> None:
        self.keys = keys
        self.folder = folder
        self.base = f"cairn/1/{keys.network_id.hex()}"
        self.one, self.other, self.third = (
            device_name(SigningStation(n, keys.network_id).device) for n in range(3)
        )
        self.broker = MosquittoChild(keys.folder, folder, [self.one, self.other])
        self._clients: list[Client] = []

    def join(self, user: str, password: str | None = None, client_id: str | None = None) -> Client:
        if password is None:
            password = broker_password(broker_secret(self.keys.folder / "keys"), user)
        client = Client(self.broker.port, user, password, client_id)
        self._clients.append(client)
        return client

    def init(self, *options: str, devices: str = "") -> dict[str, object]:
        """Run the command again on the same folder."""
        command = [
            *("broker", "init", "mosquitto", "--data", str(self.keys.folder), "--json"),
            *("--out", str(self.folder), "--listen", f"127.0.0.1:{self.broker.port}"),
            *("--devices", "-", *options),
        ]
        done = CliRunner().invoke(main, command, input=devices)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self.broker.stop()


@pytest.fixture
def town(keys: NetworkKeys, tmp_path: Path, require_component) -> Iterator[Town]:
    require_component("mosquitto")
    town = Town(keys, tmp_path / "broker")
    yield town
    town.close()


@pytest.fixture
def running(town: Town) -> Town:
    town.broker.start()
    return town


def test_only_the_derived_passwords_are_let_in(running: Town):
    secret = broker_secret(running.keys.folder / "keys")
    for user in (running.one, "gateway", "operator"):
        assert running.join(user).answer == "Success"
        assert running.join(user, "guess").answer == "Not authorized"
        assert running.join(user, "").answer == "Not authorized"
    assert running.join(running.third).answer == "Not authorized"
    stolen = broker_password(secret, running.other)
    assert running.join(running.one, stolen).answer == "Not authorized"


def test_a_device_writes_its_own_up_and_nothing_else(running: Town):
    # Who reads: the gateway, and a user to whom the access list forbids nothing of these topics.
    gateway, operator = running.join("gateway"), running.join("operator")
    gateway.subscribe(f"{running.base}/+/up", f"{running.base}/control/tick")
    operator.subscribe(f"{running.base}/all/#")
    other = running.join(running.other)
    other.subscribe(f"{running.base}/{running.other}/down/#", f"{running.base}/all/#")
    device = running.join(running.one)
    for topic in (
        f"{running.other}/up",
        f"{running.other}/down/receipt",
        "all/tick",
        "control/tick",
        f"{running.one}/up/more",
        "+/up",
    ):
        if "+" not in topic:
            device.publish(f"{running.base}/{topic}", b"forbidden")
    device.publish(f"{running.base}/{running.one}/up", b"mine")
    assert gateway.next() == (f"{running.base}/{running.one}/up", b"mine")
    gateway.publish(f"{running.base}/{running.other}/down/receipt", b"receipt")
    gateway.publish(f"{running.base}/all/keys", b"keys")
    assert {other.next(), other.next()} == {
        (f"{running.base}/{running.other}/down/receipt", b"receipt"),
        (f"{running.base}/all/keys", b"keys"),
    }
    assert operator.next() == (f"{running.base}/all/keys", b"keys")
    assert gateway.received.empty()
    assert other.received.empty()


def test_a_device_reads_its_own_down_and_all_and_nothing_else(running: Town):
    device = running.join(running.one)
    device.subscribe("#", f"{running.base}/#", f"{running.base}/{running.other}/down/#")
    other, gateway = running.join(running.other), running.join("gateway")
    other.publish(f"{running.base}/{running.other}/up", b"theirs")
    gateway.publish(f"{running.base}/{running.other}/down/receipt", b"theirs", retain=True)
    running.join("operator").publish(f"{running.base}/control/tick", b"tick")
    gateway.publish(f"{running.base}/{running.one}/down/receipt", b"mine")
    assert device.next() == (f"{running.base}/{running.one}/down/receipt", b"mine")
    # Two more filters match the same topic; only copies of what is allowed may follow.
    gateway.publish(f"{running.base}/all/keys", b"last")
    seen = set()
    while (one := device.next())[1] != b"last":
        seen.add(one)
    assert seen <= {(f"{running.base}/{running.one}/down/receipt", b"mine")}


def test_only_the_operator_ticks(running: Town):
    gateway = running.join("gateway")
    gateway.subscribe(f"{running.base}/control/tick")
    gateway.publish(f"{running.base}/control/tick", b"of the gateway")
    running.join(running.one).publish(f"{running.base}/control/tick", b"of a device")
    running.join("operator").publish(f"{running.base}/control/tick", b"of the operator")
    assert gateway.next()[1] == b"of the operator"
    assert gateway.received.empty()


def test_a_device_cannot_push_the_gateway_out(running: Town):
    gateway = running.join("gateway", client_id="cairn-gateway")
    gateway.subscribe(f"{running.base}/+/up")
    for name in ("cairn-gateway", "gateway"):
        device = running.join(running.one, client_id=name)
        assert device.answer == "Success"
        refused = running.join("gateway", "guess", client_id=name)
        assert refused.answer == "Not authorized"
        device.publish(f"{running.base}/{running.one}/up", name.encode())
        assert gateway.next()[1] == name.encode()
    assert not gateway.lost.is_set()


def test_a_message_over_the_protocols_limit_still_reaches_the_gateway(running: Town):
    gateway, device = running.join("gateway"), running.join(running.one)
    gateway.subscribe(f"{running.base}/+/up")
    device.publish(f"{running.base}/{running.one}/up", bytes(500_000))
    assert len(gateway.next()[1]) == 500_000


def test_more_than_a_mebibyte_ends_the_connection(running: Town):
    device = running.join(running.one)
    device._client.publish(f"{running.base}/{running.one}/up", bytes((1 << 20) + 1), 1)
    assert device.lost.wait(SECONDS_MAX)


def test_a_new_device_is_let_in_by_a_signal_while_links_stay(running: Town):
    old = running.join(running.one)
    old.subscribe(f"{running.base}/{running.one}/down/#")
    assert running.join(running.third).answer == "Not authorized"
    assert running.init(devices=f"{running.third}\n")["users"] == 5
    process = running.broker._process
    process.send_signal(1)  # SIGHUP
    # The broker answers a signal in its own time.
    tries = (running.join(running.third).answer for _ in range(1_000))
    assert next(answer for answer in tries if answer == "Success")
    assert running.join(running.other).answer == "Success"
    running.join("gateway").publish(f"{running.base}/{running.one}/down/receipt", b"still here")
    assert old.next()[1] == b"still here"
    assert not old.lost.is_set()


def test_registered_stations_are_in_it_by_themselves(town: Town, gateway: Gateway):
    station = SigningStation(2, town.keys.network_id)
    send(gateway, station.hello(START), station.reading(START, 1))
    assert town.third == device_name(station.device)
    assert town.init()["users"] == 5
    assert f"{town.third}:$7$" in (town.folder / "passwords").read_text()


def test_the_command_may_be_run_again(town: Town):
    first = (town.folder / "passwords").read_text()
    secret = (town.keys.folder / "keys" / "broker.secret").read_text()
    facts = town.init()
    again = (town.folder / "passwords").read_text()
    assert [line.split(":")[0] for line in again.splitlines()] == [
        line.split(":")[0] for line in first.splitlines()
    ]
    assert again != first  # fresh salts
    assert (town.keys.folder / "keys" / "broker.secret").read_text() == secret
    assert facts["run"] == f"mosquitto -c {town.folder / 'mosquitto.conf'}"
    leftovers = {path.name for path in town.folder.iterdir()}
    assert leftovers == {"mosquitto.conf", "acl", "passwords", "state"}


def test_what_is_secret_is_nobody_elses_to_read(town: Town):
    keys = town.keys.folder / "keys"
    files = [keys / "broker.secret", keys / "broker-gateway.password"]
    for path in [*files, town.folder / "passwords", town.folder / "acl"]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE(town.folder.stat().st_mode) == 0o700
    text = (town.folder / "passwords").read_text() + (town.folder / "mosquitto.conf").read_text()
    assert (keys / "broker-gateway.password").read_text().strip() not in text


def cairn(*arguments: str, data: Path, devices: str = "") -> tuple[int, str]:
    done = CliRunner().invoke(main, ["broker", *arguments, "--data", str(data)], input=devices)
    return done.exit_code, done.output


def test_passwords_are_shown_one_by_one(town: Town):
    data = town.keys.folder
    code, shown = cairn("password", town.one, "--json", data=data)
    assert code == 0
    assert json.loads(shown) == {
        "user": town.one,
        "password": broker_password(broker_secret(data / "keys"), town.one),
    }
    assert cairn("password", "gateway", data=data)[1].strip() == (
        (data / "keys" / "broker-gateway.password").read_text().strip()
    )
    assert cairn("password", "nobody", data=data)[0] == 2
    assert cairn("password", town.one.upper(), data=data)[0] == 2


@pytest.mark.parametrize(
    "options",
    [
        ("--listen", "1883"),
        ("--listen", ":1883"),
        ("--listen", "localhost:0"),
        ("--listen", "localhost:65536"),
        ("--listen", "localhost\n:1883"),
        ("--listen", "localhost:٣"),
        ("--tls-cert", "absent.crt"),
        ("--tls-cert", "absent.crt", "--tls-key", "absent.key"),
    ],
)
def test_wrong_use_writes_nothing(keys: NetworkKeys, tmp_path: Path, options):
    out = tmp_path / "broker"
    code, _ = cairn("init", "mosquitto", "--out", str(out), *options, data=keys.folder)
    assert code == 2
    assert not out.exists()


def test_a_line_that_is_no_device_is_named(keys: NetworkKeys, tmp_path: Path):
    out = tmp_path / "broker"
    lines = f"{device_name(bytes(16))}\n\ngateway\n"
    arguments = ("init", "mosquitto", "--out", str(out), "--devices", "-")
    code, output = cairn(*arguments, data=keys.folder, devices=lines)
    assert code == 2
    assert "Line 3" in output
    assert not out.exists()
