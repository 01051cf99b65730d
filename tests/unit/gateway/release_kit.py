"""Small releases for tests: a network, its release keys, and programs of a few bytes."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nacl.signing import SigningKey

from gateway.core.genesis import DAY_MS
from gateway.shell.network import NetworkKeys, create_network
from gateway.shell.release_folder import Release, make_release, signed_by
from gateway.shell.release_keys import make_trust, read_key

START = 20_000 * DAY_MS
ALICE, BOB, CAROL = (SigningKey(hashlib.sha256(name).digest()) for name in (b"a", b"b", b"c"))


@dataclass(frozen=True)
class ReleaseWorld:
    """A network that may publish releases."""

    keys: NetworkKeys

    @property
    def folder(self) -> Path:
        return self.keys.folder

    def root(self) -> SigningKey:
        return read_key(self.keys.keys_folder / "root.key", "the root key")

    def trust(
        self, keys: Sequence[SigningKey] = (ALICE, BOB), *, threshold: int = 2, serial: int = 1
    ) -> bytes:
        public = [bytes(key.verify_key) for key in keys]
        return make_trust(self.keys, self.root(), public, threshold=threshold, serial=serial)

    def unsigned(self, counter: int = 1, trust: bytes | None = None, text: bytes = b"") -> Release:
        return make_release(
            programs(counter, text),
            counter=counter,
            version=f"0.{counter}.0",
            trust=trust or self.trust(),
        )

    def release(
        self,
        counter: int = 1,
        signers: Sequence[SigningKey] = (ALICE, BOB),
        trust: bytes | None = None,
        text: bytes = b"",
    ) -> Release:
        made = self.unsigned(counter, trust, text)
        for key in signers:
            made = signed_by(made, key, self.keys)
        return made


def release_world(folder: Path) -> ReleaseWorld:
    keys = create_network(folder, "test", simulated=True, epoch_zero_ms=START, seed=1)
    return ReleaseWorld(keys)


def programs(counter: int, text: bytes = b"") -> dict[str, dict[str, bytes]]:
    """One file is the same for both architectures, and in every release."""
    return {
        architecture: {
            "application.mpy": b"%s %d %s" % (architecture.encode(), counter, text) * 400,
            "cairn/boards/base.mpy": b"the same",
        }
        for architecture in ("bytecode", "xtensawin")
    }
