"""The fleet's own record."""

from simulator.record import Record

ONE, TWO = bytes(16), bytes([1]) * 16


def test_a_message_counts_from_its_first_offer_on(tmp_path):
    record = Record()
    record.offered(ONE, 2, b"b", 60)
    record.offered(ONE, 1, b"a", 60)
    record.offered(ONE, 1, b"a", 90)
    assert [one.data for one in record.in_order()] == [b"a", b"b"]
    record.offered(TWO, 1, b"first", 50)
    assert [(one.at_ms, one.data) for one in record.in_order()] == [
        (50, b"first"),
        (60, b"a"),
        (60, b"b"),
    ]
    record.save(tmp_path / "record")
    assert Record.load(tmp_path / "record").messages == record.messages
