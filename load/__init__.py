"""What tries the system: simulated people, replays, benches, faults on purpose. No worker in production uses it.

    world    people and recorded labels as a market that lives; knows the events alone
    system   a deployment from outside: its processes, its topics
    replay   the world against the system: the demo, a replay against workers that run
    chaos    every fault we can produce, and two judges
    planted  the worker that suffers them
    bench    figures against bars: of the whole system, and of shards and kernels alone
    checks   the auction against an exact solver, for longer than a test may take
    fuzz     noise through every decoder

world, system, replay and chaos speak to a deployment as anybody could, by commands and topics: they import nothing of
the worker. bench, checks and fuzz may import the core and its kernels, which they measure and judge; planted is the
worker from inside. Images and wheels contain world, system and replay alone.
"""
