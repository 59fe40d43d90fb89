"""A worker with faults planted into it, for proofs that its successors, its neighbours or the auditor must stand.

    python -m load.planted        settings and faults (`faults`) from the environment

It is the product's worker: the same checks, kernels, rounds. When it is ready to join the group, functions of the shell
(`in_shell`) and of the core (`in_core`, `older`) are replaced by some that do damage. No installation and no image
contains this package, and nothing in the product looks for it.
"""
