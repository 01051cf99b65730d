"""Releases to install, a server to have them from, and slots to put them into; no clock at all."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from types import SimpleNamespace
from typing import Any

from cairn import cbor, cose, limits, slots, update
from cairn.boards import base
from cairn.boards.host import MemoryFiles
from cairn.keyring import Keyring

from tests.unit.firmware.bench import ROOT_PUBLIC, keypair, make_config, root_sign

NETWORK_ID = make_config().network_id
ARCHITECTURE = "bytecode"
KEYS = [keypair(f"release {number}") for number in range(4)]


def digest(data: bytes) -> bytes:
    return sha256(data).digest()


def driven(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine returns that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waits")


@dataclass
class Release:
    """A release of one architecture; each part can be replaced by a wrong one. signers: numbers
    of KEYS that sign.
    """

    files: Mapping[str, bytes]
    counter: int = 2
    version: str = "0.2.0"
    architecture: str = ARCHITECTURE
    serial: int = 1
    threshold: int = 2
    trusted: tuple[int, ...] = (0, 1, 2)
    signers: tuple[int, ...] = (0, 1)
    network_id: bytes = NETWORK_ID
    root: tuple[bytes, Callable[[bytes], bytes]] = (ROOT_PUBLIC, root_sign)

    @property
    def trust(self) -> bytes:
        keys = [KEYS[number][0] for number in self.trusted]
        payload = cbor.encode([16, "release-keys", self.serial, self.threshold, keys])
        kid = cose.kid_of(self.root[0])
        return cose.sign1(self.root[1], kid, self.network_id, "root", payload)[0]

    @property
    def manifest(self) -> bytes:
        rows = [[name, len(data), digest(data)] for name, data in sorted(self.files.items())]
        return cbor.encode([16, self.counter, self.version, self.architecture, rows])

    def signature(self, number: int, payload: bytes | None = None) -> list[bytes]:
        public, sign = KEYS[number]
        aad = cose.external_aad(self.network_id, "release")
        kid = cose.kid_of(public)
        signed = cose.sig_structure(cose.protected(kid), aad, payload or self.manifest)
        return [kid, sign(signed)]

    @property
    def bundle(self) -> bytes:
        rows = sorted(self.signature(number) for number in self.signers)
        return cbor.encode([self.trust, self.manifest, rows])

    @property
    def index(self) -> bytes:
        return cbor.encode([[self.architecture, len(self.bundle), digest(self.bundle)]])

    @property
    def offer(self) -> tuple[bytes, int]:
        return digest(self.index), self.counter

    def pages(self) -> dict[str, bytes]:
        """What a gateway serves of it."""
        folder = f"/v1/releases/{self.counter}/"
        found = {folder + "index": self.index, folder + self.architecture: self.bundle}
        for data in self.files.values():
            found["/v1/releases/files/" + digest(data).hex()] = data
        return found


class MemoryPrograms(MemoryFiles, base.Programs):
    """free: bytes that are free, however much is written."""

    def __init__(self, slot: str = "a", free: int = 1 << 20) -> None:
        super().__init__()
        self.slot = slot
        self.free = free

    def size(self, name: str) -> int | None:
        content = self._content.get(name)
        return None if content is None else len(content)

    def read_at(self, name: str, start: int, size: int) -> bytes:
        return bytes(self._content[name][start : start + size])

    def put(self, name: str, data: bytes) -> None:
        self.write(name, data)

    def remove(self, name: str) -> None:
        if not name:
            raise OSError("it is the root")
        super().remove(name)

    def rename(self, name: str, to: str) -> None:
        self._content[to] = self._content.pop(name)

    def free_bytes(self) -> int:
        return self.free

    def content(self, slot: str) -> dict[str, bytes]:
        return {
            name[2:]: bytes(data) for name, data in self._content.items() if name[:2] == f"{slot}/"
        }


def put_program(
    programs: base.Programs, slot: str, files: Mapping[str, bytes], counter: int
) -> None:
    """As a cable does it."""
    rows = [(name, len(data), digest(data)) for name, data in sorted(files.items())]
    for name, data in files.items():
        programs.write(f"{slot}/{name}", data)
    text = update.release_text(counter, "0.1.0", ARCHITECTURE, rows)
    programs.write(f"{slot}/release", text)
    slots.store(programs, (slot, "-", 0, 0, counter, 0))


class ServedStream(base.Stream):
    """One request to a Server."""

    def __init__(self, server: "Server") -> None:
        self.server = server
        self.request = b""
        self.left: bytes | None = None

    async def write(self, data: bytes) -> None:
        self.request += data

    async def read(self, size: int) -> bytes:
        if self.left is None:
            self.left = self.server.answer(self.request)
        if self.server.cut_after is not None:
            size = min(size, self.server.cut_after)
            self.server.cut_after -= size
            if not size:
                raise OSError("connection reset")
        part, self.left = self.left[:size], self.left[size:]
        return part

    def close(self) -> None:
        pass


def http(body: bytes, status: str = "200 OK", **headers: str) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n"
    head += "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return head.encode() + b"\r\n" + body


@dataclass
class Server:
    """asked: (path, first byte) of each request. cut_after: bytes until the connection breaks.
    broken: what answers instead, if it does.
    """

    pages: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, int]] = field(default_factory=list)
    cut_after: int | None = None
    ranges: bool = True
    broken: Callable[[str, int], bytes | None] = lambda *_: None

    def answer(self, request: bytes) -> bytes:
        lines = request.split(b"\r\n")
        path, start = lines[0].split(b" ")[1].decode(), 0
        for line in lines:
            if line.startswith(b"Range: bytes="):
                start = int(line[13:-1])
        self.asked.append((path, start))
        body = self.pages.get(path)
        instead = self.broken(path, start)
        if instead is not None:
            return instead
        if body is None:
            return http(b"no such page", "404 Not Found")
        if start and self.ranges:
            span = f"bytes {start}-{len(body) - 1}/{len(body)}"
            return http(body[start:], "206 Partial Content", Content_Range=span)
        return http(body)


class StillBoard(base.Board):
    """No time passes on it, and nothing that it spawns runs."""

    def __init__(self, programs: base.Programs, server: Server | None) -> None:
        self.fs = MemoryFiles()
        self.server = server
        self._programs = programs

    def programs(self) -> base.Programs:
        return self._programs

    async def stream(self, host: str, port: int, tls: object | None) -> base.Stream:  # noqa: ARG002
        if self.server is None:
            raise OSError("no route")
        return ServedStream(self.server)

    async def sleep(self, duration_ms: int) -> None:
        pass

    def spawn(self, coroutine: Any) -> None:
        coroutine.close()

    def event(self) -> Any:
        return SimpleNamespace(set=lambda: None, wait=self.sleep)

    def entropy(self, size: int) -> bytes:
        return b"\x80" * size


class Attempt:
    """One attempt to install what a server has. noted: fault codes."""

    def __init__(
        self, programs: base.Programs, server: Server | None, offer: tuple[bytes, int]
    ) -> None:
        self.board = StillBoard(programs, server)
        self.config = make_config()
        self.keyring = Keyring(self.board, self.config.network_id, self.config.root_key)
        self.offer = offer
        self.failures = self.spoiled = 0
        self.noted: list[str] = []
        self.faults = SimpleNamespace(note=lambda code, _: self.noted.append(code))

    def drawn(self, of_ms: int) -> int:
        return of_ms

    def tries(self) -> int:
        return limits.TRIAL_TRIES

    def run(self) -> int:
        result: int = driven(update.attempt(self, self.offer))  # type: ignore[arg-type]
        return result
