"""The device endpoint's MQTT 3.1.1, without sockets: bytes in, bytes and effects out."""
