"""What the pages use of others: as npm ships it, listed with versions, licences and hashes."""

import hashlib
import json
import re

import pytest

from gateway.shell.api.web_files import FOLDER

VENDOR = FOLDER / "vendor"
LIST = json.loads((VENDOR / "vendored.json").read_text("utf-8"))
FILES = {name: digest for one in LIST["packages"] for name, digest in one["files"].items()}


def test_the_list_names_every_file_and_its_hash():
    present = {
        path.relative_to(VENDOR).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.rglob("*")
        if path.is_file() and path.name != "vendored.json"
    }
    assert present == FILES


@pytest.mark.parametrize("package", LIST["packages"], ids=lambda one: one["name"])
def test_files_are_as_npm_ships_them(node_modules, package):
    folder = node_modules("browser") / package["name"]
    shipped = json.loads((folder / "package.json").read_text("utf-8"))
    assert shipped["name"] == package["name"]
    for ours, theirs in package["from"].items():
        assert (VENDOR / ours).read_bytes() == (folder / theirs).read_bytes(), ours
    # What is only inside another's bundle has the version that the bundle says.
    if package["from"]:
        assert shipped["version"] == package["version"]


@pytest.mark.parametrize("package", LIST["packages"], ids=lambda one: one["name"])
def test_every_licence_is_there_and_served(package):
    assert package["licence"] in {"Apache-2.0", "MIT", "MIT AND Zlib"}
    assert any(name.endswith(("/LICENSE", "/ZLIB")) for name in package["files"])


def test_the_bundle_holds_what_the_list_says():
    bundle = (VENDOR / "esptool-js" / "bundle.js").read_text("utf-8")
    (pako,) = (one for one in LIST["packages"] if one["name"] == "pako")
    assert f"pako {pako['version']}" in bundle


def test_nothing_makes_code_from_text():
    """The pages' policy forbids it; a library that tried would fail only when it came to it."""
    for path in FOLDER.rglob("*.js"):
        found = re.findall(
            r"\beval\(|new Function\(|innerHTML|document\.write", path.read_text("utf-8")
        )
        assert found == [], path
