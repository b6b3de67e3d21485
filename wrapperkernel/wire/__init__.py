"""Frames and messages: the wire format of the Jupyter protocol, without I/O."""
