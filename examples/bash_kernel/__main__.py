"""``python -m wrapperkernel.examples.bash_kernel``: what the kernelspec starts."""

from wrapperkernel import run

from .kernel import BashKernel

run(BashKernel)
