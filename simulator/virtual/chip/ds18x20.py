"""micropython-lib's ds18x20."""


class DS18X20:
    def __init__(self, onewire):
        self.ow = onewire

    def scan(self):
        return self.ow.scan()

    def convert_temp(self):
        if self.ow.wire is not None:
            self.ow.wire.convert_temp()

    def read_scratch(self, rom):
        return self.ow.wire.read_scratch(rom)
