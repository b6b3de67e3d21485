"""A toy kernel whose cells are Python and whose questions are answered beside a running cell.

Those hooks call what a cell defined as `on_complete`, `on_inspect`, `on_is_complete` or `on_history`.
It knows no test. Runnable: `python tests/toys/beside.py -f FILE`; as `… beside.py shy -f FILE` it is the
same kernel without a word about what may run beside a cell.
"""

from __future__ import annotations

import sys
from typing import Any

from anything import AnythingKernel

from wrapperkernel import ExecuteError, run


class ShyKernel(AnythingKernel):
    beside = frozenset()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.names["ExecuteError"] = ExecuteError

    def do_complete(self, code: str, cursor_pos: int) -> Any:
        names = [name for name in sorted(self.names) if name.startswith(code[:cursor_pos])]
        return self._defined("on_complete") or {"matches": names, "cursor_start": 0}

    def do_inspect(self, code: str) -> Any:
        return self._defined("on_inspect") or {"data": {"text/plain": f"{code} is a name"}}

    def do_is_complete(self, code: str) -> Any:
        return self._defined("on_is_complete") or {"status": "complete"}

    def do_history(self, **asked: Any) -> Any:
        return self._defined("on_history") or super().do_history(**asked)

    def _defined(self, name: str) -> Any:
        return self.names[name]() if name in self.names else None


class BesideKernel(ShyKernel):
    beside = frozenset({"do_complete", "do_inspect", "do_is_complete", "do_history"})


if __name__ == "__main__":
    if sys.argv[1:2] == ["shy"]:
        run(ShyKernel, sys.argv[2:])
    else:
        run(BesideKernel)
