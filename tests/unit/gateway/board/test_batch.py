"""Many boards one after the other: the table, the log, and which board is next."""

import json
from pathlib import Path

import pytest

from gateway.board.batch import (
    BoardSeenError,
    Done,
    Log,
    Plugged,
    Row,
    labelled,
    read_rows,
    run_batch,
)
from gateway.shell.errors import Code, OperatorFault


def fault_of(act) -> OperatorFault:
    with pytest.raises(OperatorFault) as caught:
        act()
    return caught.value


def table(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def rows_of(*names: str) -> list[Row]:
    return [Row(number, name, {"name": name}) for number, name in enumerate(names, 2)]


def result_of(device: str) -> dict:
    return {"device": device, "network_id": "00" * 8}


def broken(name: str = "x") -> OperatorFault:
    return OperatorFault(f"{name} broke.", "Because.", "Mend it.", Code.WIFI_PASSWORD)


def test_a_table_is_read(tmp_path) -> None:
    text = (
        "\ufeffname,place,sensors,coarse,port\n"
        'roof,"52.5,13.4",bme280 sds011:tx=1;gnss,yes,\n'
        "yard,,,,/dev/a\n"
    )
    one, two = read_rows(table(tmp_path / "t.csv", text))
    assert (one.name, one.port, one.line) == ("roof", None, 2)
    assert one.fields["place"] == "52.5,13.4"
    assert one.sensors == ("bme280", "sds011:tx=1", "gnss")
    assert one.flag("coarse")
    assert two.port == "/dev/a"
    assert not two.flag("coarse")
    assert two.sensors == ()


@pytest.mark.parametrize(
    "text,word",
    [
        ("", "columns"),
        ("name\n", "0 rows"),
        ("place\n1\n", "name"),
        ("name,colour\na,red\n", "colour"),
        ("name,name\na,b\n", "columns"),
        ("name,place\na\n", "Line 2"),
        ("name,place\na,b,c\n", "Line 2"),
        ("name,place\n,b\n", "no name"),
        ("name\na\nb\na\n", "twice"),
        ("name,coarse\na,perhaps\n", "coarse"),
        ('name\n"a\n', "CSV"),
    ],
)
def test_a_table_with_a_mistake_is_refused_before_any_board(
    tmp_path, text: str, word: str
) -> None:
    fault = fault_of(lambda: read_rows(table(tmp_path / "t.csv", text)))
    assert fault.code == Code.BATCH_INVALID
    assert word in fault.why


def test_a_table_that_is_not_there(tmp_path) -> None:
    assert fault_of(lambda: read_rows(tmp_path / "t.csv")).code == Code.FILE_UNREADABLE
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00")
    assert fault_of(lambda: read_rows(tmp_path / "b.csv")).code == Code.BATCH_INVALID


def run(rows: list[Row], log: Log, provision) -> list[str]:
    told: list[str] = []
    ports = iter(f"port{number}" for number in range(100))
    run_batch(
        rows,
        log,
        provision,
        lambda _row: next(ports),
        told=lambda row, text: told.append(f"{row.name}: {text}"),
        clock=lambda: 7,
    )
    return told


def test_one_that_fails_does_not_stop_the_others_and_is_done_again(tmp_path) -> None:
    path, rows = tmp_path / "log.jsonl", rows_of("a", "b", "c")
    seen = []

    def provision(row: Row, port: str) -> dict:
        seen.append((row.name, port))
        if row.name == "b" and len(seen) < 4:
            raise broken()
        return result_of(f"device-{row.name}")

    told = run(rows, Log(path), provision)
    assert told == ["a: done", "b: failed: x broke.", "c: done"]
    log = Log(path)
    assert [log.is_done(name) for name in "abc"] == [True, False, True]
    assert log.done["b"].fault == {
        "code": "wifi_password",
        "what": "x broke.",
        "why": "Because.",
        "do": "Mend it.",
    }
    assert run(rows, log, provision) == ["a: done earlier", "b: done", "c: done earlier"]
    assert [name for name, _ in seen] == ["a", "b", "c", "b"]
    assert list(labelled(Log(path))) == [
        ("a", "device-a", "00" * 8),
        ("b", "device-b", "00" * 8),
        ("c", "device-c", "00" * 8),
    ]
    assert len(path.read_text().splitlines()) == 4


def test_a_bug_is_no_failed_board(tmp_path) -> None:
    def provision(row: Row, port: str) -> dict:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(rows_of("a"), Log(tmp_path / "log"), provision)


def test_a_board_that_is_done_already_is_put_aside(tmp_path) -> None:
    log = Log(tmp_path / "log")
    boards = iter(["one", "one", "two"])

    def provision(row: Row, port: str) -> dict:
        device = next(boards)
        name = log.name_of(device)
        if name is not None and name != row.name:
            raise BoardSeenError(device, name)
        return result_of(device)

    told = run(rows_of("a", "b"), log, provision)
    assert told[1] == "b: the board on port1 is a already; plug in another one"
    assert log.done["b"].device == "two"
    boards = iter(["one"])
    row = Row(4, "c", {"name": "c", "port": "fixed"})
    run([row], log, provision)
    assert log.done["c"].fault is not None
    assert log.done["c"].fault["code"] == Code.BOARD_USED


def test_a_log_that_was_cut_in_the_middle_goes_on(tmp_path) -> None:
    path = tmp_path / "log.jsonl"
    log = Log(path)
    for name in "ab":
        log.add(Done(name, name * 2, True, "p", 1, result_of(name * 2), None))  # noqa: FBT003
    whole = path.read_text()
    path.write_text(whole[:-20])
    cut = Log(path)
    assert (cut.is_done("a"), cut.is_done("b")) == (True, False)
    cut.add(Done("b", "bb", True, "p", 1, result_of("bb"), None))  # noqa: FBT003
    assert path.read_text() == whole


@pytest.mark.parametrize("text", ["[]\n", "{}\n", "nonsense\n", '{"name": "a"}\n'])
def test_a_log_that_is_something_else_is_left_alone(tmp_path, text: str) -> None:
    path = table(tmp_path / "log.jsonl", text)
    assert fault_of(lambda: Log(path)).code == Code.BATCH_INVALID
    assert path.read_text() == text


def test_a_log_that_cannot_be_written_stops_the_batch(tmp_path) -> None:
    log = Log(tmp_path / "no" / "log.jsonl")
    act = lambda: run(rows_of("a", "b"), log, lambda _row, _port: result_of("d"))  # noqa: E731
    assert fault_of(act).code == Code.FILE_UNWRITABLE


def test_the_next_port_is_one_that_was_plugged_in_since() -> None:
    looks = iter([["a"], ["a"], [], ["a"], ["a", "b"], ["a", "b"], ["a", "b", "c"]])
    slept: list[float] = []
    plugged = Plugged(lambda: next(looks), sleep=slept.append)
    assert plugged.next() == "a"
    # Unplugged and plugged in again: as a rule another board.
    assert plugged.next() == "a"
    assert plugged.next() == "b"
    assert plugged.next() == "c"
    assert len(slept) == 3


def test_a_line_of_the_log_is_json(tmp_path) -> None:
    log = Log(tmp_path / "log.jsonl")
    log.add(Done("ä", None, False, "p", 1, None, {"code": "x"}))  # noqa: FBT003
    found = json.loads((tmp_path / "log.jsonl").read_text())
    assert found["name"] == "ä"
    assert found["ok"] is False
