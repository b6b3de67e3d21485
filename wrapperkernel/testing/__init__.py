"""The testing kit for kernel authors: a kernel in memory, a client over sockets, a schema."""
