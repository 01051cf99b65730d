"""Under which address a board is told to reach a gateway, and what it is told to trust."""

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.core.genesis import DAY_MS
from gateway.shell import onboarding as module
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.network import create_network
from gateway.shell.onboarding import Broker, Onboarding, Reach, Time, onboarding_of, reach
from gateway.shell.settings import load

START = 20_000 * DAY_MS
ANY = "0.0.0.0"  # noqa: S104 - it is asked for, not listened on
BOUND = {"mqtt_port": 18_830, "http_port": 18_080}


def reached(**flags) -> Reach:
    return reach(load(flags, None, {}).settings, **BOUND)


def pem(name: str) -> str:
    """A certificate that vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime(2026, 1, 1, tzinfo=UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=9_000))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


@pytest.fixture
def outward(monkeypatch):
    """This machine as others see it, whatever machine that is."""

    class Probe:
        def __init__(self, *_: object) -> None:
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def connect(self, _: tuple[str, int]) -> None:
            pass

        def getsockname(self) -> tuple[str, int]:
            return "10.1.2.3", 50_000

    monkeypatch.setattr(module.socket, "socket", Probe)


def test_the_ports_that_are_bound_count():
    found = reached(mqtt_port=0, http_port=0)
    assert found.broker == Broker("127.0.0.1", 18_830, tls=False, ca_pem=None)
    assert found.time == Time("127.0.0.1", 18_080)
    assert found.this_machine_only


@pytest.mark.parametrize("wildcard", [ANY, "::"])
@pytest.mark.usefixtures("outward")
def test_every_interface_is_the_address_towards_the_network(wildcard):
    found = reached(mqtt_host=wildcard, http_host=wildcard)
    assert (found.broker.host, found.time.host) == ("10.1.2.3", "10.1.2.3")
    assert not found.this_machine_only


def test_without_a_way_out_every_interface_is_this_machine(monkeypatch):
    def no_way(*_):
        raise OSError("Network is unreachable")

    monkeypatch.setattr(module.socket.socket, "connect", no_way)
    assert reached(mqtt_host=ANY).broker.host == "127.0.0.1"


def test_the_probe_finds_an_address_of_this_machine():
    found = reached(mqtt_host=ANY).broker.host
    with socket.socket() as own:
        own.bind((found, 0))


def test_an_address_that_listens_is_told_as_it_is():
    found = reached(mqtt_host="192.168.7.5", http_host="192.168.7.6")
    assert (found.broker.host, found.time.host) == ("192.168.7.5", "192.168.7.6")
    assert not found.this_machine_only
    assert reached(mqtt_host="192.168.7.5").this_machine_only


def test_the_public_host_goes_before_all():
    found = reached(public_host="cairn.example.org", mqtt_host=ANY)
    assert (found.broker.host, found.time.host) == ("cairn.example.org", "cairn.example.org")


@pytest.mark.parametrize("host", ["h:80", "http://h", "a b", "", "h/x", "user@h"])
def test_a_public_host_is_a_host_alone(host):
    with pytest.raises(OperatorFault) as caught:
        load({"public_host": host}, None, {})
    assert caught.value.code == Code.CONFIG_INVALID


def test_a_foreign_broker_is_told_and_not_our_own_endpoint():
    found = reached(broker_url="mqtts://broker.example.org", public_host="cairn.example.org")
    assert found.broker == Broker("broker.example.org", 8883, tls=True, ca_pem=None)
    assert found.time.host == "cairn.example.org"
    assert reached(broker_url="mqtt://b:1884").broker.port == 1884


def test_a_foreign_broker_on_this_machine_has_the_name_of_this_machine():
    found = reached(broker_url="mqtt://127.0.0.1:1884", http_host="192.168.7.6")
    assert found.broker == Broker("192.168.7.6", 1884, tls=False, ca_pem=None)
    assert reached(broker_url="mqtt://localhost").this_machine_only


def test_boards_trust_the_end_of_the_chain_unless_told_otherwise(tmp_path: Path):
    leaf, ca, other = pem("leaf"), pem("ca"), pem("other")
    chain = tmp_path / "chain.pem"
    chain.write_text(f"subject=leaf\n{leaf}subject=ca\n{ca}")
    (tmp_path / "other.pem").write_text(other)
    flags = {"mqtt_tls_cert": chain, "mqtt_tls_key": tmp_path / "key.pem"}
    assert reached(**flags).broker == Broker("127.0.0.1", 18_830, tls=True, ca_pem=ca)
    named = reached(**flags, mqtt_ca_file=tmp_path / "other.pem")
    assert named.broker.ca_pem == other
    foreign = {"broker_url": "mqtts://b", "broker_ca_file": chain}
    assert reached(**foreign).broker.ca_pem == leaf + ca
    assert reached(**foreign, mqtt_ca_file=tmp_path / "other.pem").broker.ca_pem == other
    # Without TLS there is nothing to trust.
    assert reached(mqtt_ca_file=tmp_path / "other.pem").broker.ca_pem is None


@pytest.mark.parametrize("text", ["", "no certificate", pem("x").replace("M", "!", 3)])
def test_a_file_without_a_certificate_is_refused(tmp_path: Path, text):
    path = tmp_path / "ca.pem"
    path.write_text(text)
    with pytest.raises(OperatorFault) as caught:
        reached(broker_url="mqtts://b", mqtt_ca_file=path)
    assert caught.value.code == Code.TLS_UNUSABLE
    assert str(path) in caught.value.what
    assert "mqtt_ca_file" in caught.value.do


def test_without_a_gateway_the_settings_tell(tmp_path: Path):
    create_network(tmp_path / "data", "town", simulated=False, epoch_zero_ms=START)
    loaded = load({"data_dir": tmp_path / "data"}, None, {})
    told = onboarding_of(loaded)
    assert (told.name, told.broker.port, told.time.port) == ("town", 1883, 8080)
    assert (told.region, told.beacon_every) == ("EU868", 120)
    assert Onboarding.of_document(told.document()) == told


@pytest.mark.parametrize("name", ["mqtt_port", "http_port"])
def test_a_free_port_is_known_to_a_running_gateway_alone(tmp_path: Path, name):
    create_network(tmp_path / "data", "town", simulated=False, epoch_zero_ms=START)
    loaded = load({"data_dir": tmp_path / "data", name: 0}, None, {})
    with pytest.raises(OperatorFault) as caught:
        onboarding_of(loaded)
    assert caught.value.code == Code.GATEWAY_ABSENT
    assert name in caught.value.what


@pytest.mark.parametrize(
    "damage",
    [
        lambda found: found.pop("genesis"),
        lambda found: found.update(broker={"host": "h"}),
        lambda found: found.update(time=None),
        lambda found: found.update(genesis="zz"),
    ],
)
def test_what_is_no_onboarding_is_not_read_as_one(tmp_path: Path, damage):
    create_network(tmp_path / "data", "town", simulated=False, epoch_zero_ms=START)
    found = onboarding_of(load({"data_dir": tmp_path / "data"}, None, {})).document()
    damage(found)
    with pytest.raises(ValueError, match="no answer"):
        Onboarding.of_document(found)


def test_a_document_is_an_object():
    with pytest.raises(ValueError, match="no answer"):
        Onboarding.of_document([1])


@pytest.mark.parametrize(
    "part, wrong",
    [
        ("time", {"host": 7}),
        ("time", {"host": "a\x1b[2J"}),
        ("time", {"port": 70_000}),
        ("broker", {"port": True}),
        ("broker", {"tls": "yes"}),
        ("broker", {"ca_pem": 7}),
    ],
)
def test_an_answer_with_fields_of_another_kind_is_none(part, wrong):
    told = {
        "name": "n",
        "network_id": "00",
        "genesis": "00",
        "root_key": "00",
        "simulated": True,
        "this_machine_only": False,
        "region": None,
        "beacon_every": None,
        "admission_policy": "open",
        "broker": {"host": "h", "port": 1883, "tls": False, "ca_pem": None},
        "time": {"host": "h", "port": 8080},
    }
    assert Onboarding.of_document(told).time.port == 8080
    with pytest.raises(ValueError, match="no answer"):
        Onboarding.of_document(told | {part: told[part] | wrong})
