"""Offline studies of recorded labels with the model of production, beside what teams do without one.

Arrays in, structs out; no clock, no I/O. `allocator evaluate` and `make bench-skill` ask; no round is computed here.
"""
