"""micropython-lib's lora with lora-async and lora-sx126x: a modem that never hears anything."""

# Signatures are MicroPython's, and so is the syntax.
# ruff: noqa: ASYNC110

import asyncio


class World:
    made = []
    absent = False


class _Modem:
    def configure(self, lora_cfg):
        pass

    def standby(self):
        pass

    async def recv(self, timeout_ms=None):
        while True:
            await asyncio.sleep(1)

    async def send(self, packet, tx_at_ms=None):
        return 0


class AsyncSX1262(_Modem):
    def __init__(self, spi, cs, busy, dio1=None, dio3_tcxo_millivolts=None, reset=None):
        if World.absent:
            raise RuntimeError("Invalid initial status (0, 0).")
        World.made.append((cs.id, busy.id, dio1.id, dio3_tcxo_millivolts, reset and reset.id))


class AsyncSX1261(AsyncSX1262):
    pass


class AsyncSX1276(_Modem):
    def __init__(self, spi, cs, dio0=None, dio1=None, reset=None):
        World.made.append((cs.id, dio0.id, reset and reset.id))
