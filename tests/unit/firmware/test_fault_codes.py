"""Every code that a station can tell stands in docs/troubleshooting.md."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
# Words of refused downlinks and time answers come from the parsers; the page names the families.
CODE = re.compile(
    r"(config|identity|launch|main|sensors|safe|station|task|vigil|outbox|chain|retained|staging"
    r"|link|sntp|update)"
    r"\.[a-z0-9_]+"
)


def _told(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if CODE.fullmatch(text):
                yield text
            # updates.py tells why a release was not taken, or did not come.
            case ast.Call(
                func=ast.Name(id="ReleaseError" | "FetchError"),
                args=[ast.Constant(value=str(text))],
            ):
                yield f"update.{text}"
            case ast.Constant(value=str(text)) if text.startswith("cairn: launch."):
                yield text.split()[1].strip(":")


def test_every_code_is_explained() -> None:
    page = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
    found = set()
    for path in sorted((ROOT / "firmware").rglob("*.py")):
        if "tools" not in path.parts:
            found |= set(_told(ast.parse(path.read_text(encoding="utf-8"))))
    assert len(found) > 30
    assert {"config.spare", "chain.lost", "link.tls", "sntp.move", "launch.none"} <= found
    assert {"update.cut", "update.bad_trust", "update.full"} <= found
    missing = sorted(code for code in found if f"`{code}`" not in page)
    # Settings are explained together: their codes are their names.
    assert "`config.`*setting*" in page
    assert [code for code in missing if not code.startswith("config.")] == []
