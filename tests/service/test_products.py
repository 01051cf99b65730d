"""Products follow the admission log: made at their release, revised by what comes late."""

import sqlite3

import pytest

from gateway.core.genesis import DAY_MS
from gateway.core.model import Kind
from gateway.shell.products import asking, cells
from gateway.shell.products.periods import DAY, HOUR, TEN_MINUTES
from gateway.shell.products.projection import FILE
from tests.service.gateway_rig import DUE, START
from tests.service.products_rig import (
    CELL_7,
    DIRECTION,
    FAR_CELL,
    GRACE_MS,
    HUMIDITY,
    MINUTE_MS,
    NOON,
    TEMPERATURE,
    WINDOW_MS,
    Followed,
    ProductStation,
)
from tests.service.signing_station import CELL

RELEASE = NOON + WINDOW_MS + GRACE_MS


@pytest.fixture
def world(keys):
    world = Followed(keys)
    yield world
    world.close()


@pytest.fixture
def stations(world, keys):
    """Three in one cell of resolution 9."""
    stations = [ProductStation(number, keys.network_id) for number in range(3)]
    world.send(*(one.hello(START) for one in stations), now_ms=START)
    return stations


def temperature(value: int) -> list:
    return [TEMPERATURE, 0, -2, [value]]


def test_a_product_is_made_at_its_release_and_not_before(world, stations):
    for number, station in enumerate(stations):
        time_ms = NOON + number * MINUTE_MS
        world.send(station.columns(time_ms, temperature(2000 + number)), now_ms=time_ms)
    world.follow(RELEASE - 1)
    assert world.series(CELL_7, TEN_MINUTES) == []
    world.follow(RELEASE)
    [made] = world.series(CELL_7, TEN_MINUTES)
    assert (made.start_ms, made.made_ms, made.revision) == (NOON, RELEASE, 1)
    content = made.content
    assert (content.mean, content.stations, content.expected) == (200_100, 3, 3)
    assert (content.readings, content.coverage, content.late) == (3, 10_000, 0)
    # The hour and the day are released when their last window is.
    assert world.series(CELL_7, HOUR) == []
    world.follow(NOON + 60 * MINUTE_MS + GRACE_MS)
    assert [one.start_ms for one in world.series(CELL_7, HOUR)] == [NOON]
    assert world.series(CELL_7, DAY) == []
    world.follow(START + DAY_MS + GRACE_MS)
    [day] = world.series(CELL_7, DAY)
    assert (day.start_ms, day.content.mean, day.content.coverage) == (
        START,
        200_100,
        10_000 // 144,
    )


def test_every_resolution_says_the_same_of_lone_neighbours(world, stations):
    world.send(stations[0].columns(NOON, temperature(1234)), now_ms=NOON)
    world.follow(RELEASE)
    for cell in cells.parents(cells.base_cell(CELL)):
        [made] = world.series(cell, TEN_MINUTES)
        assert (made.content.mean, made.content.expected) == (123_400, 3)
    assert len(world.everything()) == 4


def test_a_coarse_station_is_in_no_cell_finer_than_it_says(world, keys):
    station = ProductStation(9, keys.network_id, CELL_7)
    world.send(station.hello(START), now_ms=START)
    world.send(station.columns(NOON, temperature(1)), now_ms=NOON)
    world.follow(RELEASE)
    assert len(world.everything()) == 3
    assert len(world.series(CELL_7, TEN_MINUTES)) == 1


def test_a_late_reading_is_counted_in_the_next_revision(world, stations):
    one, two, _ = stations
    world.send(one.columns(NOON, temperature(2000)), now_ms=NOON)
    world.follow(RELEASE)
    [first] = world.series(CELL_7, TEN_MINUTES)
    late_ms = RELEASE + 3 * MINUTE_MS
    world.send(two.columns(NOON + 1, temperature(9000)), now_ms=late_ms)
    world.follow(late_ms)
    assert world.series(CELL_7, TEN_MINUTES) == [first]
    world.follow(RELEASE + WINDOW_MS)
    [second] = world.series(CELL_7, TEN_MINUTES)
    assert (second.revision, second.made_ms) == (2, RELEASE + WINDOW_MS)
    assert second.content == first.content._replace(late=1)
    assert world.series(CELL_7, TEN_MINUTES, revision=1) == [first]
    assert world.series(CELL_7, TEN_MINUTES, revision=7) == [second]
    # The hour was not released yet: late there too, for what was out could be copied.
    world.follow(NOON + 60 * MINUTE_MS + GRACE_MS)
    [hour] = world.series(CELL_7, HOUR)
    assert (hour.revision, hour.content.late, hour.content.stations) == (1, 1, 1)


