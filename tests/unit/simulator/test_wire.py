"""Real sockets beside the virtual clock: pieces, ends, refusals, power cuts, wall timers."""

import contextlib
import resource
import socket
import ssl
import subprocess
import threading

import pytest

from simulator.wire import INBOX_BYTES_MAX, TcpStream, TooFewFiles, Wire, allow_sockets
from simulator.world import Group, World

SECONDS_MAX = 20


@pytest.fixture
def world():
    return World(1_000, seed=3)


@pytest.fixture
def wire(world):
    made = Wire(world)
    yield made
    made.close()


@pytest.fixture
def peer():
    """A listening socket; what it accepts is closed with it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(SECONDS_MAX)
        yield server


def port_of(server):
    return server.getsockname()[1]


def pump_until(wire, done):
    for _ in range(SECONDS_MAX * 10):
        if done():
            return
        wire.pump(0.1)
    raise AssertionError("nothing came of it")


def spawn(wire, coroutine, group=None):
    """Run a coroutine; the list gets its result or its OSError."""
    results = []

    async def run():
        try:
            results.append(await coroutine)
        except OSError as error:
            results.append(error)

    wire.world.spawn(run(), group or Group("test"))
    return results


def connected(wire, server, group=None):
    stream = TcpStream(wire)
    results = spawn(wire, stream.connect("127.0.0.1", port_of(server), None), group)
    pump_until(wire, lambda: results)
    assert results == [None]
    accepted, _ = server.accept()
    accepted.settimeout(SECONDS_MAX)
    return stream, accepted


def test_pieces_arrive_in_order_while_virtual_time_stands(wire, peer, world):
    stream, other = connected(wire, peer)
    with other:
        seen = []

        async def read():
            while len(b"".join(seen)) < 11:
                seen.append(await stream.read(4))

        spawn(wire, read())
        for piece in (b"hel", b"lo ", b"world"):
            before = len(b"".join(seen))
            other.sendall(piece)
            pump_until(wire, lambda before=before: len(b"".join(seen)) > before)
        assert b"".join(seen) == b"hello world"
        assert max(map(len, seen)) <= 4
        assert world.now_ms == 1_000
    stream.close()


def test_what_is_written_leaves_without_a_pump(wire, peer, world):
    stream, other = connected(wire, peer)
    with other:
        spawn(wire, stream.write(b"now"))
        world.run(world.now_ms)
        assert other.recv(10) == b"now"
        assert other.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    stream.close()


def test_small_messages_do_not_wait_for_acknowledgements(wire, peer):
    stream, other = connected(wire, peer)
    with other:
        assert stream._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    stream.close()


def test_a_write_beyond_the_buffers_goes_on_when_the_peer_reads(wire, peer):
    stream, other = connected(wire, peer)
    data = bytes(range(256)) * 40_000
    written = spawn(wire, stream.write(data))
    wire.pump(0)
    assert not written
    received = bytearray()

    def drain():
        while len(received) < len(data):
            received.extend(other.recv(1 << 20))

    reader = threading.Thread(target=drain)
    reader.start()
    pump_until(wire, lambda: written)
    reader.join(SECONDS_MAX)
    other.close()
    assert written == [None]
    assert received == data
    stream.close()


def test_a_flood_is_held_back_and_lost_nowhere(wire, peer):
    stream, other = connected(wire, peer)
    data = bytes(1 << 20) * 4
    sender = threading.Thread(target=other.sendall, args=(data,))
    sender.start()
    pump_until(wire, lambda: len(stream._inbox) >= INBOX_BYTES_MAX)
    for _ in range(20):
        wire.pump(0)
    assert len(stream._inbox) < INBOX_BYTES_MAX + 65_536
    sizes = []

    async def read():
        while sum(sizes) < len(data):
            sizes.append(len(await stream.read(100_000)))

    done = spawn(wire, read())
    pump_until(wire, lambda: done)
    sender.join(SECONDS_MAX)
    assert sum(sizes) == len(data)
    other.close()
    stream.close()


def test_the_peers_end_comes_behind_what_it_sent(wire, peer):
    stream, other = connected(wire, peer)
    other.sendall(b"last")
    other.close()
    seen = []

    async def read():
        while chunk := await stream.read(100):
            seen.append(chunk)

    done = spawn(wire, read())
    pump_until(wire, lambda: done)
    assert (b"".join(seen), done) == (b"last", [None])
    stream.close()


def test_nobody_listening_is_an_os_error(wire, peer):
    port = port_of(peer)
    peer.close()
    refused = spawn(wire, TcpStream(wire).connect("127.0.0.1", port, None))
    unknown = spawn(wire, TcpStream(wire).connect("no-such-host.invalid", port, None))
    pump_until(wire, lambda: refused and unknown)
    assert isinstance(refused[0], ConnectionRefusedError)
    assert isinstance(unknown[0], OSError)
    assert not wire._selector.get_map()


def test_closing_ends_a_read_that_waits(wire, peer):
    stream, other = connected(wire, peer)
    with other:
        read = spawn(wire, stream.read(1))
        wire.pump(0)
        assert not read
        stream.close()
        stream.close()
        wire.pump(0)
        assert isinstance(read[0], OSError)
        assert other.recv(1) == b""
    written = spawn(wire, stream.write(b"x"))
    wire.pump(0)
    assert isinstance(written[0], OSError)


def test_a_power_cut_resets_the_connection(wire, peer):
    group = Group("board")
    stream, other = connected(wire, peer, group)
    with other:
        spawn(wire, stream.read(1), group)
        wire.pump(0)
        group.kill()
        stream.abort()
        with pytest.raises(ConnectionResetError):
            other.recv(1)
    assert not wire._selector.get_map()
    wire.pump(0)


def test_a_reset_by_the_peer_is_an_os_error(wire, peer):
    stream, other = connected(wire, peer)
    other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    other.close()
    read = spawn(wire, stream.read(1))
    pump_until(wire, lambda: read)
    assert isinstance(read[0], OSError)
    assert not stream.open


def test_wall_timers_need_no_virtual_time(wire, world):
    started_ms = wire.now_ms()
    slept = spawn(wire, wire.sleep(30))
    timed_out = spawn(wire, wire.event().wait(20))
    pump_until(wire, lambda: slept and timed_out)
    assert timed_out == [False]
    assert 30 <= wire.now_ms() - started_ms < 5_000
    assert world.now_ms == 1_000


def test_an_event_set_in_time_beats_its_timer(wire, world):
    event = wire.event()
    waited = spawn(wire, event.wait(60_000))
    wire.pump(0)
    event.set()
    wire.pump(0)
    assert waited == [True]
    # Virtual hours do not fire it.
    world.run(world.now_ms + 10_000_000)


def test_timers_that_lost_their_race_are_swept(wire):
    event = wire.event()

    async def often():
        for _ in range(20_000):
            event.set()
            event.clear()
            event.set()
            await event.wait(60_000)
            event.clear()
            wire.world.call_at(wire.world.now_ms, event.set)
            await event.wait(60_000)

    done = spawn(wire, often())
    pump_until(wire, lambda: done)
    assert len(wire._timers) < 10_000


@pytest.fixture
def certificate(tmp_path, require_component):
    """Key and certificate of `localhost`."""
    openssl = require_component("openssl")
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-keyout", key, "-out", cert, "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(command, check=True, capture_output=True)
    return key, cert


def tls_echo(server, key, cert):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    accepted, _ = server.accept()
    accepted.settimeout(SECONDS_MAX)
    with contextlib.suppress(OSError), context.wrap_socket(accepted, server_side=True) as secure:
        while data := secure.recv(65_536):
            secure.sendall(data)
    accepted.close()


def test_tls_carries_bytes_and_checks_who_answers(wire, peer, certificate):
    key, cert = certificate
    echo = threading.Thread(target=tls_echo, args=(peer, key, cert))
    echo.start()
    stream = TcpStream(wire)
    data = bytes(range(256)) * 400
    got = bytearray()

    async def talk():
        await stream.connect("localhost", port_of(peer), cert.read_bytes())
        await stream.write(data)
        while len(got) < len(data):
            got.extend(await stream.read(10_000))

    done = spawn(wire, talk())
    pump_until(wire, lambda: done)
    assert (done, got) == ([None], data)
    stream.close()
    echo.join(SECONDS_MAX)
    # The same certificate does not vouch for another name.
    echo = threading.Thread(target=tls_echo, args=(peer, key, cert))
    echo.start()
    wrong = spawn(wire, TcpStream(wire).connect("127.0.0.1", port_of(peer), cert.read_bytes()))
    pump_until(wire, lambda: wrong)
    assert isinstance(wrong[0], ssl.SSLCertVerificationError)
    echo.join(SECONDS_MAX)


def test_the_limit_on_open_files_is_raised_or_named(monkeypatch):
    limits = [64, 5_000]
    monkeypatch.setattr(resource, "getrlimit", lambda _: tuple(limits))
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: limits.__setitem__(0, new[0]))
    allow_sockets(2_000)
    assert 2_000 < limits[0] < 5_000
    with pytest.raises(TooFewFiles, match="10000 connections need"):
        allow_sockets(10_000)
