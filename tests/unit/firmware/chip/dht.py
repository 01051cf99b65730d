"""micropython-lib's dht: measure() fills buf from the pin."""


class DHTBase:
    def __init__(self, pin):
        self.pin = pin
        self.buf = bytearray(5)

    def measure(self):
        # 55.2 % and 23.4 degrees, as a DHT22 sends them.
        self.buf[:] = bytes([2, 40, 0, 234, 20])


class DHT11(DHTBase):
    pass


class DHT22(DHTBase):
    pass
