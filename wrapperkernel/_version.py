"""The version of the library, read by the build and by kernel_info."""

__version__ = "0.1.0.dev0"
