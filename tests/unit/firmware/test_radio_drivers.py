"""The radio drivers over fakes that answer as aioespnow and micropython-lib's lora document it."""

import asyncio
import math
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from cairn import regions
from cairn.boards.espnow_radio import BROADCAST, EspNowRadio
from cairn.boards.frame_queue import FrameQueue
from cairn.boards.host import HostBoard, HostEvent, MemoryFiles
from cairn.boards.lora_radio import LoraRadio, signal_rssi_cdbm

FRAME = b"\x01abc" + bytes(range(16))
EU868 = regions.REGIONS[regions.EU868]


def drive(test: Callable[[HostBoard], Coroutine[Any, Any, None]]) -> None:
    async def boot() -> None:
        restarts: list[str] = []
        board = HostBoard(MemoryFiles(), no_samples, restarts.append)
        await asyncio.wait_for(test(board), 20)
        board.stop()
        assert restarts == []

    asyncio.run(boot())


async def no_samples() -> list[Any]:
    return []


class FakeEspNow:
    """espnow.ESPNow with arecv() of aioespnow.AIOESPNow."""

    def __init__(self) -> None:
        self.peers: list[tuple[bytes, bytes, int, int, bool]] = []
        self.peers_table: dict[bytes, list[int]] = {}
        self.sent: list[tuple[bytes, bytes, bool]] = []
        self.full = False
        self.waiting: asyncio.Queue[tuple[bytes | None, bytes | None, int] | OSError] = (
            asyncio.Queue()
        )

    def get_peers(self) -> tuple[tuple[bytes, bytes, int, int, bool], ...]:
        return tuple(self.peers)

    def add_peer(self, mac: bytes) -> None:
        if any(peer[0] == mac for peer in self.peers):
            raise OSError(-12395, "ESP_ERR_ESPNOW_EXIST")
        self.peers.append((mac, bytes(16), 0, 0, False))

    def send(self, mac: bytes, msg: bytes, sync: bool) -> bool:  # noqa: FBT001
        if not any(peer[0] == mac for peer in self.peers):
            raise OSError(-12393, "ESP_ERR_ESPNOW_NOT_FOUND")
        if self.full:
            raise OSError(-12392, "ESP_ERR_ESPNOW_NO_MEM")
        self.sent.append((mac, msg, sync))
        return True

    async def arecv(self) -> tuple[bytes | None, bytes | None]:
        got = await self.waiting.get()
        if isinstance(got, OSError):
            raise got
        mac, msg, rssi = got
        if mac is not None:
            self.peers_table[mac] = [rssi, 5_000]
        return mac, msg


def test_espnow_sends_to_all_and_reports_what_comes() -> None:
    async def test(board: HostBoard) -> None:
        espnow, powers = FakeEspNow(), []
        frames = FrameQueue(HostEvent)
        parts = {"board": board, "espnow": espnow, "frames": frames, "full_dbm": 20}
        radio = EspNowRadio(**parts, age_ms=lambda stamp: stamp - 4_990, set_power=powers.append)
        # Made anew after a soft reset the peer is there already.
        EspNowRadio(**parts, age_ms=lambda _: 0, set_power=powers.append)
        assert radio.send(1_750, FRAME)
        assert espnow.sent == [(BROADCAST, FRAME, False)]
        assert powers == [17]
        await board.sleep(110)
        assert powers == [17, 20], "Wi-Fi has its power again"
        espnow.full = True
        assert not radio.send(1_800, FRAME)
        board.spawn(radio.run())
        espnow.waiting.put_nowait((None, None, 0))
        espnow.waiting.put_nowait((b"sender", FRAME, -71))
        before = board.ticks()
        kind, channel, rssi, snr, ticks, frame = await frames.get()
        assert (kind, channel, rssi, snr, frame) == (regions.ESP_NOW, 0, -7_100, None, FRAME)
        assert before - 10 <= ticks <= board.ticks() - 10
        espnow.waiting.put_nowait(OSError("radio off"))
        with pytest.raises(OSError, match="radio off"):
            await frames.get()

    drive(test)


