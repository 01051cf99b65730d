"""A station behind paho-mqtt, a client that nobody here wrote: log in, publish, listen."""

import queue
import secrets
import ssl
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from gateway.core.ids import device_name
from gateway.core.login import login_password
from tests.service.signing_station import SigningStation

SECONDS_MAX = 20


class PahoStation:
    """Publishes what a SigningStation signs."""

    def __init__(
        self,
        station: SigningStation,
        network_id: bytes,
        url: str,
        *,
        password: str | None = None,
        ca_file: Path | None = None,
    ) -> None:
        self.station = station
        self.user = device_name(station.device)
        self.base = f"cairn/1/{network_id.hex()}"
        self.topic = f"{self.base}/{self.user}/up"
        self.messages: queue.Queue[paho.MQTTMessage] = queue.Queue()
        self._network_id = network_id
        self._url = urlsplit(url)
        self._sent: dict[int, bytes] = {}
        self._acked: list[int] = []
        self._changed = threading.Condition()
        self._codes: queue.Queue[str] = queue.Queue()
        self._subscribed = threading.Event()
        client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=self.user, reconnect_on_failure=False
        )
        client.on_connect = self._on_connect
        client.on_publish = self._on_publish
        client.on_subscribe = lambda *_: self._subscribed.set()
        client.on_message = lambda _client, _data, message: self.messages.put(message)
        client.max_inflight_messages_set(1_000)
        client.max_queued_messages_set(0)
        if ca_file is not None:
            client.tls_set(str(ca_file), tls_version=ssl.PROTOCOL_TLS_CLIENT)
        client.username_pw_set(self.user, password or self.login())
        self.client = client

    def login(self) -> str:
        """A password for the endpoint; its counter is the clock, as hosts do it."""
        key = self.station._key
        return login_password(
            lambda data: key.sign(data).signature,
            self.station.public_key,
            self._network_id,
            time.time_ns() // 1_000,
            secrets.token_bytes(8),
        )

    def connect(self) -> str:
        """Connect and subscribe; the word for the broker's answer, "Success" if it is yes."""
        self.client.connect(self._url.hostname or "", self._url.port or 0)
        self.client.loop_start()
        answer = self._codes.get(timeout=SECONDS_MAX)
        if answer == "Success":
            self.client.subscribe(
                [(f"{self.base}/{self.user}/down/#", 1), (f"{self.base}/all/#", 0)]
            )
            assert self._subscribed.wait(SECONDS_MAX)
        return answer

    def publish(self, *messages: bytes) -> None:
        for data in messages:
            # Not under our lock: paho calls _on_publish while it holds its own.
            info = self.client.publish(self.topic, data, qos=1)
            self._sent[info.mid] = data

    @property
    def acked(self) -> list[bytes]:
        """Every message that has its PUBACK."""
        return [self._sent[mid] for mid in self._acked]

    def wait_acked(self, count: int) -> None:
        """Until so many publishes are acknowledged."""
        with self._changed:
            done = self._changed.wait_for(lambda: len(self._acked) >= count, SECONDS_MAX)
        assert done, f"{len(self._acked)} of {count} acknowledged"

    def wait_message(self, tail: str) -> bytes:
        """The next message whose topic ends in `tail`."""
        deadline = time.monotonic() + SECONDS_MAX
        while True:
            message = self.messages.get(timeout=deadline - time.monotonic())
            if message.topic.endswith(f"/{tail}"):
                return bytes(message.payload)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _: Any) -> None:
        self._codes.put(str(reason))

    def _on_publish(self, _client: Any, _data: Any, mid: int, _reason: Any, _: Any) -> None:
        with self._changed:
            self._acked.append(mid)
            self._changed.notify_all()