def test_a_product_of_late_readings_alone_has_no_mean(world, stations):
    world.send(stations[0].columns(NOON, temperature(2000)), now_ms=RELEASE)
    world.follow(RELEASE + WINDOW_MS)
    [made] = world.series(CELL_7, TEN_MINUTES)
    assert (made.content.mean, made.content.late, made.content.flag) == (None, 1, 9)


def test_a_reading_that_changes_nothing_makes_no_revision(world, stations):
    """The battery is no quantity of a place, channel 1 is not the first, pressure not declared."""
    world.send(stations[0].columns(NOON, temperature(2000)), now_ms=NOON)
    world.follow(RELEASE)
    before = world.everything()
    others = [[TEMPERATURE, 1, -2, [1]], [2, 0, -1, [10_000]], [10, 0, -3, [3_300]]]
    world.send(stations[1].columns(NOON, *others), now_ms=RELEASE)
    world.follow(RELEASE + DAY_MS // 4)
    assert [row for row in world.everything() if row[1] == WINDOW_MS] == before


def test_a_late_reading_revises_its_own_quantity_alone(world, stations):
    one, two, _ = stations
    both = [temperature(2000), [HUMIDITY, 0, -1, [500]]]
    world.send(one.columns(NOON, *both), now_ms=NOON)
    world.send(two.columns(NOON, temperature(2000)), now_ms=RELEASE)
    world.follow(RELEASE + WINDOW_MS)
    revisions = {
        quantity: [made.revision for made in world.series(CELL_7, TEN_MINUTES, quantity)]
        for quantity in (TEMPERATURE, HUMIDITY)
    }
    assert revisions == {TEMPERATURE: [2], HUMIDITY: [1]}


def test_what_comes_a_month_late_changes_nothing(world, stations):
    world.send(stations[0].columns(NOON, temperature(2000)), now_ms=NOON)
    month = NOON + 30 * DAY_MS
    world.send(stations[1].columns(NOON, temperature(2000)), now_ms=month)
    world.follow(month + DAY_MS)
    [made] = world.series(CELL_7, TEN_MINUTES)
    assert (made.revision, made.content.late) == (2, 1)
    world.send(stations[2].columns(NOON, temperature(2000)), now_ms=month + 1)
    world.follow(month + 2 * DAY_MS)
    assert world.series(CELL_7, TEN_MINUTES) == [made]


def test_only_touched_cells_are_computed_again(world, stations, keys, monkeypatch):
    far = ProductStation(7, keys.network_id, FAR_CELL)
    world.send(far.hello(START), now_ms=START)
    for station in (*stations, far):
        world.send(station.columns(NOON, temperature(2000)), now_ms=NOON)
    world.follow(START + 2 * DAY_MS)
    made = []
    monkeypatch.setattr(
        "gateway.shell.products.making.Making._keep", lambda _, product: made.append(product)
    )
    late_ms = START + 2 * DAY_MS + MINUTE_MS
    world.send(far.columns(NOON + 1, temperature(1)), now_ms=late_ms)
    world.follow(late_ms + WINDOW_MS)
    london = set(cells.parents(cells.base_cell(FAR_CELL)))
    assert {one.cell for one in made} == london
    assert len(made) == 3 * len(london)


def test_made_again_it_is_the_same_to_the_revision(world, stations, tmp_path):
    """Followed hour by hour, or all at once afterwards, and in steps of any size."""
    one, two, three = stations
    for number in range(48):
        time_ms = START + number * 30 * MINUTE_MS
        world.send(one.columns(time_ms, temperature(2000 + number)), now_ms=time_ms)
        world.send(two.columns(time_ms, temperature(2010 + number)), now_ms=time_ms + 1)
        if number % 7 in {3, 4}:
            old = three.columns(time_ms - 5 * 3_600_000, temperature(1))
            world.send(old, now_ms=time_ms + 2)
        world.follow(time_ms + 3)
    world.follow(START + 2 * DAY_MS)
    rows = world.everything()
    assert max(row[4] for row in rows) >= 3
    again = world.again(tmp_path / "again.db")
    world.follow(START + 2 * DAY_MS, again)
    assert world.everything(again) == rows
    again.close()
    small = world.again(tmp_path / "small.db")
    world.follow(START + 2 * DAY_MS, small, 7)
    assert world.everything(small) == rows
    small.close()


def test_two_processes_follow_with_one_file(world, stations, keys):
    other = world.again(keys.folder / FILE)
    for number in range(40):
        time_ms = START + number * 5 * MINUTE_MS
        world.send(stations[0].columns(time_ms, temperature(2000)), now_ms=time_ms)
        world.follow(time_ms, (world.products, other)[number % 2])
    world.follow(START + DAY_MS * 2)
    assert len(world.series(CELL_7, TEN_MINUTES)) == 20
    [day] = world.series(CELL_7, DAY)
    assert day.content.readings == 40
    other.close()


@pytest.mark.parametrize("damage", ["garbage", "other log", "other version", "gone"])
def test_a_file_that_does_not_fit_is_made_again(world, stations, keys, damage):
    world.send(stations[0].columns(NOON, temperature(2000)), now_ms=NOON)
    world.follow(RELEASE)
    rows = world.everything()
    assert rows
    world.products.close()
    path = keys.folder / FILE
    if damage == "garbage":
        path.write_bytes(b"x" * 4_096)
    elif damage == "gone":
        path.unlink()
    else:
        database = sqlite3.connect(path)
        if damage == "other log":
            database.execute("UPDATE progress SET hash = x'00'")
        else:
            database.execute("UPDATE progress SET version = 0")
        database.execute("DELETE FROM products")
        database.commit()
        database.close()
    world.products = world.again(path)
    world.follow(RELEASE)
    assert world.everything() == rows


def test_a_station_that_moves_leaves_its_readings_where_it_was(world, stations):
    one = stations[0]
    world.send(one.columns(NOON, temperature(2000)), now_ms=NOON)
    world.send(one.moved(NOON + 1, FAR_CELL), now_ms=NOON + 1)
    second = NOON + WINDOW_MS
    world.send(one.columns(second, temperature(900)), now_ms=second)
    world.send(stations[1].columns(second, temperature(2000)), now_ms=second)
    world.follow(RELEASE + WINDOW_MS)
    here, later = world.series(CELL_7, TEN_MINUTES)
    assert (here.start_ms, here.content.stations, here.content.expected) == (NOON, 1, 3)
    assert (later.start_ms, later.content.stations, later.content.expected) == (second, 1, 2)
    london = cells.parents(cells.base_cell(FAR_CELL))[1]
    [there] = world.series(london, TEN_MINUTES)
    assert (there.start_ms, there.content.mean, there.content.expected) == (
        NOON + WINDOW_MS, 90_000, 1,
    )  # fmt: skip


def test_a_station_that_was_silent_for_a_week_is_not_expected(world, stations):
    one, two, _ = stations
    world.send(two.columns(START, temperature(1)), now_ms=START)
    later = NOON + 6 * DAY_MS
    for time_ms in (later, later + 2 * DAY_MS):
        world.send(one.columns(time_ms, temperature(1)), now_ms=time_ms)
    world.follow(later + 3 * DAY_MS)
    expected = [made.content.expected for made in world.series(CELL_7, TEN_MINUTES)]
    assert expected == [3, 3, 1]


def test_a_boot_without_time_counts_from_its_first_mapping(world, stations):
    one = stations[0]
    unmapped = one.columns(5_000, temperature(2000), source=0)
    world.send(unmapped, now_ms=NOON)
    clock = one.message(Kind.CLOCK, NOON, [1, NOON - 5_000, 1, 900])
    world.send(clock, now_ms=NOON + MINUTE_MS)
    better = one.message(Kind.CLOCK, NOON, [1, NOON - DAY_MS // 4, 1, 1])
    world.send(better, now_ms=NOON + 2 * MINUTE_MS)
    following = one.columns(6_000, temperature(2001), source=0)
    world.send(following, now_ms=NOON + 3 * MINUTE_MS)
    world.follow(RELEASE)
    [made] = world.series(CELL_7, TEN_MINUTES)
    assert (made.start_ms, made.content.readings) == (NOON, 2)


def test_a_mapping_that_comes_after_the_release_makes_its_readings_late(world, stations):
    """Whoever may still choose the time of a value has seen what others sent."""
    one = stations[0]
    world.send(one.columns(5_000, temperature(2000), source=0), now_ms=NOON)
    clock = one.message(Kind.CLOCK, RELEASE, [1, NOON - 5_000, 1, 900])
    world.send(clock, now_ms=RELEASE)
    world.follow(RELEASE + WINDOW_MS)
    [made] = world.series(CELL_7, TEN_MINUTES)
    assert (made.content.readings, made.content.late) == (0, 1)


def test_times_that_do_not_count_are_left_out(world, stations):
    one = stations[0]
    ahead = one.columns(NOON + 3 * MINUTE_MS, temperature(1))
    split = one.message(
        Kind.READINGS, START + 30_000, [0, [60_000], [[TEMPERATURE, 0, -2, [3, 1]]]]
    )
    world.send(ahead, split, now_ms=NOON)
    world.follow(NOON + DAY_MS)
    # Sent at noon, the other sample is of just after midnight: late.
    [made] = world.series(CELL_7, TEN_MINUTES)
    assert (made.start_ms, made.content.late) == (START, 1)


def test_wind_directions_are_averaged_the_short_way(world, stations):
    for station, degrees in zip(stations, (350, 0, 10), strict=True):
        world.send(station.columns(NOON, [DIRECTION, 0, 0, [degrees]]), now_ms=NOON)
    world.follow(RELEASE)
    [made] = world.series(CELL_7, TEN_MINUTES, DIRECTION)
    assert made.content.mean in {0, 36_000}


def test_flags_are_those_of_the_self_checks(world, stations):
    one = stations[0]
    world.send(one.columns(NOON, temperature(2000), [HUMIDITY, 0, -1, [500]]), now_ms=NOON)
    second = NOON + WINDOW_MS
    # A jump of 40 degrees, and more than all the water that air can hold.
    columns = [temperature(6000), [HUMIDITY, 0, -1, [1_500]]]
    world.send(one.columns(second, *columns), now_ms=second)
    world.follow(RELEASE + WINDOW_MS)
    warm = world.series(CELL_7, TEN_MINUTES)[1].content
    wet = world.series(CELL_7, TEN_MINUTES, HUMIDITY)[1].content
    assert (warm.suspect, warm.mean, warm.flag) == (1, None, 4)
    assert (wet.failed, wet.mean, wet.flag) == (1, None, 4)


def test_what_there_is_can_be_asked(world, stations, keys):
    far = ProductStation(7, keys.network_id, FAR_CELL)
    world.send(far.hello(START), now_ms=START)
    for station in (stations[0], far):
        world.send(station.columns(NOON, temperature(2000)), now_ms=NOON)
    world.follow(RELEASE)
    with world.products.reading() as database:
        found = list(asking.known(database, TEN_MINUTES, 7))
        assert [one.quantity for one in found] == [TEMPERATURE] * 2
        assert [one.cell for one in found] == sorted(one.cell for one in found)
        assert list(asking.known(database, TEN_MINUTES, 7, found[0].cell)) == found[1:]
        kind = (TEN_MINUTES, 7, TEMPERATURE)
        mapped = asking.at_one_time(database, kind, NOON, None, (0, 10))
        assert [one.cell for one in mapped] == [one.cell for one in found]
        assert asking.at_one_time(database, kind, NOON - WINDOW_MS, None, (0, 10)) == []
        assert asking.extent_ms(database, TEN_MINUTES) == (NOON, NOON)
        assert asking.extent_ms(database, DAY) is None


def test_a_close_says_how_far_time_has_come(world, stations, tmp_path):
    """Nothing arrives any more, and nobody says what time it is: the close does."""
    evening = START + DAY_MS - MINUTE_MS
    world.send(stations[0].columns(evening, temperature(2000)), now_ms=evening)
    world.follow(0)
    assert world.everything() == []
    world.gateway.advance(DUE)
    world.follow(0)
    [day] = world.series(CELL_7, DAY)
    assert day.made_ms == START + DAY_MS + GRACE_MS
    # What comes then is late, also for a file that is made from nothing.
    world.send(stations[1].columns(evening, temperature(1)), now_ms=DUE)
    world.send(stations[1].columns(DUE + DAY_MS, temperature(1)), now_ms=DUE + DAY_MS)
    world.follow(0)
    assert world.series(CELL_7, DAY)[0].content.late == 1
    again = world.again(tmp_path / "again.db")
    world.follow(0, again)
    assert world.everything(again) == world.everything()
    again.close()