class RxPacket(bytearray):
    """As in lora.modem: the payload and what was measured; snr in quarters of a dB."""

    def __init__(self, payload: bytes, rssi: int, snr: int) -> None:
        super().__init__(payload)
        self.rssi = rssi
        self.snr = snr
        self.ticks_ms = 100
        self.crc_error = False


class FakeModem:
    """lora.AsyncModem: standby() aborts a recv(), which then returns None."""

    def __init__(self) -> None:
        self.settings: dict[str, object] = {}
        self.sent: list[tuple[object, object, bytes]] = []
        self.air: asyncio.Queue[RxPacket | Exception | None] = asyncio.Queue()
        self.receiving = False
        self.sending = asyncio.Event()
        self.stuck = False
        self.aborted = 0

    def configure(self, settings: dict[str, object]) -> None:
        assert not self.receiving
        known = {"freq_khz", "sf", "bw", "coding_rate", "preamble_len", "implicit_header"}
        assert set(settings) <= known | {"crc_en", "rx_boost", "output_power"}
        self.settings.update(settings)

    def standby(self) -> None:
        if self.stuck:
            raise RuntimeError("BUSY timeout")
        self.aborted += 1
        if self.receiving:
            self.air.put_nowait(None)

    async def recv(self, timeout_ms: int | None = None) -> RxPacket | None:
        assert timeout_ms is None
        self.receiving = True
        try:
            got = await self.air.get()
        finally:
            self.receiving = False
        if isinstance(got, Exception):
            raise got
        return got

    async def send(self, packet: bytes) -> int:
        assert not self.receiving
        self.sent.append((self.settings["freq_khz"], self.settings["output_power"], packet))
        await self.sending.wait()
        return 0


def lora_on(board: HostBoard, modem: FakeModem, *, listens: bool = True) -> Any:
    frames = FrameQueue(HostEvent)
    radio = LoraRadio(
        board=board,
        modem=modem,
        region=EU868,
        listens=listens,
        frames=frames,
        age_ms=lambda stamp: stamp - 80,
    )
    board.spawn(radio.run())
    return radio, frames


def test_lora_listens_sends_and_listens_again() -> None:
    async def test(board: HostBoard) -> None:
        modem = FakeModem()
        radio, frames = lora_on(board, modem)
        radio.listen(1)
        modem.air.put_nowait(RxPacket(FRAME, -110, -30))
        kind, channel, rssi, snr, ticks, frame = await frames.get()
        assert (kind, channel, snr, frame) == (regions.LORA, 1, -750, FRAME)
        assert rssi == -11_000 - 821
        assert ticks <= board.ticks() - 20
        assert modem.settings["freq_khz"] == 868_300
        assert (modem.settings["sf"], modem.settings["bw"]) == (9, 125)
        await board.sleep(5)
        assert modem.receiving
        assert radio.send(2, 1_385, FRAME)
        assert not radio.send(0, 1_385, FRAME)
        await board.sleep(5)
        assert modem.sent == [(868_500, 13, FRAME)]
        modem.sending.set()
        await board.sleep(5)
        assert modem.receiving
        assert modem.settings["freq_khz"] == 868_300
        assert radio.send(0, -250, FRAME)
        await board.sleep(5)
        assert modem.sent[1:] == [(868_100, -3, FRAME)]

    drive(test)


def test_lora_hears_the_channel_that_it_is_tuned_to() -> None:
    async def test(board: HostBoard) -> None:
        modem = FakeModem()
        radio, frames = lora_on(board, modem)
        for channel in (None, 2, 2, 0, 1):
            if channel is not None:
                radio.listen(channel)
            await board.sleep(5)
            assert modem.receiving
            assert modem.settings["freq_khz"] == 868_100 + 200 * (channel or 0)
            modem.air.put_nowait(RxPacket(FRAME, -80, 40))
            assert (await frames.get())[:2] == (regions.LORA, channel or 0)
        # The second 2 changed nothing, so it interrupted nothing.
        assert modem.aborted == 3
        # What came before the retuning came on the old channel.
        modem.air.put_nowait(RxPacket(FRAME, -80, 40))
        radio.listen(2)
        assert (await frames.get())[:2] == (regions.LORA, 1)
        await board.sleep(5)
        assert modem.receiving
        assert modem.settings["freq_khz"] == 868_500

    drive(test)


