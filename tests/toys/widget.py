"""A toy kernel with a slider, made of raw comms of the ``comm`` package: no ipywidgets, no IPython.

Its commands: ``slider`` shows one, ``value`` prints where it stands, ``set 7`` moves it, ``loaded`` names
the libraries of Python kernels that have been imported. Runnable: `python tests/toys/widget.py -f FILE`.
"""

from __future__ import annotations

import sys
from typing import Any

from wrapperkernel import Kernel, run

CONTROLS = ("@jupyter-widgets/controls", "2.0.0")
BASE = ("@jupyter-widgets/base", "2.0.0")


def state(module: tuple[str, str], name: str, view: tuple[str, str], **traits: Any) -> dict[str, Any]:
    """Return the state of a widget as frontends read it (schema of the widget messaging protocol, 2.1)."""
    return {
        "_model_module": module[0],
        "_model_module_version": module[1],
        "_model_name": f"{name}Model",
        "_view_module": view[0],
        "_view_module_version": view[1],
        **traits,
    }


class WidgetKernel(Kernel):
    implementation = "widget_toy"
    implementation_version = "1.0"
    language_info = {"name": "widget", "version": "1", "mimetype": "text/plain", "file_extension": ".txt"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.states: dict[str, dict[str, Any]] = {}  # by the id of the comm
        self.slider: Any = None

    def do_execute(self, code: str) -> None:
        command, _, rest = code.strip().partition(" ")
        if command == "slider":
            self._show()
        elif command == "set":
            self._move(int(rest))
        elif command == "value":
            self.iopub.stream(f"{self._values['value']}\n")
        elif command == "loaded":
            names = ("IPython", "ipykernel", "ipywidgets", "comm")
            self.iopub.stream(" ".join(name for name in names if name in sys.modules))

    @property
    def _values(self) -> dict[str, Any]:
        return self.states[self.slider.comm_id]

    def _show(self) -> None:
        import comm  # where a library of widgets would do it: in the middle of a cell

        comm.get_comm_manager().register_target("jupyter.widget.control", self._controlled)
        layout = self._open(state(BASE, "Layout", BASE, _view_name="LayoutView"))
        style = self._open(state(CONTROLS, "SliderStyle", BASE, _view_name="StyleView"))
        traits = {"value": 3, "min": 0, "max": 10, "step": 1, "readout": True, "readout_format": "d"}
        parts = {"layout": f"IPY_MODEL_{layout.comm_id}", "style": f"IPY_MODEL_{style.comm_id}"}
        self.slider = self._open(
            state(CONTROLS, "IntSlider", CONTROLS, _view_name="IntSliderView", **traits, **parts)
        )
        self.slider.on_msg(self._told)
        view = {"version_major": 2, "version_minor": 0, "model_id": self.slider.comm_id}
        self.iopub.display_data({"application/vnd.jupyter.widget-view+json": view, "text/plain": "a slider"})

    def _open(self, traits: dict[str, Any]) -> Any:
        import comm

        opened = comm.create_comm(
            target_name="jupyter.widget",
            data={"state": traits, "buffer_paths": []},
            metadata={"version": "2.1.0"},
        )
        self.states[opened.comm_id] = traits
        return opened

    def _move(self, value: int) -> None:
        self._values["value"] = value
        self.slider.send({"method": "update", "state": {"value": value}, "buffer_paths": []})

    def _told(self, message: dict[str, Any]) -> None:
        """Take what the frontend says of the slider; what it sends of its own goes back, buffers and all."""
        data = message["content"]["data"]
        if data["method"] == "update":
            self._values.update(data["state"])
            self.iopub.stream(f"moved to {self._values['value']}\n")
        elif data["method"] == "request_state":
            self.slider.send({"method": "update", "state": self._values, "buffer_paths": []})
        else:
            self.slider.send(data, buffers=message["buffers"])

    def _controlled(self, opened: Any, message: dict[str, Any]) -> None:
        """Tell a page that has come later of all widgets."""

        def answer(message: dict[str, Any]) -> None:
            states = {key: {"state": traits, "buffers": []} for key, traits in self.states.items()}
            opened.send({"method": "update_states", "states": states, "buffer_paths": []})

        opened.on_msg(answer)


if __name__ == "__main__":
    run(WidgetKernel)
