"""Measure our echo kernel side by side with other kernels; see ``python -m bench --help``.

Nothing in here is part of the library, and the library imports nothing of it.
"""
