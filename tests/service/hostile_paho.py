"""An attacker that shares no line with what it attacks: paho-mqtt and the standard library.

    hostile_paho.py HOST PORT BASE CAPTURED USER OWN < commands

BASE: the topics' prefix. CAPTURED: a file of lines `DEVICE HEX`, messages as they were seen on
the air. OWN: the device whose key the attacker has. The first line of the input is the password;
every other is a JSON object {kind, own, count, seed}, answered by one of {published, bytes, acked,
ended} when all that it published is over with. own: the messages of OWN, else everybody else's;
ended: "", or why the connection is gone.
"""

import json
import random
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

SECONDS_MAX = 60
SIGNATURE_BYTES = 64
OVERSIZES = (4_097, 5_000, 9_000, 20_000, 100_000)
HUGE = 2_000_000
Message = tuple[str, bytes]


class Attacker:
    """The captured messages, and what is made of them."""

    def __init__(self, base: str, captured: list[Message], own: str) -> None:
        self._base = base
        self._devices = sorted({device for device, _ in captured})
        self._captured = {
            True: [one for one in captured if one[0] == own],
            False: [one for one in captured if one[0] != own],
        }

    def messages(self, kind: str, count: int, seed: int, *, own: bool) -> Iterator[Message]:
        """Topics and payloads of one kind."""
        draw = random.Random(seed)
        source = self._captured[own]
        if kind == "reordered":
            source = draw.sample(source, len(source))
        first = draw.randrange(len(source))
        for number in range(first, first + count):
            device, data = source[number % len(source)]
            if kind == "no_device":
                levels = ("nobody", "", device.upper(), device[:-1], device + "a", "control")
                yield f"{self._base}/{draw.choice(levels)}/up", data
                continue
            if kind == "other_topic":
                device = draw.choice([name for name in self._devices if name != device])
            yield f"{self._base}/{device}/up", _mutated(kind, data, draw)


def _mutated(kind: str, data: bytes, draw: random.Random) -> bytes:
    match kind:
        case "flipped":
            return _flip(data, draw.randrange(len(data)), draw)
        case "flipped_signature":
            return _flip(data, draw.randrange(len(data) - SIGNATURE_BYTES, len(data)), draw)
        case "cut":
            return data[: draw.randrange(1, len(data))]
        case "extended":
            return data + draw.randbytes(draw.randint(1, 64))
        case "oversized":
            return data.ljust(draw.choice(OVERSIZES), b"\0")
        case "huge":
            return data.ljust(HUGE, b"\0")
        case "garbage":
            return draw.randbytes(draw.randint(1, 600))
        case "empty":
            return b""
        case "replayed" | "reordered" | "other_topic":
            return data
    raise ValueError(kind)


def _flip(data: bytes, at: int, draw: random.Random) -> bytes:
    return data[:at] + bytes([data[at] ^ 1 << draw.randrange(8)]) + data[at + 1 :]


class Client:
    """One paho client that counts its acknowledgements."""

    def __init__(self, host: str, port: int, user: str, password: str) -> None:
        self.ended = ""
        self._acked = 0
        self._connected = False
        self._changed = threading.Condition()
        client = paho.Client(CallbackAPIVersion.VERSION2, user, reconnect_on_failure=False)
        client.username_pw_set(user, password)
        client.max_inflight_messages_set(1_000)
        client.max_queued_messages_set(0)
        client.on_connect = self._on_connect
        client.on_publish = self._on_publish
        client.on_disconnect = self._on_disconnect
        client.connect(host, port)
        client.loop_start()
        self._client = client
        self._wait(lambda: self._connected)

    def publish(self, messages: Iterator[Message]) -> dict[str, int | str]:
        """Publish all at QoS 1; return when each is acknowledged or the connection is gone."""
        published, size, before = 0, 0, self._acked
        for topic, data in messages:
            self._client.publish(topic, data, qos=1)
            published += 1
            size += len(data)
        self._wait(lambda: self._acked - before == published)
        acked = self._acked - before
        return {"published": published, "bytes": size, "acked": acked, "ended": self.ended}

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _wait(self, holds) -> None:
        with self._changed:
            done = self._changed.wait_for(lambda: holds() or self.ended, SECONDS_MAX)
        if not done:
            raise TimeoutError(f"{self._acked} acknowledged, and then nothing")

    def _on_connect(self, _client, _data, _flags, code, _properties) -> None:
        with self._changed:
            self._connected = True
            if code.is_failure:
                self.ended = str(code)
            self._changed.notify_all()

    def _on_publish(self, _client, _data, _mid, _code, _properties) -> None:
        with self._changed:
            self._acked += 1
            self._changed.notify_all()

    def _on_disconnect(self, _client, _data, _flags, code, _properties) -> None:
        with self._changed:
            self.ended = self.ended or str(code)
            self._changed.notify_all()


def main() -> None:
    host, port, base, captured, user, own = sys.argv[1:]
    lines = [line.split() for line in Path(captured).read_text().splitlines()]
    attacker = Attacker(base, [(device, bytes.fromhex(data)) for device, data in lines], own)
    client = Client(host, int(port), user, sys.stdin.readline().strip())
    for line in sys.stdin:
        answer = client.publish(attacker.messages(**json.loads(line)))
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    client.close()


if __name__ == "__main__":
    main()
