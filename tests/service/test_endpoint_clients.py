"""The endpoint's conformance, shown by MQTT clients that no one here wrote.

paho-mqtt, Mosquitto's command line clients, and npm `mqtt`; in plain TCP and over TLS with
certificates made by `openssl` for the test.
"""

import json
import queue
import ssl
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from gateway.core.downlink import Downlink
from tests.service.endpoint_rig import PREFIX, WAIT_S, ObedientIngest, Station, endpoint

ALL = f"{PREFIX}/all/#"


@pytest.fixture
def station():
    return Station(1)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory, require_component):
    """A CA, and a server certificate for 127.0.0.1 that it signed."""
    openssl = require_component("openssl")
    folder = tmp_path_factory.mktemp("tls")
    (folder / "san").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    new = "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
    sign = "x509 -req -days 2 -CAcreateserial -extfile san"
    for line in (
        f"{new} -x509 -days 2 -subj /CN=test-ca -keyout ca.key -out ca.crt",
        f"{new} -subj /CN=gateway -keyout server.key -out server.csr",
        f"{sign} -in server.csr -CA ca.crt -CAkey ca.key -out server.crt",
    ):
        subprocess.run([openssl, *line.split()], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture(params=["tcp", "tls"])
def secured(request):
    """Return the CA file (None for plain TCP) and the options of an endpoint that uses it."""
    if request.param == "tcp":
        return None, {}
    folder: Path = request.getfixturevalue("certificates")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.crt", folder / "server.key")
    return folder / "ca.crt", {"tls": context}


# ---- paho


class Paho:
    """A paho client whose callbacks fill queues."""

    def __init__(self, rig, station, *, clean=True, ca=None, manual_ack=False, version=None):
        self.connects, self.granted, self.messages = queue.Queue(), queue.Queue(), queue.Queue()
        self.published, self.losses = queue.Queue(), queue.Queue()
        protocol = version or MQTTProtocolVersion.MQTTv311
        options = {} if version else {"clean_session": clean}
        client = self.client = paho.Client(
            CallbackAPIVersion.VERSION2, station.name, protocol=protocol, **options,
            reconnect_on_failure=False, manual_ack=manual_ack,
        )  # fmt: skip
        # More than the endpoint takes in at once.
        client.max_inflight_messages_set(100)
        client.username_pw_set(station.name, station.password())
        if ca is not None:
            client.tls_set(str(ca))
        client.on_connect = lambda _c, _u, flags, code, _p: self.connects.put((flags, code))
        client.on_subscribe = lambda _c, _u, _mid, codes, _p: self.granted.put(codes)
        client.on_message = lambda _c, _u, message: self.messages.put(message)
        client.on_publish = lambda _c, _u, mid, _code, _p: self.published.put(mid)
        client.on_disconnect = lambda _c, _u, _f, code, _p: self.losses.put(code)
        client.connect("127.0.0.1", rig.port)
        client.loop_start()

    def connected(self):
        flags, code = self.connects.get(timeout=WAIT_S)
        return flags.session_present, code.value

    def subscribe(self, *filters):
        self.client.subscribe([(name, 1) for name in filters])
        return [code.value for code in self.granted.get(timeout=WAIT_S)]

    def message(self):
        got = self.messages.get(timeout=WAIT_S)
        return got.topic, got.payload, got.qos, got.retain, got.dup

    def kill(self):
        """Lose the connection as a power cut does: no DISCONNECT."""
        self.client._sock_close()
        self.client.loop_stop()


@contextmanager
def paho_client(rig, station, **options):
    made = Paho(rig, station, **options)
    try:
        yield made
    finally:
        made.client.disconnect()
        made.client.loop_stop()


def test_paho_publishes_and_is_acknowledged(station, secured):
    ca, options = secured
    with endpoint(**options) as rig, paho_client(rig, station, ca=ca) as client:
        assert client.connected() == (False, 0)
        for number in range(500):
            client.client.publish(station.up, bytes([number % 256]) * 300, qos=1)
        acknowledged = {client.published.get(timeout=WAIT_S) for _ in range(500)}
        assert len(acknowledged) == 500
        assert [one.data[0] for one in rig.ingest.submissions] == [i % 256 for i in range(500)]


def test_paho_gets_retained_and_live_downlinks(station, secured):
    ca, options = secured
    with endpoint(**options) as rig:
        rig.to(b"", "tick", bytes(range(256)))
        with paho_client(rig, station, ca=ca) as client:
            client.connected()
            assert client.subscribe(f"{station.down}/#", ALL, "#") == [1, 1, 0x80]
            tick = (f"{PREFIX}/all/tick", bytes(range(256)), 0, True, False)
            assert client.message() == tick
            rig.to(station.device, "receipt", b"r")
            assert client.message() == (f"{station.down}/receipt", b"r", 1, False, False)
            rig.to(b"", "keys", b"k")
            assert client.message() == (f"{PREFIX}/all/keys", b"k", 0, False, False)


def test_paho_gets_what_it_did_not_acknowledge_again(station):
    with endpoint() as rig:
        client = Paho(rig, station, clean=False, manual_ack=True)
        assert client.connected() == (False, 0)
        client.subscribe(f"{station.down}/#")
        for number in range(10):
            rig.to(station.device, "receipt", b"%d" % number)
            assert client.message()[1] == b"%d" % number
        client.kill()
        with paho_client(rig, station, clean=False) as again:
            assert again.connected() == (True, 0)
            topic = f"{station.down}/receipt"
            assert [again.message() for _ in range(10)] == [
                (topic, b"%d" % number, 1, False, True) for number in range(10)
            ]
            rig.to(station.device, "receipt", b"next")
            assert again.message() == (topic, b"next", 1, False, False)


def test_paho_returns_to_its_session_and_finds_what_came_meanwhile(station):
    with endpoint() as rig:
        with paho_client(rig, station, clean=False) as client:
            client.connected()
            client.subscribe(f"{station.down}/#", ALL)
        rig.eventually(lambda: rig.endpoint.state().connections == 0)
        rig.to(station.device, "receipt", b"old")
        rig.to(station.device, "receipt", b"new")
        rig.to(b"", "tick", b"5")
        with paho_client(rig, station, clean=False) as again:
            assert again.connected() == (True, 0)
            assert {again.message()[1], again.message()[1]} == {b"new", b"5"}


def test_paho_is_told_why_it_is_refused(station):
    with endpoint() as rig:
        with paho_client(rig, station) as client:
            assert client.connected() == (False, 0)
        station._counter = 0
        with paho_client(rig, station) as client:
            # paho translates return code 5.
            assert client.connects.get(timeout=WAIT_S)[1] == "Not authorized"
        with paho_client(rig, station, version=MQTTProtocolVersion.MQTTv5) as client:
            code: ReasonCode = client.connects.get(timeout=WAIT_S)[1]
            assert code == "Unsupported protocol version"


def test_paho_is_cut_off_when_it_publishes_at_qos_2(station):
    with endpoint() as rig, paho_client(rig, station) as client:
        client.connected()
        client.client.publish(station.up, b"x", qos=2)
        assert client.losses.get(timeout=WAIT_S).is_failure
        assert rig.ingest.submissions == []


# ---- Mosquitto's clients


def mosquitto(program, rig, station, *arguments, ca=None):
    command = [
        program, "-h", "127.0.0.1", "-p", str(rig.port), "-V", "mqttv311", "-i", station.name,
        "-u", station.name, "-P", station.password(), *arguments,
    ]  # fmt: skip
    if ca is not None:
        command += ["--cafile", str(ca)]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT_S,
    )
    return done.returncode, done.stdout, done.stderr


