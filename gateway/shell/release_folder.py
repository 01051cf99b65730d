"""A release in a folder: its index, a bundle for each architecture, and the files by their hash.

`cairn release build` makes it, every signer adds a signature, and `publish` copies it. It holds
nothing but what boards fetch, so it may travel by any way: whatever was changed is found here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from nacl.signing import SigningKey

from gateway.core.cose import Role, signature_input
from gateway.core.ids import device_id
from gateway.core.releases import (
    BUNDLE_BYTES_MAX,
    INDEX,
    Bundle,
    IndexRow,
    Manifest,
    Refusal,
    ReleaseFile,
    Signature,
    Trust,
    encode_bundle,
    encode_index,
    find_bundle,
    manifest_fault,
    manifest_payload,
    open_trust,
    parse_bundle,
    parse_index,
    parse_manifest,
    signature_counts,
    version_fits,
)
from gateway.shell.bundle_file import write_whole
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.network import Network

FILES = "files"
_READ_BYTES_MAX = 1 << 20


@dataclass(frozen=True, slots=True)
class Program:
    """What boards of one architecture get: a bundle, and the manifest in it."""

    bundle: Bundle
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Release:
    """A whole release, checked for its form. programs: by architecture; files: by SHA-256."""

    counter: int
    version: str
    trust: bytes
    programs: Mapping[str, Program]
    files: Mapping[bytes, bytes]

    def bundles(self) -> dict[str, bytes]:
        return {name: encode_bundle(one.bundle) for name, one in self.programs.items()}

    def index(self) -> bytes:
        return encode_index(
            [
                IndexRow(name, len(data), sha256(data).digest())
                for name, data in self.bundles().items()
            ]
        )

    def kids(self) -> tuple[bytes, ...]:
        """Whoever signed all of it."""
        signers = [{one.kid for one in p.bundle.signatures} for p in self.programs.values()]
        return tuple(sorted(set.intersection(*signers)))


def make_release(
    programs: Mapping[str, Mapping[str, bytes]], *, counter: int, version: str, trust: bytes
) -> Release:
    """A release that nobody has signed yet. programs: files by name, by architecture."""
    check_version(version, counter)
    made: dict[str, Program] = {}
    content: dict[bytes, bytes] = {}
    for architecture, named in programs.items():
        content |= {sha256(data).digest(): data for data in named.values()}
        files = [
            ReleaseFile(name, len(data), sha256(data).digest())
            for name, data in sorted(named.items())
        ]
        manifest = Manifest(counter, version, architecture, tuple(files))
        fault = manifest_fault(manifest)
        if fault:
            raise _refused(
                f"No board would take this program for {architecture}.",
                f"{fault[0].upper()}{fault[1:]}.",
                "Correct the sources, or the counter.",
            )
        made[architecture] = Program(Bundle(trust, manifest_payload(manifest), ()), manifest)
    return Release(counter, version, trust, made, content)


def check_version(version: str, counter: int) -> None:
    """Refuse what no station could say of itself: `cairn release status` would not know it."""
    if not version_fits(version, counter):
        raise _refused(
            f"The version {version!r} cannot be shown with the counter {counter}.",
            "A board names both in its hello, in 32 characters, and a version has no spaces.",
            "Choose a shorter version.",
        )


def write_release(folder: Path, release: Release) -> None:
    """Write all of it; what of an earlier step is there already stays as it is."""
    for digest, data in release.files.items():
        path = folder / FILES / digest.hex()
        if not path.exists() or sha256(path.read_bytes()).digest() != digest:
            write_whole(path, data)
    for architecture, data in release.bundles().items():
        write_whole(folder / architecture, data)
    # Last, for it names the others.
    write_whole(folder / INDEX, release.index())


def read_release(folder: Path) -> Release:
    """Read one that `write_release` wrote. OperatorFault if anything in it does not fit."""
    index = _read(folder, INDEX)
    rows = parse_index(index)
    if isinstance(rows, Refusal):
        raise _damaged(folder, "Its index is none.")
    programs = {}
    for row in rows:
        data = _read(folder, row.architecture)
        if find_bundle(index, row.architecture, data) is not None:
            raise _damaged(folder, f"The bundle {row.architecture} is not the one in its index.")
        programs[row.architecture] = _program(folder, row.architecture, data)
    first = next(iter(programs.values()))
    same = {(p.manifest.counter, p.manifest.version, p.bundle.trust) for p in programs.values()}
    if len(same) != 1:
        raise _damaged(folder, "Its architectures differ in counter, version or trusted keys.")
    files = dict(_contents(folder, programs.values()))
    manifest = first.manifest
    return Release(manifest.counter, manifest.version, first.bundle.trust, programs, files)


def _program(folder: Path, architecture: str, data: bytes) -> Program:
    bundle = parse_bundle(data)
    manifest = bundle if isinstance(bundle, Refusal) else parse_manifest(bundle.manifest)
    if isinstance(bundle, Refusal) or isinstance(manifest, Refusal):
        raise _damaged(folder, f"The bundle {architecture} is malformed.")
    if manifest.architecture != architecture:
        raise _damaged(folder, f"The bundle {architecture} is for {manifest.architecture}.")
    return Program(bundle, manifest)


def _contents(folder: Path, programs: Iterable[Program]) -> Iterable[tuple[bytes, bytes]]:
    wanted = {file.sha256: file for program in programs for file in program.manifest.files}
    for digest, file in wanted.items():
        data = _read(folder, f"{FILES}/{digest.hex()}")
        if (len(data), sha256(data).digest()) != (file.size, digest):
            raise _damaged(folder, f"The file {digest.hex()} ({file.name}) was changed.")
        yield digest, data


def trust_of(release: Release, network: Network) -> Trust:
    """Whose signatures count for it. OperatorFault if this network's root does not say so."""
    return opened_trust(release.trust, network)


