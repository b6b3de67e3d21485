"""Connection files: what is read, what is refused, what is written."""

from __future__ import annotations

import json
import logging
import os
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from wrapperkernel.server.connection import CHANNELS, ConnectionFileError, ConnectionInfo

KEY = "0123-this-is-the-key"
COMPLETE: dict[str, Any] = {
    "shell_port": 50001,
    "iopub_port": 50002,
    "stdin_port": 50003,
    "control_port": 50004,
    "hb_port": 50005,
    "ip": "127.0.0.1",
    "key": KEY,
    "transport": "tcp",
    "signature_scheme": "hmac-sha256",
}


@pytest.fixture
def path(tmp_path: Path) -> str:
    return write(tmp_path / "kernel.json", COMPLETE)


@pytest.fixture
def generous_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def write(path: Path, document: Any, mode: int = 0o600) -> str:
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    path.chmod(mode)
    return str(path)


def mode_of(path: str | os.PathLike[str]) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


# --- reading ----------------------------------------------------------------------------------------


@pytest.mark.row(
    "C1",
    file="server/connection.py",
    old="ports={channel: _port(document, key, transport) for key, channel in _PORT_KEYS.items()},",
    new="ports={channel: _port(document, 'hb_port', transport) for channel in CHANNELS},",
)
def test_all_nine_keys_are_read(tmp_path: Path) -> None:
    document = COMPLETE | {"ip": "127.0.0.2", "transport": "ipc", "signature_scheme": "hmac-sha512"}
    info = ConnectionInfo.read(write(tmp_path / "kernel.json", document))
    assert {f"{channel}_port": port for channel, port in info.ports.items()} == {
        key: value for key, value in COMPLETE.items() if key.endswith("_port")
    }
    assert (info.transport, info.ip) == ("ipc", "127.0.0.2")
    assert (info.key, info.signature_scheme) == (KEY.encode(), "hmac-sha512")


@pytest.mark.row("C2")
def test_ports_may_be_strings(tmp_path: Path, path: str) -> None:
    words = {key: str(value) if key.endswith("_port") else value for key, value in COMPLETE.items()}
    assert ConnectionInfo.read(write(tmp_path / "words.json", words)) == ConnectionInfo.read(path)


@pytest.mark.row(
    "C3",
    file="server/connection.py",
    old="extra={key: value for key, value in document.items() if key not in (*_PORT_KEYS, *_OTHER_KEYS)},",
    new='extra={key: _text(document, key, "") for key in document if key not in _PORT_KEYS},',
)
def test_unknown_keys_are_kept_and_ignored(tmp_path: Path, path: str) -> None:
    unknown = {"kernel_name": "bash", "jupyter_session": "/a b", "gateway": {"x": [1, None]}, "": 3}
    info = ConnectionInfo.read(write(tmp_path / "more.json", unknown | COMPLETE))
    assert info.extra == unknown
    assert replace(info, extra={}) == ConnectionInfo.read(path)


@pytest.mark.row("C6")
def test_defaults(tmp_path: Path) -> None:
    info = ConnectionInfo.read(write(tmp_path / "kernel.json", {"key": KEY}))
    assert info == ConnectionInfo(key=KEY.encode())
    assert info.signature_scheme == "hmac-sha256"
    assert (info.transport, info.ip) == ("tcp", "127.0.0.1")
    assert info.ports == dict.fromkeys(CHANNELS, 0)


