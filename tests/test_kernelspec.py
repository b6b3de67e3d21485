"""What is written into a kernelspec: names, kernel.json, logos, the table of bundled kernels."""

from __future__ import annotations

import json
import re
import struct
import sys
import zlib
from pathlib import Path
from xml.etree import ElementTree

import pytest

from wrapperkernel import kernelspec
from wrapperkernel.kernelspec import BUNDLED, KERNEL_JSON, Bundled, KernelSpec, SpecError, checked_name
from wrapperkernel.registry import place
from wrapperkernel.wire.message import PROTOCOL_VERSION

ECHO = next(bundled for bundled in BUNDLED if bundled.name == "echo")

# --- names ------------------------------------------------------------------------------------------


@pytest.mark.row("K1", file="kernelspec.py", old="    return name.lower()", new="    return name")
def test_a_name_is_lower_cased() -> None:
    assert checked_name("My.Kernel-1_b") == "my.kernel-1_b"


# The Kelvin sign is a letter whose lower case is an ASCII k.
@pytest.mark.row("K1", file="kernelspec.py", old='re.compile(r"[A-Za-z0-9._-]+")', new='re.compile(r".+")')
@pytest.mark.parametrize("name", ["", "a b", "a/b", "../a", "ä", "\u212aernel", "a\n", "a\0"])
def test_other_characters_are_refused(name: str) -> None:
    with pytest.raises(SpecError, match="--name"):
        checked_name(name)


@pytest.mark.parametrize("name", [".", "..", "..."])
def test_names_that_are_folders_already_are_refused(name: str) -> None:
    with pytest.raises(SpecError):
        checked_name(name)


@pytest.mark.parametrize(("name", "shown"), [("echo", "Echo"), ("my-lang_2", "My Lang 2"), ("_", "_")])
def test_a_display_name_is_made_from_a_name(name: str, shown: str) -> None:
    assert kernelspec.title(name) == shown


# --- kernel.json ------------------------------------------------------------------------------------


@pytest.mark.row("K1", file="kernelspec.py", old='"-f", "{connection_file}")', new='"-f")')
@pytest.mark.row("K1", file="kernelspec.py", old='"display_name": self.display_name,', new="")
@pytest.mark.row("K1", file="kernelspec.py", old='"language": self.language,', new="")
def test_the_fields_of_kernel_json(tmp_path: Path) -> None:
    folder = place(ECHO.spec(), tmp_path)
    content = json.loads((folder / KERNEL_JSON).read_text(encoding="utf-8"))
    assert content.pop("metadata")["supported_encryption"] == ["curve"]
    assert content == {
        "argv": [sys.executable, "-P", "-m", "wrapperkernel.examples.echo_kernel", "-f", "{connection_file}"],
        "display_name": "Echo",
        "language": "text",
        "interrupt_mode": "signal",
        "kernel_protocol_version": "5.5",
    }


@pytest.mark.row("K1")
def test_env_is_written_only_if_there_is_any() -> None:
    spec = KernelSpec("x", ("x", "{connection_file}"), "X", "x", "x", env={"A": "${B}/c"})
    assert spec.content()["env"] == {"A": "${B}/c"}
    assert "env" not in ECHO.spec().content()


@pytest.mark.row("K2")
def test_one_protocol_version_everywhere() -> None:
    """The schema of JEP 105 wants three numbers; clients and kernels write two, and so do we."""
    version = ECHO.spec().content()["kernel_protocol_version"]
    assert version == PROTOCOL_VERSION
    assert re.fullmatch(r"\d+\.\d+", version)


@pytest.mark.row("K2")
def test_our_own_metadata_is_an_object() -> None:
    """The schema wants every value to be one, but jupyter_client reads a list of encryptions."""
    metadata = ECHO.spec().content()["metadata"]
    assert {key for key, value in metadata.items() if not isinstance(value, dict)} == {"supported_encryption"}


