"""The process behind a wrapper kernel: started, handed its cells, read, interrupted, replaced."""

from .handover import Handover
from .kernel import ChildKernel

__all__ = ["ChildKernel", "Handover"]