def test_mosquitto_pub_loses_nothing(station, secured, require_component):
    pub = require_component("mosquitto_pub")
    ca, options = secured
    with endpoint(**options) as rig:
        # Not lines from stdin: with -l mosquitto_pub 2.0.11 once did not end, in a full run of the
        # suite and never again in sixty tries under load.
        arguments = ("-q", "1", "-t", station.up, "-m", "x", "--repeat", "300")
        code, _, errors = mosquitto(pub, rig, station, *arguments, ca=ca)
        assert (code, errors) == (0, "")
        assert [one.data for one in rig.ingest.submissions] == [b"x"] * 300


def test_mosquitto_pub_at_qos_0_loses_nothing_either(station, require_component):
    pub = require_component("mosquitto_pub")
    with endpoint() as rig:
        arguments = ("-q", "0", "-t", station.up, "-m", "x", "--repeat", "200")
        mosquitto(pub, rig, station, *arguments)
        rig.until(lambda: len(rig.ingest.submissions) == 200)


def test_mosquitto_pub_is_told_that_its_password_is_worth_nothing(station, require_component):
    pub = require_component("mosquitto_pub")
    with endpoint() as rig:
        station.password = lambda: "worthless"
        code, _, errors = mosquitto(pub, rig, station, "-t", station.up, "-m", "x")
        assert code == 4
        assert "bad user name or password" in errors.lower()


