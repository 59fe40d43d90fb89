"""The shell: Faust, Kafka, HTTP, the clock. No rule of the market.

    commands ──────────────────┐        what an operator types; `worker` alone is a command of another room
    worker ──► snapshots ──► kafka ──► process

    process     what the process says and how it ends: log, metrics, clock, exit codes
    kafka       clients, topics, one transaction a round, the transport of ranges
    snapshots   local files that make a restart quick
    worker      the process: application, partitions, rounds, takeovers
    commands    all other commands

An arrow is an import; none goes back.
"""
