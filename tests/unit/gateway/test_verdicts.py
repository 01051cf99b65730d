import re

from gateway.core.admission import ADMITTED, FINALLY_REFUSED
from gateway.core.verdicts import ADVICE, Verdict

ROW = re.compile(r"^\| (\d+) \| `(\w+)` \| (.+) \| (.+) \|$", re.MULTILINE)


def test_the_specification_holds_the_same_list(repo_root):
    rows = ROW.findall((repo_root / "spec" / "verdicts.md").read_text())
    told = {(int(code), name, what, "" if do == "-" else do) for code, name, what, do in rows}
    ours = {(v.value, v.name.lower(), ADVICE[v].what, ADVICE[v].do) for v in Verdict}
    assert told == ours
    assert len(rows) == len(told)


def test_codes_keep_to_their_ranges():
    assert max(Verdict) < 128
    coverage = {verdict for verdict in Verdict if 64 <= verdict < 96}
    assert Verdict.HEARD in coverage
    assert not {verdict.name for verdict in coverage if verdict.name.startswith("PAID")}
    assert {v.name for v in Verdict if v.name.startswith("PAID")} <= {
        v.name for v in Verdict if v >= 96
    }


def test_the_final_ones_are_those_that_the_protocol_names():
    assert {verdict.value for verdict in ADMITTED} == {0, 1}
    assert {verdict.value for verdict in FINALLY_REFUSED} == {21, 22}
