"""A running gateway: every part put together, started in order, and stopped in order.

It knows which parts there are and how they hang together; what they do is theirs. One process
runs one gateway on one data directory, on one event loop with one worker thread.
"""

import asyncio
import os
import resource
import signal
import ssl
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

from gateway.core.registry import Policy
from gateway.shell import log
from gateway.shell.api.app import create_app
from gateway.shell.api.deps import ApiDeps
from gateway.shell.api.server import ApiServer
from gateway.shell.broker import BrokerOptions, BrokerSource
from gateway.shell.clock import Clock, DrivenClock, RealClock
from gateway.shell.endpoint import Endpoint, EndpointOptions
from gateway.shell.entropy_timer import Drand, EntropyTimer, External, no_external
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.ingest import Ingest, IngestLimits
from gateway.shell.live import LiveFeed
from gateway.shell.lock import Addresses, held, remove_addresses, write_addresses
from gateway.shell.metrics import Metrics
from gateway.shell.net_tag import net_tagger
from gateway.shell.network import DATABASE, NetworkKeys, load_keys
from gateway.shell.onboarding import boards_ca, onboarding, reach
from gateway.shell.runtime_health import Watch
from gateway.shell.runtime_log import IngestLog, LoggedMetrics
from gateway.shell.secret_files import api_key, read_secret
from gateway.shell.service import Gateway
from gateway.shell.settings import Loaded
from gateway.shell.settings_fields import Settings
from gateway.shell.source import Source
from gateway.shell.store.sqlite import SqliteStore
from gateway.shell.worker import Worker

# Files, sockets and pipes that are no board's connection.
_OTHER_FILES = 256
_STDIN = 0
_ANY_ADDRESS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - names them


async def run_gateway(
    loaded: Loaded, announce: Callable[[Addresses], None], *, until_stdin_closes: bool = False
) -> int:
    """Run until SIGTERM or SIGINT, or the end of stdin if asked; stop in order and return 0.

    announce is called once all listens. OperatorFault if something cannot be had at the start, or
    fails later so that nothing could be made durable any more.
    """
    settings = loaded.settings
    keys = load_keys(settings.data_dir, loaded.keys_dir)
    _check_clock(settings, keys)
    with held(settings.data_dir), stop_signals() as stop:
        _allow_files(settings.connections_max)
        if until_stdin_closes:
            _watch_stdin(stop)
        async with AsyncExitStack() as parts:
            running = await _start(loaded, keys, parts)
            write_addresses(settings.data_dir, running.addresses)
            parts.callback(remove_addresses, settings.data_dir)
            announce(running.addresses)
            log.event("started", pid=os.getpid(), mqtt=running.addresses.mqtt)
            await running.until(stop)
            log.event("stopping", reason=running.why())
        running.ended()
    log.event("stopped")
    return 0


