"""What a beacon's radio may do: channels, power and time on air (spec/regions.toml).

Pure integers. Power is EIRP in cdBm: what leaves the antenna in its best direction.
"""

LORA = 0
ESP_NOW = 1
BLE = 2

NONE = 0
EU868 = 1
US915 = 2

SPREADING_FACTOR = 9
BANDWIDTH_KHZ = 125
CODING_RATE = 5
PREAMBLE_SYMBOLS = 8

# 2.4 GHz: 20 dBm EIRP is the limit of the EU and lies below that of the US. The antenna is the
# module's own, as a rule of 2 dBi.
SHORT_RANGE_EIRP_CDBM = 2_000
SHORT_RANGE_GAIN_CDBI = 200
POWER_STEP_CDB = 300


class Region:
    """LoRa in one region. In any window_ms a station sends for at most air_us_max."""

    def __init__(
        self,
        name: str,
        channels_khz: "tuple[int, ...]",
        eirp_cdbm: int,
        window_ms: int,
        air_us_max: int,
    ) -> None:
        self.name = name
        self.channels_khz = channels_khz
        self.eirp_cdbm = eirp_cdbm
        self.window_ms = window_ms
        self.air_us_max = air_us_max


REGIONS = {
    # ERC/REC 70-03 annex 1, 868.0 to 868.6 MHz: 1 % of an hour in the whole band, so all three
    # channels share it.
    EU868: Region("EU868", (868_100, 868_300, 868_500), 1_600, 3_600_000, 36_000_000),
    # 47 CFR 15.247: 400 ms within 20 s on one channel; here on all of them together.
    US915: Region(
        "US915",
        tuple([902_300 + 200 * channel for channel in range(8)]),
        3_000,
        20_000,
        400_000,
    ),
}


def airtime_us(size: int) -> int:
    """Time on air of a beacon's modulation with `size` bytes, header and CRC (AN1200.13)."""
    sf = SPREADING_FACTOR
    # SF9 at 125 kHz needs no low data rate optimisation.
    bits = 8 * size - 4 * sf + 28 + 16
    symbols = 8 + max(0, -(-bits // (4 * sf))) * CODING_RATE
    quarters = 4 * PREAMBLE_SYMBOLS + 17 + 4 * symbols
    return -(-quarters * (1 << sf) * 1_000 // (4 * BANDWIDTH_KHZ))


class AirBudget:
    """Time on air over the window that ends now; exact, where a token bucket lets twice as much
    through after a pause.
    """

    def __init__(self, region: Region) -> None:
        self._region = region
        self._sent: "list[tuple[int, int]]" = []

    def spend(self, ticks: int, air_us: int) -> bool:
        """Whether a frame of air_us may start at ticks (ms); if so it counts from now on."""
        oldest = ticks - self._region.window_ms
        # One beacon a slot at most: never more than 60 entries.
        self._sent = [entry for entry in self._sent if entry[0] > oldest]
        used = sum([entry[1] for entry in self._sent])
        if used + air_us > self._region.air_us_max:
            return False
        self._sent.append((ticks, air_us))
        return True
