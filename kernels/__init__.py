"""Kernels: arrays in, arrays out, compiled by numba. No I/O, clock, strings, dicts; nothing of ours is imported.

Compiled code is kept on disk (`cache`) and used as long as nothing has changed of which it is made (`stamp`).
"""
