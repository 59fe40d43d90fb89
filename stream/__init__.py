"""A streaming real-time allocator: the wire contract, the settings and the topics; below them core and shell."""

__version__ = "0.1.0"
