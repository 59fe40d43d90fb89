"""Noise through every decoder: ``python -m load.fuzz`` (`make fuzz`)."""
