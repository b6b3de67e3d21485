r"""How bash is handed a cell.

One line through its standard input (a FIFO) has it read the cell's file, with the terminal as stdin. The
code stands in an ``eval`` on the first line of that file: so it sees its own line numbers, ``return`` works,
aliases and options hold from the next line on, and an unclosed quote or block is an error of the cell alone.

Nothing of ours is in the shell: each command is a ``\builtin``, which no alias or function of the user's
takes over, and what must be remembered is in files, not in variables. Prompts, and traps that would fire at
our own commands, are taken away behind each cell and put back before the next.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Sequence

from wrapperkernel.child import Ended, Handover, visible

# In these, @D is the folder, @O and @E are the terminals, which are opened by their paths each time: then
# `exec >file`, or the closing of every descriptor, does not touch the marks. $1 is the cell's nonce.
_FILES = {
    # A typed `set +o history` would itself be recorded.
    "rc": r"set +o history",
    # What the shell knows, for answers beside it. The last line says that all of it is there.
    "remember": r"""
{ \builtin declare -p; \builtin declare -f; \builtin alias -p; \builtin complete -p; \builtin shopt -p extglob
\builtin printf '# whole\n'; } >|@D/snapshot
""",
    # The status of the cell before, which the user's first command may ask for.
    "status": r"""
\builtin return "$1"
""",
    # $2 is the number of the rescue, $3 the status. What an interrupted bash prints as its prompt is told.
    "rescue": r"""
[[ -e @D/prompt ]] || \builtin printf %s "${PS1@P}" >|@D/prompt
\builtin printf '\e]7770;%s;E;!%s\a' "$1" "$3" >|@O
\builtin printf '\e]7770;%s;E;!%s\a' "$1" "$3" >|@E
""",
    # $2 is 0, or the number of the rescue. A "!" says that something of ours may have been printed.
    "quieten": r"""
