"""The client of an external broker when that broker is away, wrong, killed, or behind TLS."""

import asyncio
from pathlib import Path

import cbor2
import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.core.genesis import SLOT_MS
from gateway.core.ids import device_name
from gateway.core.verdicts import Verdict
from gateway.shell.broker import BrokerOptions, BrokerSource
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.ingest import IngestLimits
from gateway.shell.mosquitto import broker_password, broker_secret
from gateway.shell.network import NetworkKeys
from tests.service.children import MosquittoChild
from tests.service.gateway_rig import START, body_of
from tests.service.ingest_rig import driven, ingesting, run
from tests.service.signing_station import SigningStation
from tests.service.source_rig import MOSQUITTO, Served, Site
from tests.unit.firmware.certificates import make_authority

START_SLOT = START // SLOT_MS


@pytest.fixture
def station(keys: NetworkKeys) -> SigningStation:
    return SigningStation(1, keys.network_id)


@pytest.fixture
def broker(keys: NetworkKeys, station, tmp_path: Path, require_component):
    require_component("mosquitto")
    child = MosquittoChild(keys.folder, tmp_path / "broker", [device_name(station.device)])
    yield child
    child.stop()


@pytest.fixture
def site(keys: NetworkKeys, station, tmp_path: Path, require_component):
    require_component("mosquitto")
    site = Site(MOSQUITTO, keys, tmp_path, [device_name(station.device)])
    yield site
    site.close()


def password(keys: NetworkKeys, user: str = "gateway") -> str:
    return broker_password(broker_secret(keys.folder / "keys"), user)


async def watch(keys: NetworkKeys, options: BrokerOptions, look) -> None:
    """Run look(source, until) on a started source; stop everything in order."""
    async with ingesting(keys) as rig:
        source = BrokerSource(rig.ingest, keys.network_id, options)
        rig.ingest.attach(source)
        served = Served(rig, source)
        await source.start()
        try:
            await look(source, served.until)
        finally:
            await source.stop()


def test_a_broker_that_is_down_is_tried_until_it_is_up(keys, broker: MosquittoChild):
    async def look(source, until):
        await until(lambda: "refused" in source.state().detail)
        assert not source.state().up
        broker.start()
        await until(lambda: source.state().up)
        assert source.state().connections == 1
        assert source.state().detail == ""

    run(lambda: watch(keys, BrokerOptions(broker.url, "gateway", password(keys)), look))


def test_a_wrong_password_is_said_and_a_right_one_later_is_taken(keys, broker: MosquittoChild):
    broker.start()

    async def look(source, until):
        await until(lambda: "refuses the login of gateway" in source.state().detail)
        assert not source.state().up

    run(lambda: watch(keys, BrokerOptions(broker.url, "gateway", "guess"), look))


def test_what_all_must_know_is_said_again_to_a_broker_that_forgot(keys, broker, station):
    broker.start()

    async def look(source, until):
        await until(lambda: source.state().up)
        broker.kill()
        await until(lambda: not source.state().up)
        for path in (broker.log.parent / "state").iterdir():
            path.unlink()
        broker.start()
        await until(lambda: source.state().up)
        client = site_client(keys, broker, station)
        assert await asyncio.to_thread(client.connect) == "Success"
        assert await asyncio.to_thread(client.wait_message, "keys")
        client.close()

    run(lambda: watch(keys, BrokerOptions(broker.url, "gateway", password(keys)), look))


def site_client(keys: NetworkKeys, broker: MosquittoChild, station: SigningStation):
    from tests.service.paho_station import PahoStation

    own = password(keys, device_name(station.device))
    return PahoStation(station, keys.network_id, broker.url, password=own)


def test_a_killed_broker_loses_nothing_that_is_sent_again(site: Site, keys, station):
    messages = [station.hello(START), *(station.reading(START, n) for n in range(200))]

    async def test():
        async with site.gateway() as served:
            client = site.client(station)
            await asyncio.to_thread(client.connect)
            client.publish(*messages[:100])
            await served.judged(20)
            site.broker.kill()
            await served.until(lambda: not served.source.state().up)
            client.close()
            site.broker.start()
            await served.until(lambda: served.source.state().up)
            client = site.client(station)
            await asyncio.to_thread(client.connect)
            client.publish(*messages)
            await served.until(lambda: stored_count(served) == len(messages))
            await asyncio.to_thread(client.wait_acked, len(messages))
            up_to = 0
            while up_to < len(messages):
                data = await asyncio.to_thread(client.wait_message, "receipt")
                up_to = receipt(keys, station, data)[0]
            client.close()

    run(test)


