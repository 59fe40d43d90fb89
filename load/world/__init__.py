"""A world to try the system on: recorded labels, people who come, answer and leave, and the usual practice beside.

Knows the events of the contract and nothing else of the system.
"""
