"""The state as rows of a log, and back."""
