"""The toy kernel of `anything`, whose cells are coroutines: they may await at their top level.

It knows no test. Runnable: `python tests/toys/awaiting.py -f FILE`.
"""

from __future__ import annotations

import ast
import inspect

from anything import AnythingKernel

from wrapperkernel import run


class AwaitingKernel(AnythingKernel):
    async def do_execute(self, code: str) -> None:
        cell = eval(compile(code, "<cell>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), self.names)
        if inspect.isawaitable(cell):
            await cell


if __name__ == "__main__":
    run(AwaitingKernel)