def test_an_empty_key_is_a_choice_and_a_missing_one_a_mistake(tmp_path: Path) -> None:
    assert ConnectionInfo.read(write(tmp_path / "empty.json", COMPLETE | {"key": ""})).key == b""
    without = {name: value for name, value in COMPLETE.items() if name != "key"}
    with pytest.raises(ConnectionFileError, match='no "key"'):
        ConnectionInfo.read(write(tmp_path / "without.json", without))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"shell_port": "http"}, "shell_port is 'http', which is not a port number"),
        ({"hb_port": -1}, "hb_port is -1, which is not a port number"),
        ({"hb_port": 65536}, "hb_port is 65536, which is not a port number"),
        ({"hb_port": "9" * 5000}, f"hb_port is '{'9' * 5000}', which is not a port number"),
        ({"hb_port": 1.5}, "hb_port is 1.5, which is not a port number"),
        ({"hb_port": True}, "hb_port is True, which is not a port number"),
        ({"hb_port": None}, "hb_port is None, which is not a port number"),
        ({"hb_port": "१"}, "hb_port is '१', which is not a port number"),
        ({"ip": 7}, "ip must be a string, not int"),
        ({"ip": ""}, "ip '' is no address"),
        ({"ip": "a\0b"}, r"ip 'a\x00b' is no address"),
        ({"ip": "@x", "transport": "ipc"}, "ip '@x' is an abstract address, and not the beginning of a path"),
        ({"key": 7}, "key must be a string, not int"),
        ({"key": "\ud800"}, "key has half a surrogate pair in it"),
        ({"transport": "udp"}, "transport 'udp' is neither 'tcp' nor 'ipc'"),
        ({"transport": ["tcp"]}, "transport must be a string, not list"),
        ({"signature_scheme": None}, "signature_scheme must be a string, not NoneType"),
    ],
)
def test_a_wrong_value_is_named(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    path = write(tmp_path / "kernel.json", COMPLETE | change)
    with pytest.raises(ConnectionFileError) as caught:
        ConnectionInfo.read(path)
    assert str(caught.value) == f"connection file {path}: {sentence}"


@pytest.mark.parametrize("text", ["", "[]", "null", '{"key": "k"', '{"key": ' + "[" * 100_000, "\udcff"])
def test_a_file_that_holds_no_object_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kernel.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConnectionFileError, match=r"kernel\.json does not hold a JSON object$"):
        ConnectionInfo.read(str(path))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.json", tmp_path):
        with pytest.raises(ConnectionFileError, match=f"^cannot read the connection file {path}: "):
            ConnectionInfo.read(str(path))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622])
def test_a_file_open_to_others_is_read_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int
) -> None:
    path = write(tmp_path / "kernel.json", COMPLETE, mode)
    assert ConnectionInfo.read(path).key == KEY.encode()
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert path in record.getMessage()
    assert f"{mode:o}" in record.getMessage()
    assert KEY not in caplog.text


def test_a_private_file_is_read_without_a_word(path: str, caplog: pytest.LogCaptureFixture) -> None:
    ConnectionInfo.read(path)
    assert not caplog.records


# --- encryption ---------------------------------------------------------------------------------------


def test_curve_keys_are_read(tmp_path: Path) -> None:
    public, secret = zmq.curve_keypair()
    document = COMPLETE | {"curve_publickey": public.decode(), "curve_secretkey": secret.decode()}
    info = ConnectionInfo.read(write(tmp_path / "kernel.json", document))
    assert (info.curve_publickey, info.curve_secretkey) == (public, secret)
    assert info.extra == {}


@pytest.mark.parametrize("nothing", [None, ""])
def test_empty_curve_keys_are_no_keys(tmp_path: Path, nothing: str | None) -> None:
    document = COMPLETE | {"curve_publickey": nothing, "curve_secretkey": nothing}
    assert ConnectionInfo.read(write(tmp_path / "kernel.json", document)).curve_secretkey == b""


Z85_KEY = st.one_of(
    st.builds(lambda: zmq.curve_keypair()[1].decode()),
    st.text(max_size=60),
    st.text("0#zZ~é", min_size=40, max_size=40),
    st.none() | st.integers() | st.lists(st.integers(), max_size=1),
)


@given(
    public=Z85_KEY, secret=Z85_KEY, absent=st.sets(st.sampled_from(["curve_publickey", "curve_secretkey"]))
)
def test_curve_keys_are_both_sound_or_refused_unseen(public: Any, secret: Any, absent: set[str]) -> None:
    found = {"curve_publickey": public, "curve_secretkey": secret}
    document = COMPLETE | {name: key for name, key in found.items() if name not in absent}
    with tempfile.TemporaryDirectory() as directory:
        try:
            info = ConnectionInfo.read(write(Path(directory) / "kernel.json", document))
        except ConnectionFileError as error:
            said = str(error).replace(directory, "")
            assert said.count("curve_") >= 1
            assert not any(isinstance(key, str) and len(key) > 20 and key in said for key in (public, secret))
        else:
            kept = [info.curve_publickey.decode(), info.curve_secretkey.decode()]
            assert kept in ([public, secret], ["", ""])
            assert bool(info.curve_publickey) == bool(info.curve_secretkey)


