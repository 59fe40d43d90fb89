"""Files as people have them: the one reader behind `import`, `evaluate` and the Python façade.

    bytes ──text──► lines of cells ──sheet──► rows with our column names ──recording──► arrays (evaluate, Python)
    exports of tools (Label Studio, CVAT) ──────────┘          └────────────events──────► input events (import)

Reading is generous where nothing can be misunderstood (separator, capitals, byte order mark, empty lines, other names
of a column, labels as text or number), says what it assumed (`notes`), and refuses the rest in words that name line,
column, value and a right example, once for each kind of fault (`complaints`).
"""
