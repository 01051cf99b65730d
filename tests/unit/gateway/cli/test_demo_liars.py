"""Who is called caught, who falsely accused, and whom a liar is compared with."""

from dataclasses import replace

from gateway.cli.demo_liars import TELLING, expose, exposed_cells, exposed_json, false_alarms
from gateway.core.epoch_inputs import Finding, StationRow
from gateway.core.slots import StationClass
from gateway.core.verdicts import Verdict
from simulator.adversary import ATTACKS
from simulator.fleet import Liar
from tests.unit.gateway.epoch_kit import CELLS, Net, row_of

TOKEN = 10**18


def rows(*findings):
    """Three paid stations in a line; findings: of the first, by verdict."""
    net = Net()
    boards = []
    for index in range(3):
        board = net.station(f"board {index}", anchored=True, cell=CELLS[index + 1])
        net.send(board.day())
        boards.append(board)
    outcome = net.close()
    found: list[StationRow] = [row_of(outcome, board) for board in boards]
    told = tuple(Finding(verdict, 1, ()) for verdict in findings)
    found[0] = replace(found[0], findings=told, paid=TOKEN, station_class=StationClass.UNPROVEN)
    return found


def liar(row, attack="location_lie_3km"):
    return Liar(row.device.hex(), "station 7", attack, "be paid for a place that it is not at")


def test_a_liar_is_caught_by_the_verdicts_that_give_its_attack_away():
    found = rows(Verdict.PLACE_IMPLAUSIBLE, Verdict.HOLE)
    [one] = expose([liar(found[0])], found)
    assert one.verdicts == (Verdict.PLACE_IMPLAUSIBLE,)
    assert one.paid == TOKEN
    assert one.neighbour in {row.device for row in found[1:]}
    assert one.neighbour_paid > TOKEN
    assert exposed_cells(one)[2:4] == ["place_implausible", "1.0000"]
    assert exposed_json(one)["caught"] is True


def test_another_finding_is_no_catch():
    found = rows(Verdict.HOLE, Verdict.FLAT_LINE)
    [one] = expose([liar(found[0])], found)
    assert exposed_cells(one)[2] == "NOT CAUGHT"
    assert exposed_json(one)["caught"] is False


def test_honest_stations_that_are_accused_are_false_alarms_and_liars_are_none():
    found = rows(Verdict.PLACE_IMPLAUSIBLE)
    assert false_alarms([liar(found[0])], found) == []
    assert false_alarms([liar(found[1])], found) == [found[0]]
    assert false_alarms([liar(found[1])], rows(Verdict.FLAT_LINE)) == []


def test_a_liar_that_never_registered_was_paid_nothing():
    found = rows()
    [one] = expose([Liar("00" * 16, "ghost", "ring", "take slots")], found)
    assert (one.verdicts, one.paid, one.neighbour) == ((), 0, None)


def test_every_attack_but_griefing_has_verdicts_that_tell_it():
    assert ATTACKS.keys() - TELLING.keys() == {"griefing_witness"}
    assert TELLING.keys() <= ATTACKS.keys()
