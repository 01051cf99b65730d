"""Client packets written by hand from the MQTT 3.1.1 text, and a shell without sockets."""

from dataclasses import dataclass, field

from gateway.core.ids import device_name
from gateway.core.mqtt.connection import (
    Authenticate,
    Close,
    Connection,
    ControlTick,
    Limits,
    Submit,
    Write,
)
from gateway.core.mqtt.packets import ReturnCode
from gateway.core.mqtt.session import Message, Sessions
from gateway.core.mqtt.topics import Topics

NETWORK = bytes.fromhex("2b3f52bf5000c238")
PREFIX = f"cairn/1/{NETWORK.hex()}"
DEVICE, OTHER = bytes(range(16)), bytes(range(100, 116))
NAME, OTHER_NAME = device_name(DEVICE), device_name(OTHER)
UP = f"{PREFIX}/{NAME}/up"
DOWN = f"{PREFIX}/{NAME}/down"
ALL = f"{PREFIX}/all"
PINGREQ, DISCONNECT = b"\xc0\x00", b"\xe0\x00"
GRANTED = b"\x20\x02\x00\x00"
RESUMED = b"\x20\x02\x01\x00"


def length(size):
    out = b""
    while True:
        size, low = divmod(size, 128)
        out += bytes([low + 128 * (size > 0)])
        if not size:
            return out


def packet(first, body=b""):
    return bytes([first]) + length(len(body)) + body


def text(value):
    data = value if isinstance(value, bytes) else value.encode()
    return len(data).to_bytes(2, "big") + data


def two(number):
    return number.to_bytes(2, "big")


def connect(
    client_id=NAME,
    user=NAME,
    password=b"secret",
    *,
    clean=True,
    keepalive_s=60,
    protocol="MQTT",
    level=4,
    flags=None,
    will=None,
    rest=b"",
):
    bits = 2 * clean | 0x80 * (user is not None) | 0x40 * (password is not None)
    body = text(protocol) + bytes([level])
    body += bytes([(bits | (4 if will else 0)) if flags is None else flags])
    body += two(keepalive_s) + text(client_id)
    for part in (*(will or ()), user, password):
        body += text(part) if part is not None else b""
    return packet(0x10, body + rest)


def publish(topic=UP, payload=b"data", *, packet_id=1, first=None):
    body = text(topic) + (two(packet_id) if packet_id else b"") + payload
    return packet((0x32 if packet_id else 0x30) if first is None else first, body)


def puback(packet_id):
    return packet(0x40, two(packet_id))


def subscribe(*wanted, packet_id=7):
    body = two(packet_id) + b"".join(text(name) + bytes([qos]) for name, qos in wanted)
    return packet(0x82, body)


def unsubscribe(*names, packet_id=8):
    return packet(0xA2, two(packet_id) + b"".join(map(text, names)))


def suback(*codes, packet_id=7):
    return packet(0x90, two(packet_id) + bytes(codes))


@dataclass
class Client:
    """One connection; answers logins and acknowledges at once, unless told otherwise."""

    sessions: Sessions = field(default_factory=lambda: Sessions(10))
    limits: Limits = field(default_factory=Limits)
    operator: bool = False
    keep: bool = True
    answer: bool = True
    acknowledge: bool = True
    now_ms: int = 0

    def __post_init__(self):
        self.topics = Topics(NETWORK)
        self.connection = Connection(self.topics, self.sessions, self.limits, self.now_ms)
        self.out = bytearray()
        self.effects = []
        self.submits = []
        self.closed = None
        self.logins = []

    def send(self, *pieces):
        """Feed each piece; return what was written in answer."""
        before = len(self.out)
        for piece in pieces:
            self.connection.feed(piece, self.now_ms)
            self.run()
        return bytes(self.out[before:])

    def run(self, *, parse=True):
        before = len(self.out)
        effects = self.connection.run(parse=parse)
        while effects:
            again = False
            for effect in effects:
                again |= self.perform(effect)
            effects = self.connection.run(parse=parse) if again else []
        return bytes(self.out[before:])

    def perform(self, effect):
        assert self.closed is None, "nothing comes after Close"
        match effect:
            case Write(data):
                self.out += data
            case Close(reason):
                self.closed = reason
            case Authenticate(asked, device):
                self.logins.append(asked)
                if self.answer:
                    self.grant(device, clean=asked.clean)
                return self.answer
            case Submit() | ControlTick():
                self.submits.append(effect)
                effect.ticket.done = self.acknowledge
                return self.acknowledge
        return False

    def grant(self, device=DEVICE, *, clean=True):
        session, present = self.sessions.open(device, clean=clean, keep=self.keep)
        self.connection.grant(session, operator=self.operator, present=present)

    def leave(self):
        """Lose the socket."""
        session = self.connection.session
        self.connection.close()
        if session is not None:
            self.sessions.leave(session)

    def message(self, topic, payload=b"x", *, qos=1, retained=True) -> Message:
        return self.sessions.message(topic, payload, qos=qos, retained=retained)

    def to_device(self, topic, payload=b"x", *, retained=True):
        """What the shell does with a downlink for this device; return what is written."""
        message = self.message(topic, payload, retained=retained)
        session = self.sessions.get(DEVICE)
        session.hold(message)
        session.offer(message)
        return self.run()

    def to_all(self, topic, payload=b"x"):
        message = self.message(topic, payload, qos=0)
        self.sessions.hold(message)
        return self.connection.fan_out(message)


def live(sessions=None, **options) -> Client:
    """A client that is logged in."""
    clean = options.pop("clean", True)
    client = Client(Sessions(10) if sessions is None else sessions, **options)
    assert client.send(connect(clean=clean)) in (GRANTED, RESUMED)
    return client


REFUSALS = {code: packet(0x20, bytes([0, code])) for code in ReturnCode}
