"""The ``comm`` package with our comms behind it, as libraries of widgets use it.

Each test runs a script in a process of its own: what has been imported there is the point.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("comm")

PRELUDE = """
import sys
from wrapperkernel.kernel.comm_package import install
from wrapperkernel.kernel.comms import CommManager
from wrapperkernel.wire import Message

published = []
comms = CommManager(lambda *message: published.append(message))

def message(msg_type, *buffers, metadata={}, **content):
    header = {"msg_type": msg_type, "msg_id": "1", "session": "client"}
    return Message(header, {}, metadata, content, buffers=buffers)
"""


def run(script: str, cwd: Path, *options: str) -> None:
    """Run a script after the prelude; fail with what it printed."""
    command = [sys.executable, *options, "-c", PRELUDE + script]
    done = subprocess.run(command, cwd=cwd, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


@pytest.mark.row("M4", "M6")
def test_a_raw_comm_goes_both_ways_without_ipython(tmp_path: Path) -> None:
    script = """
install(comms)
assert "comm" not in sys.modules  # it is left alone until something imports it

from comm import create_comm
target = "jupyter.widget"
comm = create_comm(target_name=target, data={"state": {}}, metadata={"version": "2"}, buffers=[b"ab"])
topic = f"comm-{comm.comm_id}"
content = {"comm_id": comm.comm_id, "target_name": target, "data": {"state": {}}}
assert published == [("comm_open", content, {"version": "2"}, [b"ab"], topic)], published
assert comms.info() == {comm.comm_id: {"target_name": target}}

got = []
comm.on_msg(got.append)
comms.handle_msg(message("comm_msg", b"back", comm_id=comm.comm_id, data={"method": "update"}))
assert got[0]["content"]["data"] == {"method": "update"}
assert got[0]["buffers"] == [b"back"]
assert (got[0]["header"]["session"], got[0]["msg_type"], got[0]["msg_id"]) == ("client", "comm_msg", "1")

comm.send({"x": 1}, {"m": 1}, [b"1", memoryview(b"2")])
content = {"comm_id": comm.comm_id, "data": {"x": 1}}
assert published[1:] == [("comm_msg", content, {"m": 1}, [b"1", memoryview(b"2")], topic)]

comm.close({"bye": 1})
comm.close()
assert published[2:] == [("comm_close", {"comm_id": comm.comm_id, "data": {"bye": 1}}, None, (), topic)]
assert comms.info() == {}
comms.handle_msg(message("comm_msg", comm_id=comm.comm_id, data={}))
assert len(got) == 1
assert not {"IPython", "ipykernel", "zmq"} & set(sys.modules)
"""
    run(script, tmp_path, "-W", "error")


@pytest.mark.row("M6")
def test_a_frontend_opens_and_closes_comms_of_a_library(tmp_path: Path) -> None:
    script = """
install(comms)
import comm
from comm.base_comm import BaseComm, CommManager as PackageManager

manager = comm.get_comm_manager()
assert isinstance(manager, PackageManager) and manager is comm.get_comm_manager()
opened, closed = [], []

def target(comm, msg):
    comm.on_close(closed.append)
    opened.append((comm, msg))

manager.register_target("good", target)
manager.register_target("bad", lambda comm, msg: 1 / 0)
content = {"comm_id": "c1", "target_name": "good", "data": {"x": 1}}
comms.handle_open(message("comm_open", b"b", metadata={"v": 1}, **content))
((mine, msg),) = opened
assert isinstance(mine, BaseComm) and (mine.comm_id, mine.target_name) == ("c1", "good")
assert (msg["content"]["data"], msg["metadata"], msg["buffers"]) == ({"x": 1}, {"v": 1}, [b"b"])
assert manager.get_comm("c1") is mine and not published
mine.send({"hello": 1})
assert published.pop()[1] == {"comm_id": "c1", "data": {"hello": 1}}

comms.handle_close(message("comm_close", comm_id="c1", data={"bye": 1}))
assert closed[0]["content"]["data"] == {"bye": 1} and manager.comms == {}
mine.close()
assert not published and comms.info() == {}

try:
    comms.handle_open(message("comm_open", comm_id="c2", target_name="bad", data={}))
except ZeroDivisionError:
    pass
assert [entry[:2] for entry in published] == [("comm_close", {"comm_id": "c2", "data": {}})]
assert manager.comms == {} and comms.info() == {}

assert manager.unregister_target("good", target) is target
comms.handle_open(message("comm_open", comm_id="c3", target_name="good", data={}))
assert published[1][:2] == ("comm_close", {"comm_id": "c3", "data": {}})
manager.register_target("named", "builtins.print")
comms.handle_open(message("comm_open", comm_id="c4", target_name="named", data={}))
assert comms.info() == {"c4": {"target_name": "named"}}
"""
    run(script, tmp_path, "-W", "error")


def test_a_library_joins_a_comm_that_it_knows_by_its_id(tmp_path: Path) -> None:
    script = """
install(comms)
import comm

got = []
mine = comm.create_comm(target_name="t", comm_id="c1", primary=False)
mine.on_msg(got.append)
comm.get_comm_manager().register_comm(mine)
assert not published
comms.handle_msg(message("comm_msg", comm_id="c1", data={"x": 1}))
assert got[0]["content"]["data"] == {"x": 1}

other = comm.create_comm(target_name="t", comm_id="c2", primary=False)
other.publish_msg("comm_msg", {"y": 1})
other.publish_msg("comm_close")
assert [entry[:2] for entry in published] == [
    ("comm_msg", {"comm_id": "c2", "data": {"y": 1}}), ("comm_close", {"comm_id": "c2", "data": {}}),
]
"""
    run(script, tmp_path, "-W", "error")


@pytest.mark.row("M6")
@pytest.mark.parametrize("first", ["comm", "install"])
def test_what_was_there_comes_back(tmp_path: Path, first: str) -> None:
    script = """
