"""Golden histories: the core of this tree and that of an older commit, fed the same bytes, must publish the same.

    this tree:  history ──turn──► `Driven` ──► digests ─┐
                   ▲     └ offers ┘                      ├─ equal?
    that tree:     the same turns ──► `Driven` ──► digests ┘

A change of structure is right when nothing that is published differs: outputs, dead letters, rows; and in the middle of
each history a successor, restored from the rows so far, takes over. ``python -m tests.golden BASE`` plays both.
"""
