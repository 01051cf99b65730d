"""What an audit cannot see when an operator makes everything anew, and what then still shows."""

from dataclasses import replace

from gateway.core.audit import audit_bundle
from gateway.core.bundle_sections import bundle_sections
from gateway.core.epoch import close_epoch
from gateway.core.logs import admission_cbor, chain_over
from gateway.core.verdicts import Verdict
from tests.unit.gateway.epoch_kit import DAY, HOUR_MS, Net, findings_of, row_of


def cooked(change):
    """Close a day whose admission log was changed by the operator, who then signs all of it.

    change: from the list of entries, of which [0] and [1] are hello and claim and the others the
    readings of the day, to another list. Returns the report, the board's row, and the honest row.
    """
    net = Net()
    board = net.station()
    net.send(board.day())
    honest = net.inputs()
    entries = tuple(change(list(honest.admission)))
    admission = replace(
        honest.admission_range,
        last=len(entries),
        hash_after=chain_over(honest.admission_range.hash_before, map(admission_cbor, entries)),
    )
    kept = {entry.message_id for entry in entries}
    messages = {key: data for key, data in honest.messages.items() if key in kept}
    inputs = replace(honest, admission=entries, admission_range=admission, messages=messages)
    outcome = close_epoch(inputs)
    attestation = net.attest(DAY, outcome.manifest_hash)
    report = audit_bundle(bundle_sections(inputs, outcome, attestation))
    return report, row_of(outcome, board), row_of(close_epoch(honest), board)


def test_a_message_that_was_never_logged_leaves_a_hole_in_its_stations_chain():
    report, row, honest = cooked(lambda entries: entries[:70] + entries[71:])
    assert report.ok
    assert row.quality_ppm < honest.quality_ppm
    assert (findings_of(row), findings_of(honest)) == ({Verdict.HOLE: 1}, {})


def test_nothing_shows_that_the_last_messages_of_a_station_were_never_logged():
    report, row, honest = cooked(lambda entries: entries[:-3])
    assert report.ok
    assert row.quality_ppm < honest.quality_ppm
    assert findings_of(row) == {}


def test_the_time_of_arrival_is_the_operators_word():
    report, row, honest = cooked(
        lambda entries: [replace(e, recv_ms=e.recv_ms + 2 * HOUR_MS) for e in entries]
    )
    assert report.ok
    assert (row.quality_ppm, honest.quality_ppm) == (250_000, 1_000_000)


def test_another_order_of_the_log_changes_no_pay():
    report, row, honest = cooked(lambda entries: entries[::-1])
    assert report.ok
    assert row == honest
