"""The table of what the Jupyter messaging protocol obliges a kernel to do: one row per obligation.

A row's ID stands in the mark of the test that shows it, `@pytest.mark.row("S2")`; docs/protocol.md says how
rows are shown. The levels: MUST and SHOULD as the specification says them; CLIENTS, where the specification
is silent and a client in wide use depends on it; MAY, what a kernel is free to leave out; - where the text
describes without a level.
This file knows no test and no code of the library.
"""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """One obligation: its ID, how binding it is, and what it asks for."""

    id: str
    level: str
    title: str


MUST, SHOULD, CLIENTS, MAY, UNGRADED = "MUST", "SHOULD", "CLIENTS", "MAY", "-"

ROWS = {
    row.id: row
    for row in (
        # Connection file and encryption
        Row("C1", MUST, "all nine keys of the connection file are read, five sockets bound"),
        Row("C2", SHOULD, "ports as numbers or as strings"),
        Row("C3", MUST, "unknown keys of the connection file are ignored"),
        Row("C4", MUST, "every signature scheme by its name, an unknown one refused in words"),
        Row("C5", MUST, "an empty key means unsigned messages"),
        Row("C6", CLIENTS, "without a scheme, hmac-sha256"),
        Row("C7", CLIENTS, "port 0 becomes a free port, merged back into the file"),
        Row("C8", CLIENTS, "without -f, a private file in the runtime directory, removed at the end"),
        Row("C9", MUST, "only its user can read a connection file"),
        Row("C10", MUST, "the ipc transport; its sockets go, a path too long is said"),
        Row("C11", CLIENTS, "ip * is every interface"),
        Row("C12", SHOULD, "a port that is taken ends the start with a message"),
        Row("C13", MUST, "CurveZMQ on all five sockets where keys are given"),
        Row("C14", MUST, "the kernelspec says that encryption is supported"),
        # Sockets
        Row("S1", MUST, "ROUTER, ROUTER, ROUTER, XPUB, and a heartbeat"),
        Row("S2", MUST, "the whole identity prefix comes back on the reply"),
        Row("S3", CLIENTS, "a client that reconnects under its identity is answered"),
        Row("S4", CLIENTS, "sockets linger until the shutdown reply has left"),
        Row("S5", MUST, "every subscriber is greeted, not only the first"),
        Row("S6", CLIENTS, "the greeting is the first message, also during a flood"),
        Row("S7", CLIENTS, "iopub loses nothing for a client that reads late"),
        Row("S8", MUST, "no stall, however many threads send while one receives"),
        Row("S9", SHOULD, "control is served while a cell runs"),
        Row("S10", MUST, "the heartbeat answers, byte for byte, while Python holds the GIL"),
        # Wire format
        Row("W1", MUST, "the frames of a message and their order"),
        Row("W2", MUST, "the signature covers the four parts, not the buffers"),
        Row("W3", MUST, "malformed and unsigned messages are dropped, and the kernel serves on"),
        Row("W4", SHOULD, "a message sent again is not run again"),
        Row("W5", MUST, "valid JSON in UTF-8 whatever is published"),
        Row("W6", CLIENTS, "bytes as base64 without newlines, dates as ISO 8601"),
        Row("W7", SHOULD, "keys that collide as text are an error"),
        Row("W8", SHOULD, "large buffers without copies, non-contiguous ones refused"),
        Row("W9", SHOULD, "a forked child does not send on its parent's sockets"),
        Row("W10", MUST, "frames behind the content are buffers, on requests too"),
        # Header, parent header, metadata
        Row("H1", MUST, "six fields of a header; the session is new after a restart"),
        Row("H2", CLIENTS, "the fields of a header are strings"),
        Row("H3", MUST, "the parent header is the request's, verbatim; {} without one"),
        Row("H4", MUST, "output carries the parent of its own request, not of control's"),
        Row("H6", CLIENTS, "execute_reply says when the cell started"),
        Row("H7", CLIENTS, "the cell's id reaches the hook that names it"),
        Row("H8", MUST, "unknown types and fields do no harm"),
        Row("H9", SHOULD, "iopub topics name the kernel and the type"),
        # Life of a request
        Row("R1", MUST, "busy and idle around every request"),
        Row("R2", MUST, "whatever a handler raises or returns, one valid reply"),
        Row("R3", MUST, "the status of a reply and the fields that go with it"),
        Row("R4", MUST, "cells and comm messages one after another, in order"),
        Row("R5", SHOULD, "a vanished client holds up nobody"),
        Row("R6", SHOULD, "a request without its fields gets an error reply"),
        # Execute
        Row("E1", SHOULD, "defaults of fields that are missing"),
        Row("E2", MUST, "a silent cell publishes nothing but busy and idle"),
        Row("E3", MUST, "the count rises for cells that store history, and only then"),
        Row("E4", MUST, "execute_input before any output"),
        Row("E5", MUST, "every execute_reply has a count"),
        Row("E6", MUST, "an ok reply has payload and user_expressions"),
        Row("E7", MUST, "an error is both published, once, and replied"),
        Row("E8", MUST, "a traceback is a list of strings, and an error has a name"),
        Row("E9", MUST, "user expressions, each with a result or an error of its own"),
        Row("E10", MUST, "cells queued behind an error are answered without running"),
        Row("E11", MAY, "how an aborted cell is answered"),
        Row("E12", MUST, "an interrupted cell is an error, and its queue is aborted"),
        Row("E13", SHOULD, "blank code is ok, uncounted"),
        Row("E14", MAY, "payloads: page, set_next_input, edit_magic, ask_exit"),
        Row("E15", MUST, "an execute_result has text/plain and the count"),
        Row("E17", MUST, "code with any newline, tab or NUL, of any size"),
        # Other shell requests
        Row("Q1", MUST, "complete: matches replace code[cursor_start:cursor_end]"),
        Row("Q2", MUST, "cursor positions are code points"),
        Row("Q3", SHOULD, "a cursor that is missing or out of range"),
        Row("Q4", MAY, "the types of completions"),
        Row("Q5", MAY, "completion while a cell runs"),
        Row("Q6", MUST, "inspect: not found is ok, with found false"),
        Row("Q7", MAY, "two levels of detail"),
        Row("Q8", MAY, "is_complete: four answers, in time"),
        Row("Q9", MAY, "history: tail, range, search"),
        Row("Q10", MAY, "comm_info, filtered by target"),
        Row("Q11", MAY, "connect_request (deprecated) is answered with the ports"),
        Row("Q12", MUST, "kernel_info with all its fields, on shell and control"),
        Row("Q13", CLIENTS, "the versions of language and implementation are there"),
        Row("Q14", MUST, "supported_features claims nothing that is not there"),
        Row("Q15", CLIENTS, "kernel_info is fast, on control also while busy"),
        # Comms
        Row("M1", MUST, "a comm for an unknown target is closed at once"),
        Row("M2", MUST, "a message for an unknown comm does no harm"),
        Row("M3", MUST, "busy and idle around comm messages, no reply"),
        Row("M4", MUST, "buffers both ways"),
        Row("M5", SHOULD, "what a comm callback publishes has its message as parent"),
        Row("M6", CLIENTS, "the comm package's factories are ours, without IPython"),
        Row("M7", SHOULD, "shutdown closes comms"),
        # Control requests
        Row("T1", MUST, "shutdown replies on the socket that asked, then the kernel ends"),
        Row("T2", CLIENTS, "the shutdown reply is published for everybody else"),
        Row("T3", CLIENTS, "a kernel that shuts down is gone within a second"),
        Row("T4", MUST, "shutdown while a cell runs"),
        Row("T5", MUST, "restart keeps the connection file and makes a new session"),
        Row("T6", MUST, "interrupt_request ends the running cell, and is ok when idle"),
        Row("T7", MUST, "kernel_info on control"),
        Row("T9", SHOULD, "an unsupported debug_request is refused in DAP's words"),
        Row("T11", MUST, "subshells, where unsupported: no reply, and the main shell runs it"),
        Row("T12", MAY, "usage_request"),
        Row("T13", SHOULD, "control requests one at a time, in order"),
        # iopub
        Row("I1", UNGRADED, "status: busy, idle, and starting once"),
        Row("I2", UNGRADED, "iopub_welcome for each subscription"),
        Row("I3", UNGRADED, "streams in the order written, no code point split"),
        Row("I4", UNGRADED, "the first bytes at once, the rest in few messages"),
        Row("I5", UNGRADED, "display_data: MIME bundles as frontends read them"),
        Row("I6", UNGRADED, "update_display_data changes every display of its id"),
        Row("I7", UNGRADED, "clear_output always says wait"),
        Row("I8", UNGRADED, "error, execute_input, execute_result"),
        Row("I9", UNGRADED, "debug_event"),
        Row("I10", UNGRADED, "comm messages from the kernel"),
        Row("I11", UNGRADED, "publishing never raises into a hook, whenever and wherever it is done"),
        # stdin
        Row("N1", MUST, "a cell that may not ask is told so"),
        Row("N2", MUST, "only the client that asked for the cell is asked"),
        Row("N3", MUST, "input_request and input_reply"),
        Row("N4", SHOULD, "output before the question, and no answer to an earlier one"),
        Row("N5", MUST, "waiting for an answer can be interrupted"),
        Row("N6", CLIENTS, "the answer \\x04 is the end of input"),
        # Process
        Row("O1", MUST, "SIGINT while idle does nothing"),
        Row("O2", MUST, "SIGINT while busy ends the cell, also in a child process"),
        Row("O3", MUST, "a child starts with default signal dispositions"),
        Row("O4", SHOULD, "SIGTERM leaves nothing behind"),
        Row("O5", CLIENTS, "a kernel whose parent died ends"),
        Row("O7", MUST, "the kernel's stdin is never read or inherited"),
        Row("O8", SHOULD, "what the kernel's code prints does not disturb the protocol"),
        Row("O9", SHOULD, "no orphans after SIGKILL"),
        Row("O10", SHOULD, "any directory, any locale, a home that is read-only or missing"),
        # Kernelspecs
        Row("K1", UNGRADED, "names and fields of a kernelspec"),
        Row("K2", UNGRADED, "kernel_protocol_version and metadata, as practice has them"),
        Row("K3", UNGRADED, "argv as jupyter_client formats it"),
        Row("K4", UNGRADED, "the four targets of an installation"),
        Row("K5", UNGRADED, "an interrupted installation leaves the old kernelspec whole"),
        Row("K6", UNGRADED, "logos"),
    )
}