def stored_count(served: Served) -> int:
    rows = served.rig.stored._rows("SELECT COUNT(*) FROM admission_log", ())
    return int(rows[0][0])


def receipt(keys: NetworkKeys, station: SigningStation, data: bytes) -> list[int]:
    from gateway.core.downlink import Downlink

    return body_of(keys, Downlink(station.device, "receipt", data))


def test_a_full_queue_holds_paho_back_and_nothing_is_lost(site: Site, station):
    messages = [station.hello(START), *(station.reading(START, n) for n in range(1_100))]
    limits = IngestLimits(queue_messages_max=64)

    async def test():
        async with site.gateway(limits=limits) as served:
            client = site.client(station)
            await asyncio.to_thread(client.connect)
            heard: list[bool] = []
            served.rig.ingest.on_pressure(heard.append)
            client.publish(*messages)
            events = await served.judged(len(messages))
            assert {event.verdict for event in events} == {Verdict.OK}
            assert heard[:2] == [True, False]
            assert heard[-1] is False
            client.close()

    run(test)


def test_a_full_queue_does_not_keep_the_first_tick_out(site: Site, station):
    messages = [station.hello(START), *(station.reading(START, n) for n in range(200))]
    limits = IngestLimits(queue_messages_max=64)

    async def test():
        async with site.gateway(clock=driven(), limits=limits) as served:
            client = site.client(station)
            await asyncio.to_thread(client.connect)
            client.publish(*messages)
            await served.until(lambda: served.rig.ingest.queued == len(messages))
            await asyncio.to_thread(site.tick, cbor2.dumps([START_SLOT]))
            await served.judged(len(messages))
            client.close()

    run(test)


# paho drops the socket of a failed handshake without closing it; the interpreter then does.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_tls_needs_a_certificate_that_the_authority_vouches_for(
    keys, broker: MosquittoChild, tmp_path: Path, require_component
):
    openssl = require_component("openssl")
    authority, foreign = (make_authority(openssl, tmp_path / name) for name in ("ca", "other"))
    certificate, key = authority.issue("localhost")
    written = CliRunner().invoke(
        main,
        [
            *("broker", "init", "mosquitto", "--data", str(keys.folder), "--json"),
            *("--out", str(broker.log.parent), "--listen", f"127.0.0.1:{broker.port}"),
            *("--tls-cert", str(certificate), "--tls-key", str(key)),
            *("--ca", str(authority.certificate)),
        ],
    )
    assert written.exit_code == 0, written.output
    broker.start()
    url = f"mqtts://localhost:{broker.port}"

    async def good(source, until):
        await until(lambda: source.state().up)

    async def bad(source, until):
        await until(lambda: "certificate verify failed" in source.state().detail)

    def options(url: str, ca_file: Path | None) -> BrokerOptions:
        return BrokerOptions(url, "gateway", password(keys), ca_file)

    run(lambda: watch(keys, options(url, authority.certificate), good))
    run(lambda: watch(keys, options(url, foreign.certificate), bad))
    # Nobody vouches for the other name of the same machine.
    run(
        lambda: watch(
            keys, options(url.replace("localhost", "127.0.0.1"), authority.certificate), bad
        )
    )


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1", "tcp://127.0.0.1:1883", "mqtt://", "mqtt://h:99999", "mqtt://[::1"]
)
def test_an_address_that_is_none_is_an_operator_fault(keys, url: str):
    async def test():
        async with ingesting(keys) as rig:
            with pytest.raises(OperatorFault) as caught:
                BrokerSource(rig.ingest, keys.network_id, BrokerOptions(url))
            assert caught.value.code == Code.CONFIG_INVALID

    run(test)


def test_a_file_without_certificates_is_an_operator_fault(keys, tmp_path: Path):
    (tmp_path / "ca.pem").write_text("nothing")

    async def test():
        async with ingesting(keys) as rig:
            for name in ("ca.pem", "absent.pem"):
                options = BrokerOptions("mqtts://localhost", ca_file=tmp_path / name)
                with pytest.raises(OperatorFault) as caught:
                    BrokerSource(rig.ingest, keys.network_id, options)
                assert caught.value.code == Code.TLS_UNUSABLE

    run(test)
