"""The topics of protocol section 7: who may publish and read what."""

from __future__ import annotations

from gateway.core.downlink import Downlink
from gateway.core.ids import device_name, parse_device


class Topics:
    """The names under one network's prefix."""

    def __init__(self, network_id: bytes) -> None:
        self._prefix = f"cairn/1/{network_id.hex()}/"
        self.control_tick = self._prefix + "control/tick"

    def up(self, device: bytes) -> str:
        return f"{self._prefix}{device_name(device)}/up"

    def of(self, downlink: Downlink) -> str:
        if not downlink.device:
            return f"{self._prefix}all/{downlink.tail}"
        return f"{self._prefix}{device_name(downlink.device)}/down/{downlink.tail}"

    def sender(self, topic: str) -> bytes | None:
        """The device whose `up` this is; None if it is nobody's."""
        name, _, rest = topic.removeprefix(self._prefix).partition("/")
        if rest != "up" or not topic.startswith(self._prefix):
            return None
        return parse_device(name)

    def readable(self, name: str, device: bytes) -> bool:
        """May this device subscribe to the filter? Whatever lies beneath its own, and no more."""
        down = f"{self._prefix}{device_name(device)}/down/"
        return name.startswith((down, self._prefix + "all/"))
