"""The process behind a wrapper kernel: started, handed its cells, read, interrupted, replaced."""

from .framing import Ended
from .handover import Handover
from .kernel import ChildKernel
from .repl_kernel import ReplKernel

__all__ = ["ChildKernel", "Ended", "Handover", "ReplKernel"]