@pytest.mark.row("K3")
def test_argv_as_jupyter_client_formats_it(tmp_path: Path) -> None:
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import KernelManager

    place(ECHO.spec(), tmp_path)
    specs = KernelSpecManager(kernel_dirs=[str(tmp_path)])
    manager = KernelManager(kernel_name="echo", kernel_spec_manager=specs, connection_file="/c.json")
    command = manager.format_kernel_cmd()
    assert command == [sys.executable, "-P", "-m", "wrapperkernel.examples.echo_kernel", "-f", "/c.json"]


@pytest.mark.row("C14", "K1")
def test_jupyter_client_reads_every_field(tmp_path: Path) -> None:
    from jupyter_client.kernelspec import KernelSpecManager

    spec = ECHO.spec()
    place(spec, tmp_path)
    read = KernelSpecManager(kernel_dirs=[str(tmp_path)]).get_kernel_spec("echo").to_dict()
    assert read == {"env": {}, **spec.content()}


# --- bundled kernels --------------------------------------------------------------------------------


def test_a_bundled_kernel_without_its_module_says_so() -> None:
    missing = Bundled("x", "wrapperkernel.examples.no_such_kernel", "X", "x").missing()
    assert missing is not None
    assert missing.startswith("wrapperkernel.examples.no_such_kernel is not part of wrapperkernel ")


def test_a_bundled_kernel_without_its_program_says_so(tmp_path: Path) -> None:
    bundled = Bundled("x", "wrapperkernel.examples", "X", "x", program="no-such-program")
    assert bundled.missing() == "its program no-such-program is not found on PATH"
    program = tmp_path / "no-such-program"
    program.touch(mode=0o755)
    assert bundled.missing(str(tmp_path)) is None


def test_the_names_of_bundled_kernels() -> None:
    assert [bundled.name for bundled in BUNDLED] == ["bash", "echo", "octave"]
    assert all(bundled.module == f"wrapperkernel.examples.{bundled.name}_kernel" for bundled in BUNDLED)
    assert {bundled.name: bundled.program for bundled in BUNDLED} == {
        "bash": "bash",
        "echo": None,
        "octave": "octave-cli",
    }


def test_the_table_says_what_the_class_says() -> None:
    from wrapperkernel.examples.echo_kernel import EchoKernel

    assert EchoKernel.language_info["name"] == ECHO.language


# --- logos ------------------------------------------------------------------------------------------


@pytest.mark.row("K6")
@pytest.mark.parametrize("bundled", BUNDLED, ids=lambda bundled: bundled.name)
def test_logos_are_there_and_can_be_decoded(bundled: Bundled, tmp_path: Path) -> None:
    folder = place(bundled.spec(), tmp_path)
    assert png_size(folder / "logo-32x32.png") == (32, 32)
    assert png_size(folder / "logo-64x64.png") == (64, 64)
    assert ElementTree.parse(folder / "logo-svg.svg").getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_logos_come_from_the_first_folder_that_has_any(tmp_path: Path) -> None:
    resources = tmp_path / "resources"
    resources.mkdir()
    (resources / "logo-svg.svg").touch()
    (resources / "other.png").touch()
    assert kernelspec.logos_in(tmp_path, resources) == {"logo-svg.svg": resources / "logo-svg.svg"}
    assert kernelspec.logos_in(tmp_path) == {}


def png_size(path: Path) -> tuple[int, int]:
    """Decode an 8-bit RGBA image as far as its pixels' bytes, checking every sum, and return its size."""
    rest = path.read_bytes()
    assert rest.startswith(b"\x89PNG\r\n\x1a\n")
    rest, pixels, size, kinds = rest[8:], b"", (0, 0), []
    while rest:
        length, kind = struct.unpack(">I4s", rest[:8])
        data, (checksum,) = rest[8 : 8 + length], struct.unpack(">I", rest[8 + length : 12 + length])
        assert zlib.crc32(kind + data) == checksum
        if kind == b"IHDR":
            size = struct.unpack(">II", data[:8])
            assert data[8:10] == b"\x08\x06"
        pixels += data if kind == b"IDAT" else b""
        kinds.append(kind)
        rest = rest[12 + length :]
    assert kinds[-1] == b"IEND"
    assert len(zlib.decompress(pixels)) == size[1] * (1 + 4 * size[0])
    return size
