"""micropython-lib's ds18x20."""


class DS18X20:
    def __init__(self, onewire):
        self.ow = onewire

    def scan(self):
        return self.ow.scan()

    def convert_temp(self):
        pass