[[ "${PS1-}" ]] && \builtin printf %s "${PS1@P}" >|@D/shown
if [[ $2 == 0 || "${PS1-}${PS0-}${PROMPT_COMMAND[*]-}" ]]; then {
[[ -v PS1 && "${PS1@a}" != *r* ]] && { \builtin declare -p PS1; \builtin unset PS1; }
[[ -v PS0 && "${PS0@a}" != *r* ]] && { \builtin declare -p PS0; \builtin unset PS0; }
[[ -v PROMPT_COMMAND && "${PROMPT_COMMAND@a}" != *r* ]] && {
\builtin declare -p PROMPT_COMMAND; \builtin unset PROMPT_COMMAND; }
} >|@D/prompts; fi
if [[ $2 != 0 || -s @D/traps || $- == *[xv]* || "${PS1-}" ]]; then
\builtin printf '\e]7770;%s;F;%s,!%s\a' "$1" "$2" "$-" >|@O
\builtin set +xv
else
\builtin printf '\e]7770;%s;F;%s,%s\a' "$1" "$2" "$-" >|@O
fi
""",
}

# Where stderr ends matters only when something may be said there to an interrupt.
_STDERR_ENDS = r"""[[ $2 == 0 && -e @D/interrupted ]] && \builtin printf '\e]7770;%s;E;\a' "$1" >|@E"""
# Who closes every descriptor closes this one too (`\builtin exec` would undo the redirection again).
_REOPEN = r"\exec <@D/commands"
# The same for one prompt that has not changed since the last cell, as most often: to parse the text of these
# commands is half of what a cell costs. @P is the prompt as `declare -p` has quoted it.
_QUIET = rf"""
{_STDERR_ENDS}
[[ /dev/fd/0 -ef @D/commands ]] || {_REOPEN}
if [[ $2 == 0 && -v PS1 && "${{PS1-}}" == @P && -z "${{PS0-}}${{PROMPT_COMMAND[*]-}}${{PS1@a}}" &&
! -s @D/traps && $- != *[xv]* ]]
then \builtin unset PS1; \builtin printf '\e]7770;%s;F;0,=%s\a' "$1" "$-" >|@O
else \builtin . @D/quieten "$@"
fi
"""
_ONE_PROMPT = re.compile(r"declare -- PS1=(.*)\n")

# On the line itself: in a file that is read, `trap -p DEBUG` shows nothing.
_KEEP_TRAPS = r"\builtin trap -p DEBUG ERR RETURN >|@D/traps; \builtin trap - DEBUG ERR RETURN; "
_CELL = (
    r""" \builtin . @D/cell <@O; { \builtin printf '\e]7770;@N;E;%s\a' "$?" >|@O; """
    rf"{_KEEP_TRAPS}\builtin . @D/quiet @N 0; }} 2>/dev/null || \builtin :"
)
_RESCUE = (
    r' { \builtin . @D/rescue @N @A "$?"; [[ -s @D/traps ]] || { '
    rf"{_KEEP_TRAPS}}}; \builtin . @D/quiet @N @A; }} 2>/dev/null || \builtin :"
)
# A function named `builtin` is in the way: posix mode finds special builtins before functions.
_UNSHADOW = r""" POSIXLY_CORRECT=1
 \unset -f builtin command unset
 \unset POSIXLY_CORRECT"""
# For reading, too: some programs ask there.
_STDERR = r" \exec 2<>@E"

_REMEMBER = r" { \builtin . @D/remember; } 2>/dev/null || \builtin :"
_WHOLE = "# whole\n"
# Seconds between two times that a shell writes down what it knows, for each megabyte of that and at least: it
# takes about a thirtieth of them.
_PAUSE_PER_MEGABYTE = 1.0
_PAUSE = 0.01
# Seconds that it may take to do so, while somebody waits for it.
_REMEMBERING = 0.5

# Its status is not that of a cell.
_STARTUP_FILE = "if [[ -r ~/.bashrc ]]; then . ~/.bashrc; fi\n\\builtin :"


# What bash says to the rest of a line of ours, of which it has thrown away the beginning: no line is named.
_CUT_LINE = re.compile(r"bash: syntax error near unexpected token `.*'\n")
# The status of what SIGINT has ended.
_INTERRUPTED = "130"


def quoted(text: str) -> str:
    """Quote a text for bash."""
    return "'" + text.replace("'", "'\\''") + "'"


class BashHandover(Handover):
    """Hands cells to one bash."""

    _status = "0"
    _flags = ""
    _is_noisy = False
    _shown = ""  # the prompt as it looked when it was last taken away
    _was_rescued = False
    _has_run = True  # a cell, since the shell wrote down what it knows
    _remembered_at = 0.0
    _pause = _PAUSE

    def prepare(self, program: Sequence[str]) -> list[str]:
        """Write the files that every cell uses; return the command line: interactive, but no line editor."""
        for name, text in _FILES.items():
            self.folder.write(name, self._filled(text).lstrip("\n") + "\n")
        self._cell = self._filled(_CELL)
        self._expect_prompts("")
        return [*program, "--noediting", "--rcfile", self.folder.file("rc"), "-i"]

    def start(self, *, personal: bool) -> None:
        """Run the user's .bashrc as a cell."""
        self._command(self._filled(_STDERR))
        self.folder.command(self.cell(self.first, _STARTUP_FILE if personal else ":"))

    def cell(self, number: int, code: str) -> str:
        """Write the cell's file, with what the last one left put back; return the line that has it read."""
        if self._was_rescued:
            self._was_rescued = False
            self.folder.take("interrupted")
            self.folder.take("prompt")  # of an end that it did not have to tell
        traps: list[str] = []
        if self._is_noisy:
            traps = restored_traps(self.folder.take("traps") or "")
        # With `set -e`, or a trap for errors, the status of the last cell would do something by itself.
        status = "0" if "e" in self._flags or any(trap.endswith(" ERR") for trap in traps) else self._status
        told = "" if status == "0" else self._filled(rf"\builtin . @D/status {status}; ")
        visible = "".join(flag for flag in "xv" if flag in self._flags)
        if traps or visible:
            # Inside of the eval, where traps take effect, and on its first line, which must stay the first.
            if visible:
                traps.append(rf"\builtin set -{visible}")
            code = f"{{ {'; '.join(traps)}; {told}}} 2>/dev/null; {code}"
            told = ""
        self.folder.write_cell(rf"{self._prompts}{told}\builtin eval {quoted(code)}" + "\n")
        line = self._line(self._cell, number)
        if self._has_run and time.monotonic() - self._remembered_at > self._pause:
            line = self._remember() + ";" + line
        self._has_run = True
        return line

    def known(self, *, is_idle: bool) -> str:
        """Return the file of what the shell knew when it was last idle; an idle one is asked anew."""
        if is_idle and self._has_run:
            self.folder.command(self._remember() + "\n")
            until = time.monotonic() + _REMEMBERING
            while not self._snapshot().endswith(_WHOLE) and time.monotonic() < until:
                time.sleep(0.001)  # a mark would be read by another thread, maybe amid the next cell's
        snapshot = self._snapshot()
        if snapshot.endswith(_WHOLE):
            self._pause = max(_PAUSE, len(snapshot) / 1e6 * _PAUSE_PER_MEGABYTE)
            self.folder.write("known", snapshot)
        return self.folder.file("known")

    def _remember(self) -> str:
        """Return the command by which the shell writes down what it knows."""
        self._has_run = False
        self._remembered_at = time.monotonic()
        self.folder.take("snapshot")
        return self._filled(_REMEMBER)

    def _snapshot(self) -> str:
        return self.folder.read("snapshot") or ""

    def ended(self, status: str) -> None:
        """Remember what the next cell sees as ``$?``."""
        self._status = status

    def ready(self, value: str, *, noisy: bool) -> None:
        """Remember the options of the shell."""
        self._is_noisy = noisy
        self._flags = value.removeprefix("=")
        if not value.startswith("=") and (prompts := self.folder.take("prompts")) is not None:
            self._expect_prompts(prompts)
            self._shown = self.folder.take("shown") or ""

    def break_off(self) -> None:
        """Have the end on stderr told, too."""
        self._was_rescued = True
        with contextlib.suppress(OSError):  # without room, the rescue alone tells it
            self.folder.write("interrupted", "")

    def rescue(self, number: int, attempt: int) -> None:
        """Have the marks printed, and what the rest of the line would have done."""
        self._was_rescued = True
        if attempt > 1:
            self._command(_UNSHADOW)
        self._command(self._filled(_RESCUE), number, attempt)

    def reopen(self) -> bytes:
        """Return the line that gives bash its FIFO back."""
        return f" {self._filled(_REOPEN)}\n".encode()

    def denoised(self, text: str, end: Ended, *, early: bool) -> tuple[str, str]:
        """Drop what bash prints when SIGINT ends a line (a newline and its prompt) or a program (a newline).

        A program that still runs may have printed behind it.
        """
        prompt = visible(self.folder.take("prompt") or self._shown)
        return self._denoised(text, end, prompt, early=early), prompt

    def _denoised(self, text: str, end: Ended, prompt: str, *, early: bool) -> str:
        if prompt:
            text = re.sub(rf"\n?{re.escape(prompt)}", "", text)
        if end.broken:
            text = _CUT_LINE.sub("", text)
        if not text.strip("\n"):
            return ""
        if not early and not end.broken and end.status != _INTERRUPTED:
            return text
        text = text.removeprefix("\n")
        return text[:-1] if text.endswith("\n\n") else text

    def _expect_prompts(self, printed: str) -> None:
        """Put these prompts back before each cell, until others are there behind one."""
        one = _ONE_PROMPT.fullmatch(printed)
        expected = one[1] if one else "''"
        self.folder.write("quiet", self._filled(_QUIET).replace("@P", expected))
        if one:
            self._prompts = f"PS1={one[1]}; "
        elif printed:
            self.folder.write("restored", printed)
            self._prompts = self._filled(r"\builtin . @D/restored; ")
        else:
            self._prompts = ""

    def _command(self, line: str, number: int = 0, attempt: int = 0) -> None:
        self.folder.command(self._line(line, number, attempt))

    def _line(self, line: str, number: int, attempt: int = 0) -> str:
        return line.replace("@N", self._nonce(number)).replace("@A", str(attempt)) + "\n"

    def _filled(self, text: str) -> str:
        return text.replace("@D", self.folder.path).replace("@O", self.stdout).replace("@E", self.stderr)

    def _nonce(self, number: int) -> str:
        return f"{self.child}.{number}"


def restored_traps(printed: str) -> list[str]:
    """Return the commands that set the traps again, each on one line, from what ``trap -p`` printed."""
    entries = re.split(r"\n(?=trap -- ')", printed.strip("\n"))
    return ["\\builtin " + entry.replace("\n", "'$'\\n''") for entry in entries if entry]
