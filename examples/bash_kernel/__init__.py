"""A kernel for bash."""

from .kernel import BashKernel

__all__ = ["BashKernel"]
