"""The process around a kernel: sockets, threads, signals and the command line."""
