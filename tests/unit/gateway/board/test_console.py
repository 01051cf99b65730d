"""The calls of the board's console: what is asked, and answers that are not to be believed."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.board.console import Console
from gateway.core.ids import device_id, device_name
from gateway.shell.errors import Code, OperatorFault

KEY = bytes(range(32))
WHO = {
    "ok": True,
    "device": device_name(device_id(KEY)),
    "public_key": KEY.hex(),
    "firmware": "cairn 0.1.0 r0",
    "architecture": "xtensawin",
    "counter": 0,
    "chip": "esp32",
    "wifi": True,
    "config": None,
}
CONFIG = {
    "network": "00" * 8,
    "cell": "891f1d48947ffff",
    "owner": None,
    "broker": {"host": "b", "port": 8883, "tls": True},
    "time": {"host": None, "port": 80},
    "sensors": [[1, 0, 0]],
    "sha256": "ab",
}


class FakeRepl:
    """Says what it is told to; sources are what it was asked."""

    def __init__(self, *answers: object) -> None:
        self._answers = list(answers)
        self.sources: list[str] = []

    def run(self, source: str, _timeout_s: float) -> str:
        self.sources.append(source)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return answer if isinstance(answer, str) else f"cairn> {json.dumps(answer)}\n"


def fault_of(act) -> OperatorFault:
    with pytest.raises(OperatorFault) as caught:
        act()
    return caught.value


def test_who_it_is() -> None:
    facts = Console(FakeRepl(WHO)).whoami()
    assert facts.public_key == KEY
    assert not facts.provisioned
    found = Console(FakeRepl(WHO | {"config": CONFIG})).whoami().config
    assert found is not None
    assert (found.broker, found.time, found.sensors) == ("b:8883 with TLS", "none", ((1, 0, 0),))


def test_the_last_line_counts_whatever_is_printed_around_it() -> None:
    text = f'I (3) wifi\ncairn> {{"ok": false}}\nnoise\ncairn> {json.dumps(WHO)}\nmore'
    assert Console(FakeRepl(text)).whoami().device == WHO["device"]


@pytest.mark.parametrize(
    "change",
    [
        {"device": "a" * 26},
        {"public_key": "00"},
        {"public_key": "zz"},
        {"public_key": None},
        {"config": {}},
        {"config": CONFIG | {"sensors": [["a"]]}},
        {"config": CONFIG | {"broker": {"host": "b"}}},
        {"firmware": 5},
        {"counter": "x"},
        {"ok": 1},
        {"ok": False, "detail": 7},
    ],
)
def test_an_answer_that_is_something_else_is_a_fault(change: dict) -> None:
    assert fault_of(Console(FakeRepl(WHO | change)).whoami).code == Code.BOARD_REFUSED


@given(st.text(max_size=60))
def test_no_text_is_a_bug(text: str) -> None:
    for printed in (text, f"cairn> {text}"):
        assert fault_of(Console(FakeRepl(printed)).whoami).code == Code.BOARD_REFUSED


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@given(st.sampled_from(sorted(WHO)), JSON, st.sampled_from(sorted(CONFIG)), JSON)
def test_no_answer_is_a_bug(name: str, value, inner: str, inner_value) -> None:
    said = WHO | {"config": CONFIG | {inner: inner_value}} | {name: value}
    try:
        Console(FakeRepl(said)).whoami()
    except OperatorFault as fault:
        assert fault.code == Code.BOARD_REFUSED  # noqa: PT017 - either outcome is right


def test_a_configuration_goes_whole_and_in_pieces() -> None:
    repl, data = FakeRepl({"ok": True}), bytes(range(256)) * 4
    Console(repl).provision(data)
    assert repl.sources[0] == "console.begin()"
    assert repl.sources[-1] == "console.provision()"
    pieces = [eval(source.removeprefix("console.put")) for source in repl.sources[1:-1]]  # noqa: S307
    assert b"".join(pieces) == data
    repl = FakeRepl({"ok": True}, {"ok": False, "code": "config.size", "detail": "too much\x1b"})
    fault = fault_of(lambda: Console(repl).provision(data))
    assert fault.code == Code.BOARD_REFUSED
    assert "config.size" in fault.why
    assert "\x1b" not in fault.why
    # Nothing more is sent than what was refused.
    assert len(repl.sources) == 2


def test_names_and_passwords_arrive_as_they_are() -> None:
    repl = FakeRepl({"ok": True})
    Console(repl).wifi("caf\xe9 'x'", 'p"\\w\n')
    assert repl.sources[0].isascii()
    given_ = eval(repl.sources[0].removeprefix("console.wifi"))  # noqa: S307
    assert given_ == ("caf\xe9 'x'", 'p"\\w\n')


def test_the_other_calls() -> None:
    repl = FakeRepl({"ok": True, "address": "192.0.2.1"})
    console = Console(repl)
    console.open()
    assert console.join(5_000).facts["address"] == "192.0.2.1"
    assert console.check("tls").ok
    console.forget("all", yes=True)
    console.forget("wifi")
    assert repl.sources[1:] == [
        "console.join(5000)",
        "console.check('tls')",
        "console.forget('all', yes=True)",
        "console.forget('wifi')",
    ]
    absent = FakeRepl({"ok": False, "code": "absent"})
    assert fault_of(Console(absent).open).code == Code.BOARD_WITHOUT_CAIRN