finders = list(sys.meta_path)
if FIRST == "comm":
    import comm
    before = comm.create_comm, comm.get_comm_manager
    uninstall = install(comms)
else:
    uninstall = install(comms)
    import comm
    before = comm._create_comm, comm._get_comm_manager

assert sys.meta_path == finders  # the finder has done its work
assert type(comm.__loader__).__name__ == type(comm.__spec__.loader).__name__ == "SourceFileLoader"
ours = comm.create_comm(target_name="t")
stays = comm.create_comm(target_name="t")
assert len(published) == 2 and ours.publish_msg.__module__.startswith("wrapperkernel.")
uninstall()
uninstall()
assert (comm.create_comm, comm.get_comm_manager) == before
comm.create_comm(target_name="nobody hears it").close()
ours.close()
assert [entry[0] for entry in published] == ["comm_open", "comm_open", "comm_close"]
comms.close_all()
assert len(published) == 4
del ours, stays  # whose finalisers have nothing left to say
import gc
gc.collect()
assert len(published) == 4
"""
    run(script.replace("FIRST", repr(first)), tmp_path, "-W", "error")


def test_undone_before_the_package_is_imported(tmp_path: Path) -> None:
    script = """
finders = list(sys.meta_path)
install(comms)()
assert sys.meta_path == finders
import comm
comm.create_comm(target_name="t").close()
assert not published
"""
    run(script, tmp_path, "-W", "error")


def test_the_latest_kernel_gets_the_comms(tmp_path: Path) -> None:
    script = """
others = []
second = CommManager(lambda *message: others.append(message))
undo_first = install(comms)
undo_second = install(second)
import comm
comm.create_comm(target_name="t")
assert (len(published), len(others)) == (0, 1)
undo_second()
comm.create_comm(target_name="t")
assert (len(published), len(others)) == (1, 1)
undo_first()
assert comm.create_comm is comm._create_comm
"""
    run(script, tmp_path, "-W", "error")


def test_another_module_of_that_name_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "comm.py").write_text("mine = 1")
    script = """
install(comms)
import comm
assert comm.mine == 1 and not hasattr(comm, "create_comm")
"""
    run(script, tmp_path, "-W", "error")


def test_an_import_that_failed_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "comm.py").write_text("1 / 0")
    script = """
import importlib
install(comms)
try:
    import comm
except ZeroDivisionError:
    sys.path.remove("")  # the folder of that comm.py
importlib.invalidate_caches()

path, sys.path[:] = sys.path[:], []
try:
    import comm
except ModuleNotFoundError:
    sys.path[:] = path

import comm
comm.create_comm(target_name="t")
assert len(published) == 1
"""
    run(script, tmp_path, "-W", "error")


def test_threads_import_it_at_the_same_time(tmp_path: Path) -> None:
    script = """
import threading
install(comms)
start = threading.Barrier(4)

def use():
    start.wait(30)
    from comm import create_comm
    create_comm(target_name="t")

threads = [threading.Thread(target=use) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert len(published) == 4
"""
    run(script, tmp_path, "-W", "error")


@pytest.mark.row("M4", "M6")
def test_a_slider_of_ipywidgets_goes_both_ways(tmp_path: Path) -> None:
    pytest.importorskip("ipywidgets")
    script = """
install(comms)
import ipywidgets

slider = ipywidgets.IntSlider(value=5, max=10)
opened = {entry[1]["data"]["state"]["_model_name"]: entry for entry in published}
assert set(opened) == {"LayoutModel", "SliderStyleModel", "IntSliderModel"}, set(opened)
msg_type, content, metadata, buffers, topic = opened["IntSliderModel"]
assert (msg_type, content["target_name"]) == ("comm_open", "jupyter.widget")
assert content["comm_id"] == slider.model_id
assert content["data"]["state"]["value"] == 5 and metadata["version"].startswith("2.")
published.clear()

seen = []
slider.observe(lambda change: seen.append((change["old"], change["new"])), "value")
update = {"method": "update", "state": {"value": 7}, "buffer_paths": []}
comms.handle_msg(message("comm_msg", comm_id=slider.model_id, data=update))
assert (slider.value, seen) == (7, [(5, 7)])
echo = published.pop(0)[1]["data"]  # for the other frontends
assert (echo["method"], echo["state"]) == ("echo_update", {"value": 7}) and not published

slider.value = 3
assert published.pop(0)[1]["data"]["state"] == {"value": 3}

image = ipywidgets.Image(value=b"pixels")
data, buffers = published[-1][1]["data"], published[-1][3]
assert data["buffer_paths"] == [["value"]] and [bytes(buffer) for buffer in buffers] == [b"pixels"]
update = {"method": "update", "state": {}, "buffer_paths": [["value"]]}
comms.handle_msg(message("comm_msg", memoryview(b"others"), comm_id=image.model_id, data=update))
assert bytes(image.value) == b"others"

ipywidgets.register_comm_target()  # a frontend that reloads its page asks for everything
published.clear()
comms.handle_open(message("comm_open", comm_id="c", target_name="jupyter.widget.control", data={},
                          metadata={"version": "1.0.0"}))
comms.handle_msg(message("comm_msg", comm_id="c", data={"method": "request_states"}))
states = published.pop()[1]["data"]["states"]
assert states[slider.model_id]["state"]["value"] == 3

id = slider.model_id
slider.close()
assert published[-1][:2] == ("comm_close", {"comm_id": id, "data": {}})
assert id not in comms.info()
assert "ipykernel" not in sys.modules
"""
    run(script, tmp_path)
