"""What mip installs and what a frozen image holds is what firmware/ needs, and no less."""

import ast
import json

import pytest

# Built into MicroPython on an ESP32 (its C modules), so nothing has to bring them.
BUILT_IN = {
    "binascii", "errno", "esp32", "gc", "hashlib", "machine", "micropython", "network", "os",
    "select", "socket", "struct", "sys", "time",
}  # fmt: skip
# Frozen into the official image by ports/esp32/boards/manifest.py: bundle-networking and the
# modules it requires by name.
OFFICIAL = {"aioespnow", "asyncio", "dht", "ds18x20", "onewire", "ssl"}
# Only a station with a LoRa modem needs it: package-lora.json.
LORA = {"lora"}


@pytest.fixture
def manifest(repo_root):
    """The calls that manifest.py makes, as (function, first argument)."""
    calls = []

    def recorder(name):
        return lambda first, **_: calls.append((name, first))

    names = ("include", "require", "package", "module")
    exec((repo_root / "firmware" / "manifest.py").read_text(), {n: recorder(n) for n in names})  # noqa: S102
    return calls


def package(repo_root, name="package.json"):
    return json.loads((repo_root / "firmware" / name).read_text())


def test_package_lists_every_module_once_and_nothing_else(repo_root):
    firmware = repo_root / "firmware"
    urls = package(repo_root)["urls"]
    modules = sorted(str(path.relative_to(firmware)) for path in firmware.glob("cairn/**/*.py"))
    assert [target for target, _ in urls] == modules
    assert [source for _, source in urls] == modules


def test_everything_imported_is_built_in_official_or_named(tree):
    found = {}
    for name in tree.under("firmware/cairn/", "firmware/main.py", suffix=".py"):
        for node in ast.walk(tree.parse(name)):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                modules = [node.module]
            for module in modules:
                found.setdefault(module.split(".")[0], name)
    for_types_alone = {"collections", "typing"}
    unknown = set(found) - BUILT_IN - OFFICIAL - LORA - for_types_alone - {"cairn"}
    assert not unknown, {module: found[module] for module in unknown}
    # And the lists above name nothing that is no longer used.
    assert set(found) >= (OFFICIAL | LORA)


def test_lora_is_the_one_dependency_and_has_its_versions(repo_root, manifest):
    assert package(repo_root)["deps"] == []
    extra = package(repo_root, "package-lora.json")
    assert extra["urls"] == []
    assert all(len(version.split(".")) == 3 for _, version in extra["deps"])
    named = {name for name, _ in extra["deps"]}
    assert named == {what for call, what in manifest if call == "require"}
    assert extra["version"] == package(repo_root)["version"]


def test_a_frozen_image_has_the_officials_modules_and_ours(manifest):
    assert manifest[0] == ("include", "$(PORT_DIR)/boards/manifest.py")
    assert manifest[-2:] == [("package", "cairn"), ("module", "main.py")]
