"""What comes in: from bytes to events that take effect, one pool's turn after another."""