# --- secrets --------------------------------------------------------------------------------------------


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(changes=st.dictionaries(st.sampled_from([*COMPLETE, "curve_publickey", "extra"]), JSON, max_size=4))
def test_any_file_is_read_or_refused_and_its_key_not_shown(changes: dict[str, Any]) -> None:
    document = COMPLETE | changes | {"token": KEY}
    with tempfile.TemporaryDirectory() as directory:
        path = write(Path(directory) / "kernel.json", document)
        try:
            said = repr(ConnectionInfo.read(path))
        except ConnectionFileError as error:
            said = str(error)
            assert "\n" not in said.replace(repr(changes), "")
    assert KEY not in said


def test_a_broken_file_is_not_quoted_by_the_error(tmp_path: Path) -> None:
    path = write(tmp_path / "kernel.json", json.dumps(COMPLETE)[:-1])
    with pytest.raises(ConnectionFileError) as caught:
        ConnectionInfo.read(path)
    assert KEY not in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


# --- where to bind ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("transport", "ip", "endpoint"),
    [
        ("tcp", "127.0.0.1", "tcp://127.0.0.1:5"),
        ("tcp", "*", "tcp://0.0.0.0:5"),
        ("tcp", "::1", "tcp://[::1]:5"),
        ("tcp", "[::1]", "tcp://[::1]:5"),
        ("tcp", "localhost", "tcp://localhost:5"),
        ("ipc", "/run/x/kernel", "ipc:///run/x/kernel-5"),
        ("ipc", "kernel", "ipc://kernel-5"),
    ],
)
def test_endpoints(transport: str, ip: str, endpoint: str) -> None:
    info = ConnectionInfo(transport=transport, ip=ip).with_ports({"hb": 5})
    assert info.endpoint("hb") == endpoint


# --- writing --------------------------------------------------------------------------------------------


PORTS = {channel: 40000 + number for number, channel in enumerate(CHANNELS)}


@pytest.mark.row(
    "C9", file="server/connection.py", old="os.fchmod(descriptor, 0o600)", new="os.fchmod(descriptor, 0o644)"
)
@pytest.mark.usefixtures("generous_umask")
def test_files_that_we_write_are_the_users_alone(tmp_path: Path) -> None:
    given = write(tmp_path / "kernel.json", COMPLETE, 0o666)
    ConnectionInfo.read(given).with_ports(PORTS).write_merged(given)
    made = ConnectionInfo.new().create_file(str(tmp_path / "runtime"))
    assert mode_of(given) == 0o600
    assert mode_of(made) == 0o600


@pytest.mark.usefixtures("generous_umask")
def test_they_are_so_before_anything_is_in_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []

    def fchmod(descriptor: int, mode: int) -> None:
        status = os.fstat(descriptor)
        seen.append((stat.S_IMODE(status.st_mode), status.st_size))

    monkeypatch.setattr(os, "fchmod", fchmod)
    ConnectionInfo.new().create_file(str(tmp_path))
    assert seen == [(0o600, 0)]


def test_merging_changes_the_ports_alone_and_keeps_the_order(tmp_path: Path) -> None:
    before = {"z": [1, {"y": "é"}], **dict.fromkeys(COMPLETE, 0), **COMPLETE, "hb_port": "0", "a": None}
    path = write(tmp_path / "kernel.json", before)
    ConnectionInfo.read(path).with_ports(PORTS).write_merged(path)
    after = json.loads(Path(path).read_text())
    assert list(after) == list(before)
    assert after == before | {f"{channel}_port": port for channel, port in PORTS.items()}
    assert os.listdir(tmp_path) == ["kernel.json"]


@given(extra=st.dictionaries(st.text(max_size=8).filter(lambda key: key not in COMPLETE), JSON, max_size=5))
def test_whatever_else_is_in_the_file_survives(extra: dict[str, Any]) -> None:
    before = {name: value for name, value in extra.items() if "curve" not in name} | COMPLETE
    with tempfile.TemporaryDirectory() as directory:
        path = write(Path(directory) / "kernel.json", before)
        ConnectionInfo.read(path).with_ports(PORTS).write_merged(path)
        after = json.loads(Path(path).read_text())
    assert list(after.items()) == list(
        (before | {f"{channel}_port": port for channel, port in PORTS.items()}).items()
    )