class _Running:
    """What runs, and for how long."""

    def __init__(
        self, ingest: Ingest, ingesting: asyncio.Task[None], addresses: Addresses
    ) -> None:
        self.addresses = addresses
        self._ingest = ingest
        self._ingesting = ingesting

    async def until(self, stop: asyncio.Event) -> None:
        """Wait until `stop`, or until ingest gives up."""
        stopping = asyncio.create_task(stop.wait(), name="signal")
        await asyncio.wait({stopping, self._ingesting}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()

    def why(self) -> str:
        return str(self._ingest.failed.code) if self._ingest.failed else "asked"

    def ended(self) -> None:
        """Raise what ingest failed of, before it was asked to stop or while it drained."""
        self._ingesting.result()


async def _start(loaded: Loaded, keys: NetworkKeys, parts: AsyncExitStack) -> _Running:
    """Start every part; each leaves on `parts` how it is stopped, the last one first."""
    settings = loaded.settings
    key = api_key(loaded.keys_dir)
    # Asked for by every board that is set up: a file that cannot be read is a fault now.
    boards_ca(settings)
    clock = _clock(settings, keys)
    worker, live, metrics = Worker(), LiveFeed(), LoggedMetrics()
    ingest = Ingest(worker, clock, _limits(settings), live, metrics)
    source = _source(settings, keys, ingest)
    watch = Watch(settings, worker, clock, ingest, source)
    deps = ApiDeps(
        worker=worker,
        network=keys,
        open_store=lambda: _open_reader(settings, keys),
        clock=clock,
        live=live,
        metrics=metrics,
        health=watch.health,
        api_key=key,
        onboarding=lambda rules: onboarding(
            settings, keys, reach(settings, mqtt_port=_port(source), http_port=http.port), rules
        ),
        tell_release=ingest.tell_release,
        flash_images_dir=settings.flash_images_dir,
    )
    http = ApiServer(create_app(deps), live, settings.http_host, settings.http_port)

    lines = IngestLog(metrics, worker, ingest, source)

    parts.push_async_callback(worker.stop)
    await worker.start(lambda: _open_gateway(settings, keys))
    parts.push_async_callback(http.stop)
    await http.start()
    await lines.start()
    parts.push_async_callback(lines.stop)
    parts.push_async_callback(source.stop)
    ingest.attach(source)
    ingesting = asyncio.create_task(ingest.run(), name="ingest")
    # If a later part cannot start, nobody asks for it any more.
    ingesting.add_done_callback(lambda task: task.cancelled() or task.exception())
    parts.push_async_callback(ingest.stop)
    await source.start()
    parts.push_async_callback(source.stop_reading)
    if isinstance(clock, RealClock):
        external = _external(settings, metrics, parts)
        timer = EntropyTimer(ingest, clock, lambda: source.state().up, external)
        telling = asyncio.create_task(timer.run(), name="entropy")
        parts.callback(telling.cancel)
    watching = asyncio.create_task(watch.run(ingesting), name="watch")
    parts.callback(watching.cancel)
    return _Running(ingest, ingesting, _addresses(settings, source, http.port))


def _external(settings: Settings, metrics: Metrics, parts: AsyncExitStack) -> External:
    """What is mixed into each slot's entropy."""
    if settings.entropy_external == "none":
        return no_external
    drand = Drand(settings.entropy_external_url, metrics)
    parts.push_async_callback(drand.stop)
    return drand


def _open_store(settings: Settings, keys: NetworkKeys) -> SqliteStore:
    return SqliteStore.create(
        settings.data_dir / DATABASE,
        keys.network_id,
        busy_timeout_ms=settings.store_busy_timeout_ms,
        samples_max=settings.refused_samples_max,
    )


def _open_reader(settings: Settings, keys: NetworkKeys) -> SqliteStore:
    path = settings.data_dir / DATABASE
    timeout_ms = settings.store_busy_timeout_ms
    return SqliteStore.reader(path, keys.network_id, busy_timeout_ms=timeout_ms)


def _open_gateway(settings: Settings, keys: NetworkKeys) -> Gateway:
    store = _open_store(settings, keys)
    try:
        return Gateway.open(store, keys, Policy(settings.admission_policy))
    except BaseException:
        store.close()
        raise


def _clock(settings: Settings, keys: NetworkKeys) -> Clock:
    if settings.clock == "real":
        return RealClock()
    store = _open_store(settings, keys)
    try:
        length = store.admission_head().length
        newest = store.entries(length - 1, length) if length else ()
        return DrivenClock(newest[0].recv_ms if newest else 0)
    finally:
        store.close()


def _check_clock(settings: Settings, keys: NetworkKeys) -> None:
    if settings.clock == "driven" and not keys.genesis.simulated:
        raise OperatorFault(
            "The clock of this network cannot be driven.",
            "Its genesis says that it is real: readings would be paid for times that never were.",
            "Leave clock = real, or make a network with `cairn network init --simulated`.",
            Code.CLOCK_NOT_DRIVABLE,
        )


def _limits(settings: Settings) -> IngestLimits:
    return IngestLimits(
        queue_messages_max=settings.queue_messages_max,
        device_messages_per_minute=settings.device_messages_per_minute,
        device_messages_burst=settings.device_messages_burst,
        address_logins_per_minute=settings.address_logins_per_minute,
        address_logins_burst=settings.address_logins_burst,
        devices_tracked_max=settings.devices_tracked_max,
    )


def _source(settings: Settings, keys: NetworkKeys, ingest: Ingest) -> Source:
    """The broker that is named, or else our own endpoint; never one in place of the other."""
    if settings.broker_url is not None:
        return BrokerSource(ingest, keys.network_id, broker_options(settings))
    options = EndpointOptions(
        host=settings.mqtt_host,
        port=settings.mqtt_port,
        tls=_tls(settings.mqtt_tls_cert, settings.mqtt_tls_key),
        connections_max=settings.connections_max,
    )
    return Endpoint(ingest, keys.network_id, net_tagger(bytes(keys.gateway)), options)


def broker_options(settings: Settings) -> BrokerOptions:
    """How the external broker is reached; its password is read from its file."""
    assert settings.broker_url is not None
    file = settings.broker_password_file
    return BrokerOptions(
        url=settings.broker_url,
        user=settings.broker_user,
        password=None if file is None else read_secret(file, "the broker's password"),
        ca_file=settings.broker_ca_file,
    )


def _tls(cert: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if cert is None or key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(cert, key, password=_no_password)
    except OSError as error:  # of which ssl.SSLError is one
        raise OperatorFault(
            f"The certificate {cert} cannot be used with the key {key}.",
            f"{error.strerror or error}.",
            "Name a certificate chain and its unencrypted private key, both PEM, that this user "
            "may read: mqtt_tls_cert, mqtt_tls_key.",
            Code.TLS_UNUSABLE,
        ) from error
    return context


def _no_password() -> str:
    # Otherwise OpenSSL asks on the terminal, and a service hangs.
    return ""


def _addresses(settings: Settings, source: Source, http_port: int) -> Addresses:
    mqtt = settings.broker_url
    if isinstance(source, Endpoint):
        scheme = "mqtts" if settings.mqtt_tls_cert else "mqtt"
        mqtt = f"{scheme}://{_host(settings.mqtt_host)}:{source.port}"
    assert mqtt is not None
    http = f"http://{_host(settings.http_host)}:{http_port}"
    return Addresses(os.getpid(), mqtt, http, settings.clock)


def _port(source: Source) -> int | None:
    return source.port if isinstance(source, Endpoint) else None


def _host(host: str) -> str:
    """As this machine reaches it, in a URL."""
    host = _ANY_ADDRESS.get(host, host)
    return f"[{host}]" if ":" in host else host


def _allow_files(connections_max: int) -> None:
    """Let this process open as many files as it may need, as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections_max + _OTHER_FILES
    if hard != resource.RLIM_INFINITY and hard < wanted:
        log.trouble(
            "few_files", allowed=hard, wanted=wanted, hint="raise LimitNOFILE or ulimit -n"
        )
        wanted = hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _watch_stdin(stop: asyncio.Event) -> None:
    """Set `stop` at the end of stdin, which is also the end of whoever holds its other side."""
    loop = asyncio.get_running_loop()

    def look() -> None:
        if not os.read(_STDIN, 4_096):
            loop.remove_reader(_STDIN)
            stop.set()

    try:
        loop.add_reader(_STDIN, look)
    except OSError:
        # What cannot be waited for, /dev/null or a file, has nobody at its other side.
        stop.set()


@contextmanager
def stop_signals() -> Iterator[asyncio.Event]:
    """An event that SIGTERM and SIGINT set; the second of them ends the process at once.

    At once is safe: nothing was acknowledged that is not durable.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def ask(number: int) -> None:
        if stop.is_set():
            log.trouble("stopped_at_once", signal=number)
            os._exit(128 + number)
        stop.set()

    numbers = (signal.SIGTERM, signal.SIGINT)
    for number in numbers:
        loop.add_signal_handler(number, ask, number)
    try:
        yield stop
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
