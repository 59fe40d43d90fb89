"""Correctness checks that take longer than a test may (`make check-…`)."""
