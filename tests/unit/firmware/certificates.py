"""A certificate authority for the length of one test, made with the program openssl."""

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
DATED = """[ca]
default_ca = one
[one]
new_certs_dir = {folder}/new
database = {folder}/index
serial = {folder}/serial
unique_subject = no
default_md = sha256
policy = any
[any]
commonName = supplied
"""


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

    def dated(self, name: str, start_s: int, end_s: int) -> tuple[Path, Path]:
        """The same, good from one second of UTC to another, whatever is now."""
        database = self.folder / "dated"
        (database / "new").mkdir(parents=True, exist_ok=True)
        (database / "index").touch()
        settings = database / "ca.cnf"
        settings.write_text(DATED.format(folder=database))
        plain, key = self.issue(name)
        certificate = plain.with_suffix(f".{start_s}.crt")
        dates = [time.strftime("%Y%m%d%H%M%SZ", time.gmtime(at)) for at in (start_s, end_s)]
        by = ["-cert", self.certificate, "-keyfile", self.folder / "ca.key", "-batch", "-notext"]
        when = ["-startdate", dates[0], "-enddate", dates[1], "-rand_serial"]
        to = ["-in", plain.with_suffix(".csr"), "-out", certificate]
        extensions = ["-extfile", plain.with_suffix(".ext")]
        _run(self.openssl, "ca", "-config", settings, *by, *when, *to, *extensions)
        own = key.with_suffix(f".{start_s}.key")
        own.write_bytes(key.read_bytes())
        return certificate, own

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
