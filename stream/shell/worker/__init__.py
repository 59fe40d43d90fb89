"""The worker process, from its checks at the start to its drain.

    worker ──► app ──► partitions ──► takeover
                            └──► partition: horizon, inbox, budget, rounds
    watchdog, web: look at the partitions from outside
"""
