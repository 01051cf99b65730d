"""The QoS 1 messages that the broker has not acknowledged, and the packet ids of a session.

They outlive a connection: after the next one they are sent again. At most 8, and no more than
8 KiB beside the first, for they are held in RAM.
"""

from . import limits, mqtt

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from collections.abc import Callable


class Flight:
    def __init__(self, ticks: "Callable[[], int]") -> None:
        self._ticks = ticks
        # (packet id, ticks when it was sent, packet), oldest first.
        self._packets: "list[tuple[int, int, bytes]]" = []
        self._bytes = 0
        self._last_id = 0

    def take(self, topic: bytes, message: bytes) -> "bytes | None":
        """The PUBLISH that carries message, now in flight; None if the window is full."""
        count = len(self._packets)
        size = self._bytes + len(message)
        if count >= limits.MQTT_IN_FLIGHT_MAX or (
            count and size > limits.MQTT_IN_FLIGHT_BYTES_MAX
        ):
            return None
        packet_id = self.new_id()
        packet = mqtt.publish(topic, message, packet_id)
        self._packets.append((packet_id, self._ticks(), packet))
        self._bytes += len(packet)
        return packet

    def acknowledge(self, packet_id: int) -> bool:
        """Whether this was in flight; now it is not."""
        for index, (known, _, packet) in enumerate(self._packets):
            if known == packet_id:
                self._bytes -= len(packet)
                self._packets.pop(index)
                return True
        return False

    def again(self) -> "list[bytes]":
        """Everything in flight, marked as sent before, for a new connection."""
        now = self._ticks()
        self._packets = [
            (packet_id, now, mqtt.again(packet)) for packet_id, _, packet in self._packets
        ]
        return [packet for _, _, packet in self._packets]

    def oldest_ticks(self) -> "int | None":
        """When the oldest was sent."""
        return self._packets[0][1] if self._packets else None

    def new_id(self) -> int:
        """1 to 65,535 and round again, without those in flight."""
        while True:
            self._last_id = self._last_id % mqtt.PACKET_ID_MAX + 1
            if not [1 for packet in self._packets if packet[0] == self._last_id]:
                return self._last_id