def opened_trust(data: bytes, network: Network) -> Trust:
    """Open a trust document of a network."""
    trust = open_trust(data, network.network_id, network.genesis.root_key)
    if not isinstance(trust, Refusal):
        return trust
    raise _refused(
        "The trust document is none of this network.",
        f"It is {trust.value}: its root key {network.genesis.root_key.hex()[:16]}... did not "
        "sign it in this form.",
        "Take the one that `cairn release keys trust` wrote for this network.",
    )


def signed_by(release: Release, key: SigningKey, network: Network) -> Release:
    """The release with this key's signature in every bundle, in place of an older one of it."""
    public_key = bytes(key.verify_key)
    kid = device_id(public_key)
    if public_key not in trust_of(release, network).keys:
        raise _refused(
            "This key may not sign releases of this network.",
            f"Its id {kid.hex()} is not among those in the release's trust document.",
            "Use another key, or build again with a trust document that names it.",
        )
    signed = {}
    for architecture, program in release.programs.items():
        payload = program.bundle.manifest
        message = signature_input(kid, network.network_id, Role.RELEASE, payload)
        others = [one for one in program.bundle.signatures if one.kid != kid]
        rows = sorted([*others, Signature(kid, key.sign(message).signature)])
        bundle = program.bundle._replace(signatures=tuple(rows))
        if len(encode_bundle(bundle)) > BUNDLE_BYTES_MAX:
            raise _refused(
                f"The bundle for {architecture} is too large with one more signature.",
                f"It may have {BUNDLE_BYTES_MAX} bytes.",
                "Let fewer keys sign, or make a program of fewer files.",
            )
        signed[architecture] = replace(program, bundle=bundle)
    return replace(release, programs=signed)


def check_signatures(release: Release, trust: Trust, network_id: bytes) -> None:
    """Refuse what is signed by fewer keys than the threshold, or wrongly."""
    for architecture, program in release.programs.items():
        valid = 0
        for one in program.bundle.signatures:
            counts = signature_counts(one, program.bundle.manifest, trust, network_id)
            if counts is not True:
                what = "is not valid" if counts is False else "is of a key that is not trusted"
                raise _refused(
                    f"A signature of the release for {architecture} {what}.",
                    f"It names the key {one.kid.hex()}.",
                    "Build again, and sign with the trusted keys only.",
                )
            valid += 1
        if valid < trust.threshold:
            raise _refused(
                f"The release is signed by {valid} of {trust.threshold} keys for {architecture}.",
                f"Boards take it with signatures of {trust.threshold} different trusted keys.",
                "Let another one sign: `cairn release sign FOLDER --key FILE`.",
            )


def _read(folder: Path, name: str) -> bytes:
    path = folder / name
    try:
        with path.open("rb") as handle:
            return handle.read(_READ_BYTES_MAX)
    except OSError as error:
        raise OperatorFault(
            f"There is no whole release in {folder}.",
            f"{path}: {error.strerror}.",
            "Name the folder that `cairn release build` wrote.",
            Code.RELEASE_DAMAGED,
        ) from error


def _damaged(folder: Path, why: str) -> OperatorFault:
    return OperatorFault(
        f"The release in {folder} is damaged.",
        why,
        "Build it again, or copy the whole folder again.",
        Code.RELEASE_DAMAGED,
    )


def _refused(what: str, why: str, do: str) -> OperatorFault:
    return OperatorFault(what, why, do, Code.RELEASE_REFUSED)
