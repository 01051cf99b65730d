"""A certificate authority for the length of one test, made with the program openssl."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


@dataclass(frozen=True)
class Authority:
    """certificate: its PEM file."""

    openssl: str
    folder: Path
    certificate: Path

    def issue(self, name: str) -> tuple[Path, Path]:
        """Certificate and key file of a server that is called name."""
        request, certificate, key, extensions = [
            self.folder / f"{name}.{end}" for end in ("csr", "crt", "key", "ext")
        ]
        extensions.write_text(f"subjectAltName=DNS:{name}\n")
        _run(self.openssl, "req", *KEY, "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        signed = ["-CA", self.certificate, "-CAkey", self.folder / "ca.key", "-CAcreateserial"]
        to = ["-in", request, "-out", certificate, "-extfile", extensions, "-days", "2"]
        _run(self.openssl, "x509", "-req", *signed, *to)
        return certificate, key

    def der(self) -> bytes:
        return _run(self.openssl, "x509", "-in", self.certificate, "-outform", "DER")


def make_authority(openssl: str, folder: Path) -> Authority:
    folder.mkdir()
    certificate = folder / "ca.crt"
    subject = ["-subj", f"/CN=authority {folder.name}"]
    extension = ["-addext", "keyUsage=critical,keyCertSign", "-days", "2"]
    _run(
        openssl,
        "req",
        "-x509",
        *KEY,
        "-keyout",
        folder / "ca.key",
        "-out",
        certificate,
        *subject,
        *extension,
    )
    return Authority(openssl, folder, certificate)


def _run(*command: object) -> bytes:
    done = subprocess.run([str(part) for part in command], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout
