"""micropython-lib's dht: measure() fills buf from the pin."""

from machine import World


class DHTBase:
    _model = 22

    def __init__(self, pin):
        self.pin = pin
        self.buf = bytearray(5)

    def measure(self):
        if World.parts is None:
            # 55.2 % and 23.4 degrees, as a DHT22 sends them.
            self.buf[:] = bytes([2, 40, 0, 234, 20])
            return
        try:
            wire = World.parts.dht(self._model, self.pin.id)
        except ValueError:
            # Nobody pulls the wire low.
            raise OSError(116)
        wire.measure()
        self.buf[:] = wire.buf


class DHT11(DHTBase):
    _model = 11


class DHT22(DHTBase):
    pass
