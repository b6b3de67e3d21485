"""What an interrupt is for beside the kernel itself: the processes below it in its group, and no other."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

# Starts processes, interrupts its group, and prints how each of them ended.
PROGRAM = """
import signal, subprocess, sys
from wrapperkernel.server.group import interrupt_group
signal.signal(signal.SIGINT, lambda *_: sys.exit("interrupted itself"))
nested = [sys.executable, "-c", '''
import subprocess, time
child = subprocess.Popen(["sleep", "600"])
try:
    print("on", flush=True)
    time.sleep(600)
except KeyboardInterrupt:
    print(child.wait(), flush=True)
''']
above = subprocess.Popen(nested, stdout=subprocess.PIPE, text=True)
child = subprocess.Popen(["sleep", "600"])
own_group = subprocess.Popen(["sleep", "600"], process_group=0)
own_session = subprocess.Popen(["sleep", "600"], start_new_session=True)
ended = subprocess.Popen(["true"])
while open(f"/proc/{ended.pid}/stat").read().rpartition(")")[2].split()[0] != "Z":
    pass
above.stdout.readline()
interrupt_group()
print(child.wait(), above.stdout.readline().strip(), above.wait(), own_group.poll(), own_session.poll())
own_group.kill(), own_session.kill()
"""


def test_sigint_reaches_what_is_below_in_the_same_group(tmp_path: Path) -> None:
    beside = subprocess.Popen(["sleep", "600"])
    try:
        program = [sys.executable, "-c", PROGRAM]
        run = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
        assert run.stderr == ""
        assert run.stdout.split() == [str(-signal.SIGINT), str(-signal.SIGINT), "0", "None", "None"]
        assert beside.poll() is None
    finally:
        beside.kill()
        beside.wait()
