"""What the driver waits for, and what it does not."""

import cbor2

from simulator.watch import HELLO, Header, Watch, header_of

READINGS = 1


def signed(payload):
    return cbor2.dumps(cbor2.CBORTag(18, [b"", {}, cbor2.dumps(payload), bytes(64)]))


def receipt(up_to, ranges=(), refused=()):
    return signed([16, 17, bytes(16), 1, 0, [up_to, bytes(16), list(ranges), list(refused), 0]])


def tick(slot):
    return signed([16, 21, b"", 1, 0, [slot]])


def test_a_message_says_its_kind_and_seq():
    assert header_of(signed([16, READINGS, 3, 77, bytes(16), 0, [1, 0], []])) == (READINGS, 77)


def test_only_a_covering_receipt_ends_the_wait():
    watch = Watch()
    assert watch.handed(4, Header(HELLO, 1))
    assert not watch.quiet()
    watch.receipted(4, receipt(1))
    assert watch.quiet()
    for seq in (2, 4, 6):
        assert watch.handed(4, Header(READINGS, seq))
    watch.receipted(4, receipt(1, ranges=[[4, 4]]))
    assert sorted(watch.waiting()) == [(4, 2), (4, 6)]
    watch.receipted(4, receipt(2, ranges=[[4, 5]], refused=[[6, 9]]))
    assert watch.quiet()


def test_strangers_get_no_receipt_and_are_not_waited_for():
    watch = Watch()
    assert not watch.handed(0, Header(READINGS, 2))
    assert watch.quiet()


def test_what_is_receipted_already_is_not_waited_for_again():
    watch = Watch()
    watch.receipted(0, receipt(9))
    assert not watch.handed(0, Header(READINGS, 9))
    assert watch.handed(0, Header(READINGS, 10))
    watch.withdrawn(0, Header(READINGS, 10))
    assert watch.quiet()


def test_a_station_that_goes_off_is_forgotten():
    watch = Watch()
    watch.handed(0, Header(HELLO, 1))
    watch.handed(1, Header(HELLO, 1))
    watch.expect_tick(5, [0, 1])
    watch.forget(0)
    assert watch.waiting() == [(1, 1)]
    watch.tick(1, tick(5))
    assert watch.ticked()


def test_an_older_tick_does_not_count():
    watch = Watch()
    watch.expect_tick(8, [0, 1])
    before = watch.progress
    assert watch.tick(0, tick(7)) == 7
    assert watch.progress == before
    assert watch.tick(0, tick(8)) == 8
    assert not watch.ticked()
    assert watch.tick(1, tick(9)) == 9
    assert watch.ticked()
    assert watch.progress > before


def test_giving_up_waits_for_nothing():
    watch = Watch()
    watch.handed(0, Header(HELLO, 1))
    watch.expect_tick(1, [0])
    watch.give_up()
    assert watch.quiet()
    assert watch.ticked()


def link(slot):
    return cbor2.dumps([slot, bytes(32), b""])


def test_a_slot_begins_with_the_entropy_of_every_station_that_is_expected():
    watch = Watch()
    watch.expect_tick(70, [1, 2], entropy=True)
    assert watch.link(1, link(69)) == 69
    assert watch.link(1, link(70)) == 70
    assert not watch.linked()
    watch.forget(2)
    assert watch.linked()
    assert not watch.ticked()
    watch.expect_tick(71, [1, 2])
    assert watch.linked()
    watch.expect_tick(72, [1, 2], entropy=True)
    watch.give_up()
    assert watch.linked()