def test_a_reader_sees_the_old_file_or_the_new_one(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = Path(path).read_text()
    os_replace = os.replace

    def watched(source: str, target: str) -> None:
        assert Path(path).read_text() == before
        assert json.loads(Path(source).read_text())["hb_port"] == PORTS["hb"]
        os_replace(source, target)

    monkeypatch.setattr(os, "replace", watched)
    ConnectionInfo.read(path).with_ports(PORTS).write_merged(path)
    assert ConnectionInfo.read(path).ports == PORTS


def test_merging_through_a_link_keeps_the_link(tmp_path: Path, path: str) -> None:
    link = tmp_path / "link.json"
    link.symlink_to(path)
    ConnectionInfo.read(str(link)).with_ports(PORTS).write_merged(str(link))
    assert link.is_symlink()
    assert ConnectionInfo.read(path).ports == PORTS


def test_what_a_killed_process_left_is_in_nobodys_way(tmp_path: Path, path: str) -> None:
    (tmp_path / f".kernel.json.{os.getpid()}").write_text("half")
    ConnectionInfo.read(path).with_ports(PORTS).write_merged(path)
    assert os.listdir(tmp_path) == ["kernel.json"]


def test_a_full_disk_leaves_nothing_behind(
    tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    info = ConnectionInfo.read(path)
    monkeypatch.setattr(json, "dump", full)
    with pytest.raises(ConnectionFileError, match=f"cannot write the ports into {path}: No space left"):
        info.write_merged(path)
    with pytest.raises(ConnectionFileError, match="No space left on device; give one with -f FILE"):
        info.create_file(str(tmp_path))
    assert os.listdir(tmp_path) == ["kernel.json"]
    assert ConnectionInfo.read(path) == info


# --- a file of our own ----------------------------------------------------------------------------------


def test_our_own_file_can_be_read_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    info = ConnectionInfo.new(kernel_name="echo").with_ports(PORTS)
    path = info.create_file(str(tmp_path / "run" / "time"))
    assert path == str(tmp_path / "run" / "time" / f"kernel-{os.getpid()}.json")
    assert ConnectionInfo.read(path) == info
    assert os.stat(tmp_path / "run" / "time").st_mode & stat.S_ISVTX
    assert mode_of(tmp_path / "run" / "time") & 0o077 == 0
    assert not caplog.records


def test_keys_are_long_and_new_each_time() -> None:
    keys = {ConnectionInfo.new().key for _ in range(10)}
    assert len(keys) == 10
    assert {len(key) for key in keys} == {64}


def test_our_own_file_keeps_curve_keys(tmp_path: Path) -> None:
    public, secret = zmq.curve_keypair()
    info = ConnectionInfo(key=b"k", curve_publickey=public, curve_secretkey=secret)
    assert ConnectionInfo.read(info.create_file(str(tmp_path))) == info


def test_a_file_that_exists_is_not_overwritten(tmp_path: Path) -> None:
    names = [f"kernel-{os.getpid()}{number}.json" for number in ("", "-2", "-3")]
    (tmp_path / names[0]).write_text("another container's")
    paths = [ConnectionInfo.new().create_file(str(tmp_path)) for _ in range(2)]
    assert paths == [str(tmp_path / name) for name in names[1:]]
    assert (tmp_path / names[0]).read_text() == "another container's"


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    (tmp_path / f"kernel-{os.getpid()}.json").symlink_to(victim)
    ConnectionInfo.new().create_file(str(tmp_path))
    assert not victim.exists()


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    directory = str(tmp_path / "file" / "runtime")
    with pytest.raises(ConnectionFileError, match=f"in {directory}: .*; give one with -f FILE"):
        ConnectionInfo.new().create_file(directory)


def test_a_directory_of_somebody_else_need_not_be_sticky(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    with monkeypatch.context() as patch:
        patch.setattr(os, "chmod", refuse)
        path = ConnectionInfo.new().create_file(str(tmp_path))
    assert os.path.exists(path)
