"""Benches (`make bench-…`), with the peers they run beside them and what they are measured on."""
