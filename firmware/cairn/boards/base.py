"""The two seams of the device: Board (everything the chip gives) and Link (the way out).

`Node` and everything in firmware/cairn touch the world only through these. One conformance suite
(tests/unit/firmware/conformance.py) runs against every Board and every Link. A capability that
a board lacks answers None; there are no capability flags. Nothing here is asyncio: an awaitable of
a board is driven by MicroPython's asyncio on the chip and by an event heap in the simulator.
"""

from .. import limits  # noqa: TID252 - inside cairn imports are relative

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from ..config import Config  # noqa: TID252 - inside cairn imports are relative


class Files:
    """Small durable files by flat name ("chain", "outbox/000012"); the only storage a Node has.

    A power cut may fall before, inside or after any call. `write` is atomic: afterwards the
    file holds the old or the new bytes, never a mixture. `append` may leave a torn tail: any
    prefix of the appended bytes. Data of a call that returned is durable.
    """

    def read(self, name: str) -> "bytes | None":
        """Whole content, or None if there is no such file."""
        raise NotImplementedError

    def write(self, name: str, data: bytes) -> None:
        """Replace the file atomically. OSError when storage is full or broken."""
        raise NotImplementedError

    def append(self, name: str, data: bytes) -> None:
        """Add to the end, making the file if needed. OSError when full or broken."""
        raise NotImplementedError

    def remove(self, name: str) -> None:
        """Delete; no error if there is no such file."""
        raise NotImplementedError

    def names(self, prefix: str) -> list[str]:
        """Names that start with prefix, sorted."""
        raise NotImplementedError


class Programs(Files):
    """Programs under the root of a board's file system. Names have folders
    ("a/cairn/station.mpy"). slot: the one that runs, "a" or "b".
    """

    slot: str

    def size(self, name: str) -> "int | None":
        """Bytes of a file; None: there is none."""
        raise NotImplementedError

    def read_at(self, name: str, start: int, size: int) -> bytes:
        """At most size bytes from there on; fewer only at the end."""
        raise NotImplementedError

    def rename(self, name: str, to: str) -> None:
        """In one step, also over a file that is there."""
        raise NotImplementedError

    def free_bytes(self) -> int:
        """Whole free blocks of the file system, in bytes."""
        raise NotImplementedError


class Event:
    """A flag that one task sets and another awaits."""

    def set(self) -> None:
        """Raise the flag and wake every waiter."""
        raise NotImplementedError

    def clear(self) -> None:
        """Lower the flag."""
        raise NotImplementedError

    async def wait(self, timeout_ms: "int | None") -> bool:
        """True once the flag is up; False when timeout_ms passed first (None: no timeout)."""
        raise NotImplementedError


class Stream:
    """A byte stream to a host, plain or TLS."""

    async def read(self, size: int) -> bytes:
        """1..size bytes, or b"" at the end. OSError when the connection broke."""
        raise NotImplementedError

    async def write(self, data: bytes) -> None:
        """All of data, or OSError."""
        raise NotImplementedError

    def close(self) -> None:
        """Release the connection; safe to call twice, and from another task than the reader's: a
        read that waits then ends with b"" or OSError.
        """
        raise NotImplementedError


class Console:
    """The serial console as bytes, and what setting up a board over it asks of its Wi-Fi.

    Nothing is open before open(): till then, and after close(), Ctrl-C ends the program.
    """

    def open(self) -> None:
        """From now on Ctrl-C is a byte like any other."""
        raise NotImplementedError

    def close(self) -> None:
        """Ctrl-C ends the program again."""
        raise NotImplementedError

    def read(self) -> int:
        """The next byte that came, or -1. Does not wait."""
        raise NotImplementedError

    def write(self, data: bytes) -> None:
        """Write bytes as they are."""
        raise NotImplementedError

    def networks(self) -> "list[tuple[bytes, int, bool]]":
        """(name, dBm, whether it takes a password) of what is on the air, strongest first. Blocks
        for seconds. OSError: the radio failed.
        """
        raise NotImplementedError

    async def join(self, name: bytes, password: bytes, timeout_ms: int) -> int:
        """0: connected, and kept for later boots; else a reason, and what was kept before stays.
        OSError: the radio or the storage failed.
        """
        raise NotImplementedError

    def address(self) -> str:
        """Of this board in the network that it joined."""
        raise NotImplementedError

    def chip(self) -> str:
        """Name of the chip, for a human."""
        raise NotImplementedError


