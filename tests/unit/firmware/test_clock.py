from cairn import wire
from cairn.clock import Clock
from hypothesis import given
from hypothesis import strategies as st


class Ticks:
    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


def make(*, simulated: bool = False) -> tuple[Clock, Ticks]:
    ticks = Ticks()
    return Clock(ticks, simulated), ticks


def test_unset_clock_counts_since_boot() -> None:
    clock, ticks = make()
    ticks.now = 1_000_000
    assert clock.now() == (1_000_000, wire.SOURCE_NONE, 50)
    assert not clock.synced


def test_uncertainty_grows_by_the_crystals_drift() -> None:
    clock, ticks = make()
    ticks.now = 5_000
    clock.set_gateway(1_700_000_000_000, 4_000, 30)
    assert clock.now() == (1_700_000_001_000, wire.SOURCE_GATEWAY, 31)
    assert clock.utc_at_boot_ms() == 1_699_999_996_000
    ticks.now += 86_400_000
    assert clock.now() == (1_700_086_401_000, wire.SOURCE_GATEWAY, 30 + 4321)


def test_sntp_comes_second_and_moves_five_seconds_at_most() -> None:
    clock, _ = make()
    assert clock.set_sntp(1_700_000_000_000, 0, 10) is None
    clock.set_gateway(1_700_000_000_000, 0, 10)
    assert clock.set_sntp(1_700_000_005_001, 0, 10) is None
    assert clock.set_sntp(1_699_999_994_999, 0, 10) is None
    assert clock.now() == (1_700_000_000_000, wire.SOURCE_GATEWAY, 10)
    assert clock.set_sntp(1_699_999_995_000, 0, 7) == -5_000
    assert clock.now() == (1_699_999_995_000, wire.SOURCE_SNTP, 7)


def test_small_steps_of_sntp_do_not_add_up() -> None:
    clock, ticks = make()
    clock.set_gateway(1_700_000_000_000, 0, 10)
    taken = 0
    for step in range(1, 40):
        ticks.now += 3_600_000
        true = 1_700_000_000_000 + ticks.now
        taken += clock.set_sntp(true + 500 * step, ticks.now, 10) is not None
    # 500 ms of each hour is more than the crystal's 180 ms.
    assert 10 <= taken <= 16
    assert clock.now()[0] - 1_700_000_000_000 - ticks.now <= 5_000 + taken * 180
    # Had it been the crystal, the clock would have followed for ever.
    clock.set_gateway(1_700_000_000_000 + ticks.now, ticks.now, 10)
    for step in range(1, 400):
        ticks.now += 3_600_000
        true = 1_700_000_000_000 + ticks.now
        assert clock.set_sntp(true + 170 * step, ticks.now, 10) is not None


def test_sntp_never_touches_a_driven_clock() -> None:
    clock, ticks = make(simulated=True)
    assert clock.tick(28_000_000)
    assert clock.set_sntp(28_000_000 * 60_000 + 5, ticks.now, 1) is None
    assert clock.source == wire.SOURCE_TICK


def test_held_time_needs_a_witness_before_it() -> None:
    clock, _ = make()
    assert not clock.set_held(1_000, 2_000, 10)
    assert clock.set_held(102_000, 2_000, 10)
    # Five per cent of 100 s of sleep on the RC oscillator.
    assert clock.now() == (102_000, wire.SOURCE_HELD, 5_010)
    assert not clock.set_held(103_000, 2_000, 10)


def test_tick_drives_only_simulated_networks_and_only_forwards() -> None:
    real, _ = make()
    assert not real.tick(28_000_000)
    clock, ticks = make(simulated=True)
    assert clock.tick(28_000_000)
    ticks.now = 59_000
    assert clock.now() == (28_000_000 * 60_000 + 59_000, wire.SOURCE_TICK, 3)
    assert not clock.tick(28_000_000)
    assert not clock.tick(27_999_999)
    assert clock.tick(28_000_001)
    assert clock.now()[0] == 28_000_001 * 60_000


@given(
    st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**5)), min_size=1, max_size=5),
    st.integers(-(10**6), 10**6),
)
def test_utc_and_boot_mapping_agree(sets, error) -> None:
    clock, ticks = make()
    for elapsed, uncertainty in sets:
        ticks.now += elapsed
        clock.set_gateway(1_700_000_000_000 + error + ticks.now, ticks.now, uncertainty)
        assert clock.utc_at_boot_ms() + ticks.now == clock.now()[0]
        assert clock.now()[2] == uncertainty
