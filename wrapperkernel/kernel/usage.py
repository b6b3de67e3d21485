"""What the kernel and the processes below it use: the content of a usage_reply.

Not in the messaging specification; jupyter-resource-usage asks for it. psutil is used where installed
(the extra ``usage``), else Linux's ``/proc``, which tells less.
"""

from __future__ import annotations

import os
import socket
from typing import Any


def usage() -> dict[str, Any]:
    """Return hostname, pid, cpu count, and the kernel's memory in bytes, children included."""
    common = {"hostname": socket.gethostname(), "pid": os.getpid(), "cpu_count": os.cpu_count() or 1}
    try:
        import psutil
    except ImportError:
        return {**common, "kernel_memory": _memory_below(os.getpid())}
    me = psutil.Process()
    family = [me, *me.children(recursive=True)]
    memory = cpu = 0.0
    for process in family:
        try:
            memory += process.memory_info().rss
            cpu += process.cpu_percent(interval=None)
        except psutil.NoSuchProcess:
            continue
    whole = psutil.virtual_memory()
    return {
        **common,
        "kernel_cpu": cpu,
        "kernel_memory": int(memory),
        "host_cpu_percent": psutil.cpu_percent(interval=None),
        "host_virtual_memory": whole._asdict(),
    }


def _memory_below(pid: int) -> int:
    """Return the resident bytes of a process and all below it, as far as ``/proc`` tells."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            memory = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        tasks = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return 0
    for task in tasks:
        try:
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                memory += sum(_memory_below(int(child)) for child in file.read().split())
        except OSError:
            continue
    return memory
