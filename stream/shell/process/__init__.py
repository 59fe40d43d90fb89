"""What the process says, what time it is, and how it ends; every other room may use it."""
