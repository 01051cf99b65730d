"""Networks whose gateway runs in a process of its own, as fleets over MQTT meet them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.cli.gateway_child import GatewayChild
from gateway.shell.network import create_network
from tests.service.children import MosquittoChild


@contextmanager
def driven_gateway(
    folder: Path, epoch_zero_ms: int, seed: int, *options: str
) -> Iterator[GatewayChild]:
    """A running gateway on a driven clock, of a new network unless there is one; ends in order."""
    if not (folder / "genesis.cbor").exists():
        create_network(
            folder, f"simulated-{seed}", simulated=True, epoch_zero_ms=epoch_zero_ms, seed=seed
        )
    child = GatewayChild(folder, "--clock", "driven", *options)
    child.start()
    try:
        yield child
    finally:
        code = child.stop()
    assert code == 0, (folder / "gateway.log").read_text("utf-8")


@contextmanager
def mosquitto(
    data_dir: Path,
    folder: Path,
    devices: list[str],
    tls: tuple[Path, Path, Path] | None = None,
) -> Iterator[MosquittoChild]:
    """A Mosquitto for these devices of the network in data_dir; tls as in MosquittoChild."""
    folder.mkdir()
    child = MosquittoChild(data_dir, folder, devices, tls)
    child.start()
    try:
        yield child
    finally:
        child.stop()


def broker_options(data_dir: Path, url: str) -> tuple[str, ...]:
    """How a gateway of the network in data_dir is told to use that broker."""
    password = data_dir / "keys" / "broker-gateway.password"
    return ("--broker-url", url, "--broker-password-file", str(password))
