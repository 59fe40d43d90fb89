"""Commands of `allocator`; `cli` knows where each is.

A command's module is named after it, with `_command` where the name is Python's or another module's. What several
commands share, or what is more than one file, stands beside: `failures` (how they end), `topic_reader`, `state`,
`fate`, `standing`, `history`, `letter_box`.
"""
