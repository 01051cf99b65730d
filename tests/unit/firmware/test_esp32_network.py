"""Wi-Fi and radios of the ESP32 board on CPython, over stand-ins: what fails and comes back."""

import asyncio
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cairn import cbor, regions

from tests.unit.firmware.certificates import make_authority
from tests.unit.firmware.chip_rig import WIFI, Chip, battery, drive, mains, make_chip

LORA = [1262, 1, 9, 10, 11, 8, 12, 14, 13, 1_800]


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Chip:
    return make_chip(monkeypatch, tmp_path)


@pytest.fixture
def online(chip: Chip) -> Chip:
    chip.nvs.flash.update(WIFI)
    chip.air.networks = {"home": "secret"}
    return chip


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wi-Fi's patience, a hundredth of what it is."""
    from cairn.boards import esp32_wifi

    for name in ("_CHECK_MS", "_STEP_MS", "_CONNECT_MS", "_PAUSE_MS_MIN", "_OFF_MS"):
        monkeypatch.setattr(esp32_wifi, name, max(1, getattr(esp32_wifi, name) // 100))
    monkeypatch.setattr(esp32_wifi, "_PAUSE_MS_MAX", 20)


async def until(true: Any) -> None:
    for _ in range(2_000):
        if true():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it did not become true")


def test_no_network_is_an_os_error_with_its_status_and_is_tried_again(chip: Chip, quick) -> None:
    chip.nvs.flash.update(WIFI)
    board = chip.boot()

    async def work() -> None:
        with pytest.raises(OSError, match=r"no Wi-Fi: status \d+"):
            await board._wifi.up(30)
        await until(lambda: ("wifi.unknown", "status 201") in chip.reports)
        chip.air.networks = {"home": "secret"}
        await board.online(5_000)
        assert board.info()[3] == -61

    drive(board, work())
    assert set(chip.air.connects) == {("home", "secret")}


def test_a_wrong_password_is_told_by_its_number(chip: Chip, quick) -> None:
    chip.nvs.flash.update(WIFI)
    chip.air.networks = {"home": "changed"}
    board = chip.boot()

    async def work() -> None:
        with suppress(OSError):
            await board._wifi.up(30)
        await until(lambda: ("wifi.password", "status 202") in chip.reports)

    drive(board, work())


def test_without_credentials_it_says_so_and_takes_them_without_a_restart(
    chip: Chip, quick
) -> None:
    chip.air.networks = {"café": ""}
    board = chip.boot()

    async def work() -> None:
        with pytest.raises(OSError, match="no Wi-Fi"):
            await board._wifi.up(10)
        assert chip.reports[0][0] == "wifi.absent"
        from cairn.boards import esp32_store

        esp32_store.put("ssid", "café".encode())
        await board.online(5_000)

    drive(board, work())
    assert chip.air.connects == [("café", None)], "an open network is joined without a password"


def test_a_damaged_store_stops_nothing_else(chip: Chip, quick) -> None:
    board = chip.boot()
    chip.nvs.broken = True

    async def work() -> None:
        with pytest.raises(OSError, match="no Wi-Fi"):
            await board._wifi.up(10)
        assert chip.reports[0][0] == "wifi.refused"
        chip.nvs.broken = False
        chip.nvs.flash[("cairn", "ssid")] = b"\xff\xfe"
        await until(lambda: any("utf-8" in detail for _, detail in chip.reports))
        chip.nvs.flash.update(WIFI)
        chip.air.networks = {"home": "secret"}
        await board.online(5_000)

    drive(board, work())
    assert chip.machine.resets == 0


def test_wifi_that_was_lost_comes_back(online: Chip, quick) -> None:
    board = online.boot()

    async def work() -> None:
        await board.online(5_000)
        online.air.networks = {}
        await until(lambda: board.info()[3] is None)
        online.air.networks = {"home": "secret"}
        await until(lambda: board.info()[3] == -61)

    drive(board, work())
    assert len(online.air.connects) >= 2


def test_recover_connects_again_and_then_switches_the_radio_off_and_on(
    online: Chip, quick
) -> None:
    board = online.boot()

    async def work() -> None:
        await board.online(5_000)
        board.equip(mains())
        assert board.radio_send(regions.ESP_NOW, 0, 700, b"one")
        tried, switched = len(online.air.connects), online.wlan.switched
        await board.recover(1)
        assert online.wlan.switched == switched
        await until(lambda: len(online.air.connects) > tried)
        await board.online(5_000)
        await board.recover(2)
        assert online.wlan.switched == switched + 2
        await board.online(5_000)
        # Switching off has removed the peer.
        assert board.radio_send(regions.ESP_NOW, 0, 700, b"two")

    drive(board, work())
    assert [message for message, _ in online.espnow.sent] == [b"one", b"two"]


def test_a_host_without_an_address_is_an_os_error(
    online: Chip, quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    board = online.boot()

    async def work() -> None:
        with pytest.raises(OSError, match="not known"):
            await board.stream("gateway.invalid", 1883, None)
        with pytest.raises(OSError, match="not known"):
            await board.datagram("time.invalid", 123, b"", 100)

    drive(board, work())


def test_a_wrong_ca_is_an_os_error(online: Chip, quick, require_component, tmp_path: Path) -> None:
    import ssl

    openssl = require_component("openssl")
    one, other = [make_authority(openssl, tmp_path / name) for name in ("one", "other")]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*one.issue("localhost"))
    board = online.boot()

    async def work() -> None:
        server = await asyncio.start_server(lambda *_: None, "localhost", 0, ssl=context)
        async with server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(OSError, match=r"TLS.*verify failed"):
                await board.stream("localhost", port, other.certificate.read_bytes())
            stream = await board.stream("localhost", port, one.der())
            stream.close()
        await asyncio.sleep(0.05)

    drive(board, work())


def test_only_what_the_asked_host_sends_is_an_answer(online: Chip, quick) -> None:
    board = online.boot()

    async def work() -> None:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("127.0.0.1", 0))
            server.setblocking(False)  # noqa: FBT003
            asking = asyncio.create_task(
                board.datagram("127.0.0.1", server.getsockname()[1], b"ask", 5_000)
            )
            data, sender = await loop.sock_recvfrom(server, 100)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                stranger.sendto(b"false", sender)
            await asyncio.sleep(0.03)
            assert not asking.done()
            server.sendto(b"true " + data, sender)
            assert await asking == b"true ask"
            with pytest.raises(OSError, match="in time"):
                await board.datagram("127.0.0.1", server.getsockname()[1], b"ask", 20)

    drive(board, work())


def test_espnow_power_is_rounded_down_and_given_back_to_wifi(online: Chip, quick) -> None:
    board = online.boot()
    board.equip(mains())
    assert online.espnow.made == 0, "nothing is switched on before the first frame"

    async def work() -> None:
        assert board.radio_send(regions.ESP_NOW, 0, 799, b"low")
        await asyncio.sleep(0.06)
        assert board.radio_send(regions.ESP_NOW, 0, 1_100, b"lower than full")
        await asyncio.sleep(0.06)
        # The first frame's 100 ms are over, the second's are not.
        assert online.wlan.settings["txpower"] == 11
        await asyncio.sleep(0.1)
        assert online.wlan.settings["txpower"] == 20

    drive(board, work())
    assert online.espnow.sent == [(b"low", 7), (b"lower than full", 11)]


def test_mains_listens_without_power_saving_and_battery_does_not(online: Chip, quick) -> None:
    board = online.boot()
    board.equip(mains())

    async def listening() -> None:
        online.espnow.air = [[b"sender", b"frame", -70, time.ticks_ms()]]
        kind, channel, rssi, snr, _, frame = await board.radio_receive()
        assert (kind, channel, rssi, snr) == (regions.ESP_NOW, 0, -7_000, None)
        assert frame == b"frame"

    drive(board, listening())
    assert online.wlan.settings["pm"] == online.wlan.PM_NONE
    online.power_on()
    sleeper = online.boot()
    sleeper.equip(battery())

    async def sending() -> None:
        assert sleeper.radio_send(regions.ESP_NOW, 0, 1_000, b"beacon")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(sleeper.radio_receive(), 0.02)

    drive(sleeper, sending())
    assert "pm" not in online.wlan.settings


def test_lora_is_there_if_it_is_wired_and_the_region_allows_it(online: Chip) -> None:
    board = online.boot()
    board.equip(mains(regions.EU868))
    assert board.radios() == (regions.ESP_NOW,)
    assert online.reports == []
    online.nvs.flash[("cairn", "lora")] = cbor.encode(LORA)

    async def work() -> None:
        board.equip(mains())
        assert board.radios() == (regions.ESP_NOW,)
        assert board.radio_send(regions.LORA, 0, 1_400, b"frame") is None
        board.equip(mains(regions.EU868))
        assert board.radios() == (regions.LORA, regions.ESP_NOW)
        assert board.radio_send(regions.LORA, 0, 1_400, b"frame") is True
        board.radio_listen(regions.LORA, 2)

    drive(board, work())
    assert online.lora.made == [(8, 13, 14, 1_800, 12)]
    assert online.machine.buses == [("spi", 1, 2_000_000, 9, 10, 11)]


@pytest.mark.parametrize(
    "wired, said",
    [
        (cbor.encode([1276, 1, 5, 27, 19, 18, 255, 26, 255, 0]), None),
        (cbor.encode([1268, *LORA[1:]]), "no driver for a modem SX1268"),
        (cbor.encode([1262, 1]), "values to unpack"),
        (b"\xff\xff", ""),
        (cbor.encode([1262, 1, 99, *LORA[3:]]), "invalid pin"),
        (cbor.encode(LORA), "Invalid initial status"),
    ],
)
def test_a_modem_that_is_not_there_leaves_espnow(
    online: Chip, wired: bytes, said: str | None
) -> None:
    online.lora.absent = said == "Invalid initial status"
    online.nvs.flash[("cairn", "lora")] = wired
    board = online.boot()

    async def work() -> None:
        board.equip(mains(regions.US915))

    drive(board, work())
    if said is None:
        assert board.radios() == (regions.LORA, regions.ESP_NOW)
        assert online.lora.made == [(18, 26, None)]
    else:
        assert board.radios() == (regions.ESP_NOW,)
        [(code, detail)] = online.reports
        assert code == "radio.lora"
        assert said in detail


def test_before_equip_there_is_no_radio_and_no_sensor(chip: Chip) -> None:
    """Safe mode: it is never called there."""
    board = chip.boot()

    async def work() -> None:
        assert board.radios() == ()
        assert await board.radio_receive() is None
        assert board.radio_send(regions.ESP_NOW, 0, 700, b"frame") is None
        board.radio_listen(regions.LORA, 1)
        assert await board.sample() == []

    drive(board, work())


def test_what_esp_idf_refuses_is_a_frame_not_sent(online: Chip, quick) -> None:
    board = online.boot()
    board.equip(mains())

    async def work() -> None:
        assert board.radio_send(regions.ESP_NOW, 0, 700, b"one")
        online.air.broken = True
        board._wifi.off = lambda: None
        online.wlan._active = False
        assert board.radio_send(regions.ESP_NOW, 0, 700, b"two") is False
        await asyncio.sleep(0.15)

    drive(board, work())
    assert online.machine.resets == 0


def test_the_age_of_a_frame_is_right_after_weeks(
    chip: Chip, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ESP-NOW stamps with 32 bits, ticks_ms() has 30, and ticks_diff() takes small integers."""
    from cairn.boards import esp32_radio

    period, now = 1 << 30, [0]

    def small(value: int) -> int:
        assert 0 <= value < period, "ticks_diff() would read the address of a long integer"
        return value

    def difference(end: int, start: int) -> int:
        return (small(end) - small(start) + period // 2) % period - period // 2

    monkeypatch.setattr(time, "ticks_ms", lambda: now[0] % period)
    monkeypatch.setattr(time, "ticks_diff", difference)
    monkeypatch.setattr(time, "ticks_add", lambda ticks, delta: (ticks + delta) % period)
    for uptime in (1_000, period - 10, period + 5, 3 * period + 77, (1 << 32) - 1):
        now[0] = uptime
        assert esp32_radio.age_ms(uptime - 40) == 40


def test_wifi_that_cannot_be_switched_off_keeps_nobody_awake(online: Chip, quick) -> None:
    board = online.boot()

    async def work() -> None:
        await board.online(5_000)
        online.air.broken = True
        board.deep_sleep(1_000)

    drive(board, work())
    assert online.machine.slept_ms == 1_000
    # What comes after it comes only here: a chip does not return from its sleep.
    assert online.reports[0][0] == "wifi.refused"