def test_lora_is_tuned_while_it_sends_and_listens_there_afterwards() -> None:
    async def test(board: HostBoard) -> None:
        modem = FakeModem()
        radio, frames = lora_on(board, modem)
        await board.sleep(5)
        assert radio.send(1, 1_385, FRAME)
        radio.listen(2)
        await board.sleep(5)
        assert modem.sent == [(868_300, 13, FRAME)]
        aborted = modem.aborted
        radio.listen(0)
        radio.listen(2)
        await board.sleep(5)
        assert modem.aborted == aborted, "the frame on its way was cut off"
        assert not modem.receiving
        modem.sending.set()
        await board.sleep(5)
        assert modem.receiving
        assert modem.settings["freq_khz"] == 868_500
        modem.air.put_nowait(RxPacket(FRAME, -80, 40))
        assert (await frames.get())[1] == 2

    drive(test)


def test_lora_that_cannot_be_tuned_says_so_and_restarts_nothing() -> None:
    async def test(board: HostBoard) -> None:
        modem = FakeModem()
        radio, frames = lora_on(board, modem)
        await board.sleep(5)
        modem.stuck = True
        radio.listen(1)
        with pytest.raises(OSError, match="LoRa: BUSY timeout"):
            await frames.get()
        modem.stuck = False
        radio.listen(1)
        await board.sleep(5)
        assert modem.receiving
        assert modem.settings["freq_khz"] == 868_300

    drive(test)


def test_lora_that_only_sends() -> None:
    async def test(board: HostBoard) -> None:
        modem = FakeModem()
        modem.sending.set()
        radio, _ = lora_on(board, modem, listens=False)
        for channel in (0, 2, 1):
            await board.sleep(5)
            aborted = modem.aborted
            radio.listen(channel)
            assert modem.aborted == aborted
            assert not modem.receiving
            assert radio.send(channel, 1_000, FRAME)
        await board.sleep(5)
        assert [sent[0] for sent in modem.sent] == [868_100, 868_500, 868_300]

    drive(test)


def test_lora_says_that_its_modem_failed_and_goes_on() -> None:
    async def test(board: HostBoard) -> None:
        modem = FakeModem()
        radio, frames = lora_on(board, modem)
        modem.air.put_nowait(RuntimeError("BUSY timeout"))
        with pytest.raises(OSError, match="LoRa: BUSY timeout"):
            await frames.get()
        # A modem that failed is left alone until it is configured again.
        radio.listen(2)
        assert modem.aborted == 0
        modem.air.put_nowait(RxPacket(FRAME, -80, 40))
        assert (await frames.get())[1:3] == (2, -8_041)
        assert modem.settings["freq_khz"] == 868_500

    drive(test)


def test_the_queue_is_bounded_and_says_when_something_is_lost() -> None:
    async def test(_board: HostBoard) -> None:
        frames = FrameQueue(HostEvent)
        frames.put((0, 0, 0, None, 0, bytes(65)))
        for number in range(20):
            frames.put((0, 0, 0, None, number, FRAME))
        assert [(await frames.get())[4] for _ in range(16)] == list(range(16))
        with pytest.raises(OSError, match="lost"):
            await frames.get()
        frames.put((0, 0, 0, None, 99, FRAME))
        assert (await frames.get())[4] == 99

    drive(test)


@pytest.mark.parametrize("snr_cdb", range(-2_000, 1_500, 25))
def test_noise_is_taken_out_of_the_rssi(snr_cdb: int) -> None:
    noise = math.log10(1 + 10 ** (-snr_cdb / 1_000)) * 1_000
    assert abs(signal_rssi_cdbm(-100, snr_cdb) - (-10_000 - noise)) <= 45
