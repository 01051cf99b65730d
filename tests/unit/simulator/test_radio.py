"""Propagation: the presets come back out of it, links are symmetric, and one seed is one town."""

import math

import numpy as np
import pytest
from cairn import regions

from simulator.radio import (
    ESPNOW,
    NOISE_DBM,
    PRESETS,
    SNR_MAX_DB,
    Propagation,
    distances_m,
    generator_of,
    lora_airtime_ms,
    path_loss_db,
    receive,
    sensitivity_dbm,
)

SEEDS = range(1, 9)


def scattered(seed, count=160, radius_m=8_000.0):
    return generator_of(seed, "test places").uniform(-radius_m, radius_m, (count, 2))


def shadows(propagation, places, seed):
    """What the loss of each link has beyond the line."""
    loss = path_loss_db(propagation, places, seed)
    decades = np.log10(distances_m(places))
    return loss - propagation.reference_db - 10 * propagation.exponent * decades


@pytest.mark.parametrize("name", ["town", "campus", "campus-ground", "mountain", "street"])
def test_a_fit_of_the_links_finds_the_preset_again(name):
    preset = PRESETS[name]
    slopes, spreads = [], []
    for seed in SEEDS:
        places = scattered(seed)
        pairs = np.triu_indices(len(places), 1)
        decades = np.log10(distances_m(places)[pairs])
        slope, level = np.polyfit(decades, path_loss_db(preset, places, seed)[pairs], 1)
        fitted = level + slope * decades
        slopes.append(slope / 10)
        spreads.append(float(np.std(path_loss_db(preset, places, seed)[pairs] - fitted)))
    assert np.mean(slopes) == pytest.approx(preset.exponent, abs=0.1)
    assert np.mean(spreads) == pytest.approx(preset.shadow_db, rel=0.05)


def test_the_shadow_is_normal_in_its_tails_too():
    values = np.concatenate(
        [
            shadows(PRESETS["town"], scattered(seed), seed)[np.triu_indices(160, 1)] / 8.0
            for seed in SEEDS
        ]
    )
    beyond = [float(np.mean(np.abs(values) > z)) for z in (1, 2, 3)]
    assert beyond[0] == pytest.approx(0.317, abs=0.015)
    assert beyond[1] == pytest.approx(0.0455, abs=0.008)
    assert beyond[2] == pytest.approx(0.0027, abs=0.002)


@pytest.mark.parametrize("apart_m", [25.0, 100.0, 300.0])
def test_shadows_of_near_places_are_alike_as_gudmundson_says(apart_m):
    found = []
    for seed in SEEDS:
        places = scattered(seed, 80)
        moved = places + np.array([apart_m, 0.0])
        both = shadows(PRESETS["town"], np.vstack([places, moved]), seed)
        here = both[:80, :80][np.triu_indices(80, 1)]
        there = both[80:, :80][np.triu_indices(80, 1)]
        found.append(float(np.corrcoef(here, there)[0, 1]))
    assert np.mean(found) == pytest.approx(math.exp(-apart_m / 100.0), abs=0.06)


def test_links_are_symmetric_and_depend_on_their_own_ends_alone():
    places = scattered(3, 40)
    loss = path_loss_db(PRESETS["town"], places, 3)
    assert np.array_equal(loss, loss.T)
    fewer = path_loss_db(PRESETS["town"], places[5:9], 3)
    assert fewer == pytest.approx(loss[5:9, 5:9], abs=1e-9)


def test_one_seed_is_one_town():
    places = scattered(3, 40)
    loss = path_loss_db(PRESETS["town"], places, 3)
    assert np.array_equal(loss, path_loss_db(PRESETS["town"], places, 3))
    assert not np.allclose(loss, path_loss_db(PRESETS["town"], places, 4), atol=1.0)


def test_free_space_is_exact():
    places = np.array([[0.0, 0.0], [1_000.0, 0.0]])
    loss = path_loss_db(PRESETS["free-space"], places, 1)
    # 20 log10(4 pi 1000 m 868.3 MHz / c)
    assert loss[0, 1] == pytest.approx(91.22, abs=0.01)


def test_fading_is_of_the_frame_and_of_no_mean():
    generator = generator_of(1, "frames")
    loss = np.full((2_000, 5), 110.0)
    heard = receive(PRESETS["town"], loss, 16.0, generator)
    assert float(np.mean(heard.rssi_dbm)) == pytest.approx(-94.0, abs=0.15)
    # 3 dB of fading and 1 dB of the chip's own error.
    assert float(np.std(heard.rssi_dbm)) == pytest.approx(math.hypot(3, 1), rel=0.05)


def test_a_frame_is_decoded_down_to_the_sensitivity():
    still = Propagation(3.0, 31.22, 0.0, 100.0, 0.0)
    limit = 16.0 + 129.5
    heard = receive(still, np.array([limit - 0.1, limit + 0.1]), 16.0, generator_of(1, "x"))
    assert heard.heard.tolist() == [True, False]
    assert sensitivity_dbm(9) == -129.5
    assert sensitivity_dbm(12) == -137.0


def test_rssi_is_that_of_the_signal_and_snr_has_floor_and_ceiling():
    still = Propagation(3.0, 31.22, 0.0, 100.0, 0.0)
    weak, strong = np.full(500, 16.0 + 125.0), np.full(500, 60.0)
    below = receive(still, weak, 16.0, generator_of(1, "x"))
    assert float(np.mean(below.rssi_dbm)) == pytest.approx(-125.0, abs=0.2)
    coherence = below.rssi_dbm - below.snr_db
    assert float(np.mean(coherence)) == pytest.approx(NOISE_DBM, abs=0.2)
    assert 0.5 < float(np.std(coherence)) < 2.8
    above = receive(still, strong, 16.0, generator_of(1, "y"))
    assert float(np.max(above.snr_db)) == SNR_MAX_DB


def test_gains_and_powers_broadcast_over_beacons_and_receivers():
    still = Propagation(3.0, 31.22, 0.0, 100.0, 0.0)
    loss = np.full((2, 3), 100.0)
    powers = np.array([[16.0], [7.0]])
    got = receive(still, loss, powers, generator_of(1, "x"), gain_db=np.array([0.0, 3.0, -3.0]))
    expected = [[-84.0, -81.0, -87.0], [-93.0, -90.0, -96.0]]
    assert got.rssi_dbm == pytest.approx(np.array(expected), abs=4.0)


def test_wifi_reports_no_snr():
    heard = receive(
        PRESETS["espnow"], np.array([90.0]), 20.0, generator_of(1, "x"), receiver=ESPNOW
    )
    assert math.isnan(heard.snr_db[0])


def test_esp_now_reaches_what_people_report():
    """115 m among trees, 63 m in thick forest."""
    preset = PRESETS["espnow"]
    reach_m = [
        10 ** ((eirp + 98.0 - preset.reference_db) / (10 * preset.exponent))
        for eirp in (11.0, 20.0)
    ]
    assert 63 < reach_m[0] < 115 < reach_m[1] < 200


@pytest.mark.parametrize("size", [1, 20, 64])
def test_airtime_is_the_firmwares(size):
    assert lora_airtime_ms(size) == -(-regions.airtime_us(size) // 1_000)


def test_airtime_is_semtechs():
    # AN1200.13 for 20 bytes: 12.25 + 33 symbols of 4.096 ms; at SF12 12.25 + 28 of 32.768 ms.
    assert lora_airtime_ms(20) == 186
    assert lora_airtime_ms(20, 12) == 1_319
