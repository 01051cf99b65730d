"""The board's image: the same bytes each time, all of it inside, and clear faults."""

import hashlib
import shutil

import littlefs
import pytest

from gateway.device.flash import BLOCK_BYTES, PARTITION_BLOCKS, pack
from gateway.device.image import ARCHITECTURES, build_image, unpack
from gateway.device.romfs import pack_romfs
from gateway.shell.errors import Code, OperatorFault

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def images():
    return {name: build_image(architecture=name) for name in ARCHITECTURES}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_bytes_repeat_and_unpack(images, architecture):
    image = images[architecture]
    assert build_image(architecture=architecture).data == image.data
    assert unpack(image.data) == image.files
    assert image.files["main.py"] == b"import application\n"
    assert "application.mpy" in image.files


def test_only_native_images_have_machine_code(images):
    native = {n for n in images["xtensawin"].files if n.endswith("_viper.mpy")}
    assert native == {"cairn/field25519_viper.mpy", "cairn/sha512_viper.mpy"}
    assert native == {n for n in images["rv32imc"].files if n.endswith("_viper.mpy")}
    for name in native:
        assert images["xtensawin"].files[name] != images["rv32imc"].files[name]
    assert not any(n.endswith("_viper.mpy") for n in images["bytecode"].files)


def test_the_manifest_names_every_file(images):
    image = images["rv32imc"]
    manifest = image.manifest()
    assert manifest["sha256"] == hashlib.sha256(image.data).hexdigest()
    assert manifest["bytes"] == len(image.data)
    told = {file["name"]: file for file in manifest["files"]}
    assert told.keys() == image.files.keys()
    for name, content in image.files.items():
        assert told[name]["bytes"] == len(content)
        assert told[name]["sha256"] == hashlib.sha256(content).hexdigest()


def test_the_second_program_is_apart_from_the_first(images, tmp_path):
    files = images["bytecode"].files
    second = {name for name in files if name.startswith(("con_", "console"))}
    assert {"console.mpy", "con_app.mpy"} <= second
    shutil.copytree("firmware", tmp_path / "alone", ignore=shutil.ignore_patterns("console.py"))
    alone = build_image(tmp_path / "alone").files
    assert alone == {name: data for name, data in files.items() if name not in second}
    for name in second:
        # What an image holds under another name belongs to the first program.
        assert b"application" not in files[name]


def test_the_plain_form_has_a_file_for_each_module():
    files = build_image(minified=False).files
    assert {"cairn/node.mpy", "cairn/boards/esp32.mpy", "application.mpy"} <= files.keys()
    assert "console.mpy" in files


def test_the_file_system_has_the_partitions_size_and_ends_with_its_content(images):
    data = images["xtensawin"].data
    assert len(data) % BLOCK_BYTES == 0
    assert len(data) < PARTITION_BLOCKS * BLOCK_BYTES / 4
    disk = littlefs.LittleFS(
        block_size=BLOCK_BYTES,
        block_count=PARTITION_BLOCKS,
        prog_size=32,
        read_size=32,
        lookahead_size=32,
        mount=False,
    )
    # What stood behind it in flash must not matter.
    disk.context.buffer = bytearray(data.ljust(PARTITION_BLOCKS * BLOCK_BYTES, b"\xa5"))
    disk.mount()
    with disk.open("data", "wb") as file:
        file.write(bytes(1_000_000))
    with disk.open("app.mpy", "rb") as file:
        assert file.read() == images["xtensawin"].files["app.mpy"]


def test_files_of_all_sizes_and_folders_come_back():
    files = {f"f{size}": bytes([size % 251]) * size for size in (0, 1, 31, 1_000, 4_096, 70_000)}
    files |= {f"a/b/{number}": b"x" * number for number in range(60)}
    assert unpack(pack(files)) == files


def code_of(call, *arguments, **options):
    with pytest.raises(OperatorFault) as caught:
        call(*arguments, **options)
    return caught.value.code


def test_too_small_a_partition_is_refused():
    assert code_of(build_image, blocks=16) == Code.IMAGE_TOO_LARGE


@pytest.mark.parametrize("data", [b"", b"\xff" * 65_536, b"no file system" * 4_096])
def test_what_is_no_image_is_refused(data):
    assert code_of(unpack, data) == Code.IMAGE_DAMAGED


def test_a_damaged_image_is_refused(images):
    data = bytearray(images["bytecode"].data)
    data[: 2 * BLOCK_BYTES] = bytes(2 * BLOCK_BYTES)
    assert code_of(unpack, bytes(data)) == Code.IMAGE_DAMAGED


@pytest.fixture
def source(tmp_path):
    (tmp_path / "cairn").mkdir()
    (tmp_path / "main.py").write_text("from cairn import station\n")
    (tmp_path / "cairn" / "station.py").write_text("def run():\n    return 1\n")
    return tmp_path


def test_a_folder_without_the_program_is_refused(tmp_path):
    assert code_of(build_image, tmp_path) == Code.FIRMWARE_MISSING


@pytest.mark.parametrize("minified", [True, False])
@pytest.mark.parametrize("text", ["def run(:\n", "def run():\n    return [*a, 1]\n"])
def test_what_the_compiler_refuses_is_said_with_the_modules_name(source, text, minified):
    (source / "cairn" / "station.py").write_text(text)
    if minified and "*" in text:
        (source / "main.py").write_text("from cairn import station\nstation.run()\n")
    with pytest.raises(OperatorFault) as caught:
        build_image(source, minified=minified)
    assert caught.value.code == Code.FIRMWARE_REFUSED


def test_another_folders_program_is_built(source):
    files = build_image(source, minified=False).files
    assert files.keys() == {"main.py", "application.mpy", "cairn/station.mpy"}


def test_romfs_is_what_micropython_reads():
    # Written by mpremote 1.29: `mpremote romfs build` of a folder with a/b.mpy and c.mpy.
    expected = "d2cd31" + "1e" + "040f" + "0161" + "050b" + "05622e6d7079" + "0203616263"
    expected += "050b" + "05632e6d7079" + "0203646566"
    files = {"c.mpy": b"def", "a/b.mpy": b"abc"}
    assert pack_romfs(files).hex() == expected


def test_romfs_of_long_files_has_an_even_length():
    for size in range(120, 140):
        image = pack_romfs({"x.mpy": bytes(size)})
        assert len(image) % 2 == 0
        assert image.endswith(bytes(size))
