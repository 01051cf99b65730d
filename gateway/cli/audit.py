"""`cairn audit`: a stranger's judgement of bundles, without database, network or gateway."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.options import PATH, json_option
from gateway.cli.output import FOUND, emit_json, print_table

if TYPE_CHECKING:
    from gateway.core.audit import AuditReport, Check
    from gateway.core.bundle import Damage

_HASH_DIGITS = 64


@click.command()
@click.argument("bundle", type=PATH, required=False)
@click.option(
    "--chain",
    "chain_dir",
    type=PATH,
    help="Audit all bundles (*.cairn) of a directory, from the first epoch on.",
)
@click.option(
    "--manifest", "expected", metavar="HEX", help="The manifest hash that you were told."
)
@json_option
@click.pass_context
def audit(
    ctx: click.Context,
    bundle: Path | None,
    chain_dir: Path | None,
    expected: str | None,
    as_json: bool,
) -> None:
    """Compute an epoch again from its BUNDLE and compare everything.

    Exit code 0: all holds. 1: something does not, and is named.
    """
    if (bundle is None) == (chain_dir is None):
        raise click.UsageError("Give either one BUNDLE or --chain DIR.")
    if bundle is not None:
        answer = audit_file(bundle, _hash(expected))
    elif expected is not None:
        raise click.UsageError("--manifest is for one BUNDLE.")
    else:
        assert chain_dir is not None
        answer = audit_directory(chain_dir)
    if as_json:
        emit_json(answer)
    else:
        _print(answer)
    ctx.exit(0 if answer["ok"] else FOUND)


def audit_file(path: Path, expected: bytes | None) -> dict[str, Any]:
    """The audit of one file as a JSON object: ok, root, epoch, manifest, checks."""
    from gateway.core.audit import audit_bundle
    from gateway.core.bundle import Damage

    sections = _read(path)
    if isinstance(sections, Damage):
        return _damaged(path, sections)
    return _report(path, audit_bundle(sections, expected))


def audit_directory(folder: Path) -> dict[str, Any]:
    """The audit of all bundles of a directory, by epoch, and of the links between them."""
    from gateway.core.audit import audit_chain
    from gateway.core.bundle import Damage
    from gateway.shell.bundle_file import SUFFIX
    from gateway.shell.errors import Code, OperatorFault

    paths = sorted(folder.glob(f"*{SUFFIX}"))
    if not paths:
        raise OperatorFault(
            f"There is no bundle in {folder}.",
            f"Bundles are files that end in {SUFFIX}.",
            "Name the directory that holds them.",
            Code.FILE_UNREADABLE,
        )
    read = [(path, _read(path)) for path in paths]
    damaged = [_damaged(path, found) for path, found in read if isinstance(found, Damage)]
    if damaged:
        return {"ok": False, "root": damaged[0]["root"], "bundles": damaged, "links": []}
    whole = [(path, found) for path, found in read if not isinstance(found, Damage)]
    whole.sort(key=lambda pair: _epoch_of(pair[1]))
    chain = audit_chain([sections for _, sections in whole])
    reports = [
        _report(path, report) for (path, _), report in zip(whole, chain.reports, strict=True)
    ]
    return {
        "ok": chain.ok,
        "root": reports[-1]["root"],
        "bundles": reports,
        "links": [_check(link) for link in chain.links],
    }


def _read(path: Path) -> "dict[str, bytes] | Damage":
    from gateway.core.bundle import read_bundle
    from gateway.shell.bundle_file import decompress, read_bundle_file

    return read_bundle(read_bundle_file(path), decompress)


def _epoch_of(sections: dict[str, bytes]) -> int:
    """The epoch that a bundle's manifest states; -1 if it cannot be read."""
    from gateway.core.bundle_sections import MANIFEST
    from gateway.core.canonical import MalformedError
    from gateway.core.manifest import decode_manifest

    try:
        return decode_manifest(sections.get(MANIFEST, b"")).epoch
    except MalformedError:
        return -1


def _damaged(path: Path, damage: "Damage") -> dict[str, Any]:
    from gateway.core.audit import name_damage

    check = {
        "name": name_damage(damage),
        "ok": False,
        "detail": f"the file is damaged there: {damage.detail}",
    }
    return {
        "file": str(path),
        "ok": False,
        "root": bytes(32).hex(),
        "epoch": None,
        "manifest": None,
        "checks": [check],
    }


def _report(path: Path, report: "AuditReport") -> dict[str, Any]:
    return {
        "file": str(path),
        "ok": report.ok,
        "root": report.root.hex(),
        "epoch": report.epoch if report.epoch >= 0 else None,
        "manifest": report.manifest_hash.hex(),
        "checks": [_check(check) for check in report.checks],
    }


def _check(check: "Check") -> dict[str, Any]:
    return {
        "name": check.name,
        "ok": check.ok,
        "detail": check.detail,
    }


def _hash(digits: str | None) -> bytes | None:
    if digits is None:
        return None
    if len(digits) != _HASH_DIGITS or not set(digits.lower()) <= set("0123456789abcdef"):
        raise click.BadParameter("a manifest hash is 64 hex digits", param_hint="--manifest")
    return bytes.fromhex(digits)


def _print(answer: dict[str, Any]) -> None:
    bundles = answer.get("bundles", [answer])
    for bundle in bundles:
        click.echo(_title(bundle))
    click.echo()
    # Of a chain only what failed, and its links: each of its bundles has many good checks.
    chain = "bundles" in answer
    rows = [
        [*([_day(bundle)] if chain else []), *_cells(check)]
        for bundle in bundles
        for check in bundle["checks"]
        if not (chain and check["ok"])
    ]
    rows += [["link", *_cells(check)] for check in answer.get("links", [])]
    print_table([*(["epoch"] if chain else []), "check", "result", "detail"], rows)
    click.echo("\nall holds" if answer["ok"] else "\nsomething does not hold")


def _title(bundle: dict[str, Any]) -> str:
    known = bundle["epoch"] is not None
    words = f"epoch {bundle['epoch']}, root {bundle['root']}" if known else "not computed"
    return f"{bundle['file']}: {words}, {len(bundle['checks'])} checks"


def _day(bundle: dict[str, Any]) -> str:
    return "-" if bundle["epoch"] is None else str(bundle["epoch"])


def _cells(check: dict[str, Any]) -> list[str]:
    return [check["name"], _word(check), check["detail"]]


def _word(check: dict[str, Any]) -> str:
    return "ok" if check["ok"] else "FAILED"