class Board:
    """What a Node may ask of its hardware.

    Whoever makes a board's key calls chain.create(fs) first: a Node that finds no chain takes it
    for lost and waits for a receipt.
    """

    fs: Files

    @property
    def vault(self) -> Files:
        """Where key, login counter and configuration are. A board that has a place which a new
        file system leaves alone gives that one; it takes only vault.NAMES and vault.PUBLIC.
        """
        return self.fs

    def offer(self) -> "bytes | None":
        """An encoded Config that came with the program, for a board that has none. None: none."""
        return None

    def programs(self) -> "Programs | None":
        """The files of the programs on it (slots, "a/...", "b/..."), for updates. None: it takes
        none.
        """
        return None

    def firmware(self) -> str:
        """What hello says of its program: at most limits.FIRMWARE_TEXT_BYTES_MAX bytes."""
        return "cairn " + limits.VERSION

    def console(self) -> "Console | None":
        """The serial console as bytes. None: there is none, or somebody has opened it."""
        return None

    async def online(self, timeout_ms: int) -> None:
        """Until there is a network. OSError: there is none in time. A board whose network is
        somebody else's matter has one.
        """

    def storage_bytes(self) -> "int | None":
        """What the outbox may take at most: what is free and what it takes already. None: unknown
        or without limit. Asked once a boot.
        """
        return None

    def now_ms(self) -> "int | None":
        """UTC in ms since 1970 as a battery-backed or sleep-surviving clock tells it, or None.

        Asked once a boot; believed only if a stored message has an earlier UTC time.
        """
        raise NotImplementedError

    def set_clock(self, utc_ms: int) -> None:
        """UTC was learnt from a source that counts: set the clock behind now_ms(), if any."""

    def ticks(self) -> int:
        """Milliseconds since this boot; never goes back and never wraps."""
        raise NotImplementedError

    async def sleep(self, duration_ms: int) -> None:
        """Let other tasks run for at least duration_ms (0: yield once)."""
        raise NotImplementedError

    def spawn(self, coroutine: object) -> None:
        """Run a coroutine as a task of its own; an exception that leaves it restarts the board."""
        raise NotImplementedError

    def event(self) -> Event:
        """A new, lowered flag."""
        raise NotImplementedError

    def entropy(self, size: int) -> bytes:
        """size bytes from the hardware generator (on ESP32 only good while a radio is on)."""
        raise NotImplementedError

    def public_key(self) -> bytes:
        """32 bytes, Ed25519 (RFC 8032). The private key never leaves the board."""
        raise NotImplementedError

    def sign(self, message: bytes) -> bytes:
        """64 bytes, Ed25519 over message by this board's key."""
        raise NotImplementedError

    def equip(self, config: "Config") -> None:
        """Make the sensors that config.sensors names. Called once a boot before the first
        sample(), and not at all in safe mode. OperatorError: it names what there is not.
        """

    async def sample(self) -> "list[tuple[int, int, int, int | None, int]]":
        """One sample of every sensor: (quantity, channel, exponent, value or None, fault code).

        []: there is nothing to sample yet; no message is made of it.
        Codes of quantities and faults: spec/quantities.toml and spec/protocol.md section 6.
        """
        raise NotImplementedError

    async def stream(self, host: str, port: int, tls: "object | None") -> Stream:
        """Connect; tls is None or the CA certificate, PEM or DER (the host name is then checked).

        OSError when the host cannot be reached within limits.STREAM_TIMEOUT_MS or fails its
        check; the check may also fail at the first read or write. Small writes leave at once.
        """
        raise NotImplementedError

    async def datagram(
        self,
        host: str,  # noqa: ARG002 - for boards that have datagrams
        port: int,  # noqa: ARG002
        data: bytes,  # noqa: ARG002
        timeout_ms: int,  # noqa: ARG002
    ) -> bytes:
        """Send one UDP datagram; the first that comes back from that address and port within
        timeout_ms. OSError: none came, or the host is unknown.
        """
        raise OSError("no datagrams")

    async def recover(self, stage: int) -> None:
        """Try to get the network back. 1: disconnect and connect again; 2: radio off and on."""

    def radios(self) -> "tuple[int, ...]":
        """Radios that can send and receive beacons, ascending: 0 LoRa, 1 ESP-NOW, 2 BLE (spec/
        protocol.md section 4). Asked once a boot; () if there is none.
        """
        return ()

    def radio_send(self, radio: int, channel: int, power_cdbm: int, frame: bytes) -> "bool | None":
        """Hand over one frame of at most 64 bytes, which leaves within 100 ms; does not wait.

        channel: index into the region's beacon channels (regions.py), 0 on a radio whose channel
        is not the board's to choose. power_cdbm: at the antenna's connector, never exceeded; a
        radio with coarser steps takes the next lower one. True: the radio has it; False: it was
        busy or failed, and nothing is sent; None: the board has no such radio.
        """
        raise NotImplementedError

    def radio_listen(self, radio: int, channel: int) -> None:
        """Tune the receiver of a radio that hears one channel at a time; boards that hear all
        ignore it. Called at each slot whose entropy is verified, before any beacon of it.

        channel: as in radio_send; until the first call it is 0. Does not wait: a frame that is
        just coming in may be lost, one that is going out may not.
        """

    async def radio_receive(self) -> "tuple[int, int, int, int | None, int, bytes] | None":
        """Next frame of any radio: (radio, channel, rssi_cdbm, snr_cdb, ticks_ms, frame).

        channel as in radio_send; rssi_cdbm: of the signal, not of signal and noise together (for
        LoRa below the noise the driver corrects it); snr_cdb None where the radio measures none;
        ticks_ms: ticks() at the end of the frame. Not only beacons come: anybody can send frames.
        The radio listens from the first call on, and between calls as far as its queue reaches.
        OSError: the radio failed, and listening is interrupted. None, at once: there is no radio.
        One task calls it.
        """
        raise NotImplementedError

    def feed(self) -> None:
        """Feed the watchdog; called only after real progress."""
        raise NotImplementedError

    def restart(self, reason: str) -> None:
        """Reboot; does not return on hardware."""
        raise NotImplementedError

    def deep_sleep(self, duration_ms: int) -> None:  # noqa: ARG002 - this one does not sleep
        """Switch off for duration_ms, then boot anew with reset cause 5; does not return on
        hardware. A board that cannot sleep restarts at once.
        """
        self.restart("sleep")

    def retained(self) -> "bytes | None":
        """What retain() kept before a reset or a deep sleep; a power cut clears it. None: nothing
        is kept, or the board has no such memory.
        """
        return None

    def retain(self, data: bytes) -> bool:  # noqa: ARG002 - no memory
        """Keep at most limits.RETAINED_BYTES over reset and deep sleep; b"" clears. False: no such
        memory, or too long, and what was kept stays.
        """
        return False

    def report(self, code: str, detail: str) -> None:
        """One line for a human, on the serial console: a stable fault code and what was seen."""

    def info(self) -> "tuple[int, int, int | None, int | None]":
        """(free heap bytes, reset cause, battery mV or None, Wi-Fi RSSI dBm or None).

        Reset causes: 0 unknown, 1 power on, 2 watchdog, 3 brown-out, 4 software, 5 wake from deep
        sleep.
        """
        raise NotImplementedError


class Link:
    """The way to the gateway: MQTT on hardware, a direct call in the simulator."""

    async def publish(self, message: bytes) -> bool:
        """Hand over one signed message on the board's `up` topic; False when it could not be sent.

        True promises nothing: only a receipt proves delivery.
        """
        raise NotImplementedError

    async def receive(self) -> "tuple[str, bytes]":
        """Next downlink: (topic tail such as "down/receipt" or "all/tick", message bytes)."""
        raise NotImplementedError

    def state(self) -> str:
        """One of "up", "connecting", "down"."""
        raise NotImplementedError
