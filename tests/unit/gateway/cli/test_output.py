"""Tables: aligned, on a terminal as elsewhere, and safe to fill with a stranger's words."""

import pytest

from gateway.cli import output
from gateway.shell.errors import Code, OperatorFault

COLUMNS = ["station", "pay", "detail"]
ROWS = [["a" * 26, "3.0000", "short"], ["b" * 26, "148.5000", "a longer sentence about it"]]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch):
    def width(columns: int) -> None:
        monkeypatch.setattr(output, "plain_terminal", lambda: False)
        monkeypatch.setenv("COLUMNS", str(columns))

    return width


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    output.print_table(COLUMNS, ROWS, right=["pay"])
    return capsys.readouterr().out.splitlines()


def test_plain_columns_end_numbers_at_one_edge(capsys):
    head, first, second = printed(capsys)
    assert head == f"station{' ' * 19}       pay  detail"
    assert first == f"{'a' * 26}    3.0000  short"
    assert second == f"{'b' * 26}  148.5000  a longer sentence about it"


def test_a_terminal_gets_rules_and_the_same_cells(terminal, capsys):
    terminal(100)
    lines = printed(capsys)
    assert "───" in lines[1]
    assert lines[2].index("3.0000") + len("3.0000") == lines[3].index("148.5000") + 8
    assert [line.split()[0] for line in lines[2:]] == ["a" * 26, "b" * 26]


def test_a_narrow_terminal_wraps_the_last_column_and_cuts_no_id(terminal, capsys):
    terminal(60)
    wrapped = printed(capsys)
    assert len(wrapped) > 4
    assert all(len(line) <= 60 for line in wrapped)
    terminal(40)
    text = "\n".join(printed(capsys))
    assert "a" * 26 in text
    assert "b" * 26 in text
    assert "…" not in text


@pytest.mark.parametrize("columns", [None, 100])
def test_a_strangers_words_are_neither_markup_nor_commands(terminal, columns, capsys):
    if columns:
        terminal(columns)
    output.print_table(["check", "detail"], [["inputs", "[/red] \x1b[2Jnet\nwork"]])
    text = capsys.readouterr().out
    assert "[/red]" in text
    assert "\x1b[2J" not in text
    assert "�[2Jnet�work" in text


def test_a_fault_that_quotes_a_stranger_steers_no_terminal(capsys):
    output.print_fault(OperatorFault("\x1b[2Jwhat", "line 1\nline\x072", "do", Code.BOARD_RAISED))
    told = capsys.readouterr().err
    assert "\x1b" not in told
    assert "line 1\nline\N{REPLACEMENT CHARACTER}2" in told


def test_a_table_without_rows(terminal, capsys):
    output.print_table(COLUMNS, [])
    assert capsys.readouterr().out == "station  pay  detail\n"
    terminal(80)
    output.print_table(COLUMNS, [])
    assert "station" in capsys.readouterr().out


def test_headings_are_bold_on_a_terminal_that_takes_it(terminal, monkeypatch, capsys):
    monkeypatch.delenv("NO_COLOR", raising=False)
    output.heading("Pay")
    assert capsys.readouterr().out == "Pay\n"
    terminal(80)
    monkeypatch.setenv("NO_COLOR", "1")
    output.heading("Pay")
    assert capsys.readouterr().out == "Pay\n"