def test_a_will_of_mosquitto_sub_is_never_published(station, require_component):
    sub = require_component("mosquitto_sub")
    will = ("--will-topic", station.up, "--will-payload", "gone", "--will-qos", "1")
    with endpoint() as rig:
        rig.to(b"", "tick", b"t")
        code, out, _ = mosquitto(sub, rig, station, *will, "-t", ALL, "-C", "1", "-W", "20")
        assert (code, out) == (0, "t\n")
        assert rig.ingest.submissions == []


def test_mosquitto_sub_gets_retained_messages(station, secured, require_component):
    sub = require_component("mosquitto_sub")
    kept = Downlink(station.device, "receipt", bytes(range(256)))
    ca, options = secured
    with endpoint(ObedientIngest(retained={station.device: (kept,)}), **options) as rig:
        rig.to(b"", "tick", b"tock")
        code, out, _ = mosquitto(
            sub, rig, station, "-q", "1", "-t", f"{station.down}/#", "-t", ALL,
            "-C", "2", "-W", "20", "-F", "%t %x %q %r", ca=ca,
        )  # fmt: skip
        assert code == 0
        assert set(out.splitlines()) == {
            f"{station.down}/receipt {bytes(range(256)).hex()} 1 1",
            f"{PREFIX}/all/tick {b'tock'.hex()} 0 1",
        }


def test_mosquitto_sub_sees_that_another_s_topics_are_refused(station, require_component):
    sub = require_component("mosquitto_sub")
    with endpoint() as rig:
        _, out, errors = mosquitto(sub, rig, station, "-t", f"{PREFIX}/+/down/#", "-W", "20")
        assert (out, "denied" in errors) == ("", True)


# ---- npm `mqtt`


@pytest.fixture(scope="module")
def npm_session(node_modules, require_component):
    folder: Path = node_modules("npm").parent
    node = require_component("node")

    def run(rig, station, *, ca=None, **job):
        job = {
            "url": f"mqtt{'s' if ca else ''}://127.0.0.1:{rig.port}",
            "ca": str(ca) if ca else None,
            "name": station.name,
            "password": station.password(),
            "clean": True,
            "subscribe": [],
            "publish": [],
            "receive": 0,
            "acknowledge": True,
        } | job
        done = subprocess.run(
            [node, "mqtt_client.mjs"], cwd=folder, input=json.dumps(job),
            capture_output=True, text=True, check=True, timeout=2 * WAIT_S,
        )  # fmt: skip
        return json.loads(done.stdout)

    return run


def test_npm_mqtt_publishes_subscribes_and_gets_retained(station, secured, npm_session):
    ca, options = secured
    with endpoint(**options) as rig:
        rig.to(b"", "tick", b"\x01\x02")
        payloads = [f"{number:04x}" for number in range(300)]
        seen = npm_session(
            rig,
            station,
            ca=ca,
            subscribe=[f"{station.down}/#", ALL],
            publish=[[station.up, payload] for payload in payloads],
            receive=1,
        )
        assert seen == {
            "present": False,
            "granted": [1, 1],
            "acknowledged": 300,
            "messages": [
                {
                    "topic": f"{PREFIX}/all/tick",
                    "payload": "0102",
                    "qos": 0,
                    "retain": True,
                    "dup": False,
                }
            ],
            "error": None,
        }
        assert [one.data.hex() for one in rig.ingest.submissions] == payloads


def test_npm_mqtt_gets_what_it_did_not_acknowledge_again(station, npm_session):
    kept = Downlink(station.device, "receipt", b"kept")
    with endpoint(ObedientIngest(retained={station.device: (kept,)})) as rig:
        asked = {"clean": False, "receive": 1}
        first = npm_session(
            rig, station, **asked, subscribe=[f"{station.down}/#"], acknowledge=False
        )
        message = {
            "topic": f"{station.down}/receipt",
            "payload": b"kept".hex(),
            "qos": 1,
            "retain": True,
            "dup": False,
        }
        assert (first["present"], first["messages"]) == (False, [message])
        second = npm_session(rig, station, **asked)
        assert (second["present"], second["messages"]) == (True, [message | {"dup": True}])


def test_npm_mqtt_is_told_why_it_is_refused(station, npm_session):
    with endpoint() as rig:
        station.password = lambda: "worthless"
        assert npm_session(rig, station)["error"] == "4"
