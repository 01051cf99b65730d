"""The fleet's own record."""

from simulator.record import Record

ONE, TWO = bytes(16), bytes([1]) * 16


def test_a_message_counts_once_it_was_offered(tmp_path):
    record = Record()
    record.signed(TWO, 1, 50)
    record.signed(ONE, 1, 60)
    record.signed(ONE, 2, 60)
    record.offered(ONE, 2, b"b")
    record.offered(ONE, 1, b"a")
    record.offered(ONE, 1, b"a")
    assert [one.data for one in record.in_order()] == [b"a", b"b"]
    record.offered(TWO, 1, b"first")
    assert [(one.at_ms, one.data) for one in record.in_order()] == [
        (50, b"first"),
        (60, b"a"),
        (60, b"b"),
    ]
    record.save(tmp_path / "record")
    assert Record.load(tmp_path / "record").messages == record.messages
