"""The bundled kernels, importable as ``wrapperkernel.examples``."""
