"""A deployment as seen from outside: its commands and processes, its topics."""
