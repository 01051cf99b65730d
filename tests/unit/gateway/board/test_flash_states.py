"""The state machine of flashing: every move tried, from every state."""

import itertools

import pytest

from gateway.board.flash_states import MOVES, SENTENCES, Course, State

LEGAL = {
    ("idle", "opening"),
    ("opening", "connecting"),
    ("connecting", "inspecting"),
    ("connecting", "connecting"),
    ("inspecting", "ready"),
    ("inspecting", "connecting"),
    ("ready", "downloading"),
    ("ready", "building"),
    ("downloading", "building"),
    ("building", "flashing"),
    ("flashing", "verifying"),
    ("flashing", "connecting"),
    ("verifying", "verifying_protected"),
    ("verifying", "connecting"),
    ("verifying_protected", "rebooting"),
    ("verifying_protected", "connecting"),
    ("rebooting", "done"),
} | {(str(state), "failed") for state in State if state not in (State.DONE, State.FAILED)}


def _at(state):
    """A course that stands there, by a shortest way."""
    waiting = [Course()]
    while waiting:
        course = waiting.pop(0)
        if course.state is state:
            return course
        for to in MOVES[course.state]:
            if to not in course.states:
                longer = Course()
                for one in (*course.states[1:], to):
                    longer.move(one)
                waiting.append(longer)
    raise AssertionError(state)


@pytest.mark.parametrize("start, to", list(itertools.product(State, State)))
def test_a_move_is_made_or_refused(start, to):
    course = _at(start)
    before = course.states
    if (str(start), str(to)) in LEGAL:
        course.move(to)
        assert course.states == (*before, to)
    else:
        with pytest.raises(ValueError, match=f"illegal move: {start} -> {to}"):
            course.move(to)
        assert course.states == before


def test_it_begins_idle_and_ends_in_two_ways():
    assert Course().states == (State.IDLE,)
    assert {state for state in State if _at(state).over} == {State.DONE, State.FAILED}


def test_nothing_is_done_that_was_not_flashed_and_compared():
    """Whatever way leads to done goes through both checks, the protected one last."""
    ways = [[State.IDLE]]
    seen = set()
    while ways:
        way = ways.pop()
        for to in MOVES[way[-1]]:
            if to is State.DONE:
                assert way[-4:] == [
                    State.FLASHING,
                    State.VERIFYING,
                    State.VERIFYING_PROTECTED,
                    State.REBOOTING,
                ]
                assert State.BUILDING in way
            elif (tuple(way), to) not in seen and way.count(to) < 2:
                seen.add((tuple(way), to))
                ways.append([*way, to])
    assert seen


def test_every_state_has_its_sentence_and_its_moves():
    assert set(SENTENCES) == set(MOVES) == set(State)
