"""Every fault we can produce, against a real Apache Kafka, with proof that nothing is lost or doubled.

    python -m load.chaos            (`make chaos`)

    generator ──► inputs ──► workers (killed, paused, fenced, joined, left) ──► outputs ──► auditor
        └─► ledger ─────────────────────────────────────────────────────────────────────────► ledger's check
                                                                       ▲
            broker (killed, slow, silent), disks, clocks, bad input ───┘

The seams are real ones: signals, a TCP proxy in front of the broker, a limit on the size of a process's files, and
what cannot be hit from outside is planted: every worker is one of `load.planted`. Two judges who share no code with the
worker or with each other decide: `allocator audit`, and the generator's ledger of what the broker has acknowledged. A
fault counts only when its effect was seen. Two control runs, one without fencing and one with an offer made twice, must
be found guilty: a judge who never convicts proves nothing.

    ledger      what was sent, and what must have become of it
    traffic     the events: a market that lives, in volume, and the ways in which input can be bad
    answerers   annotators who answer the offers
    sender      the thread between them and Kafka
    proxy       the network between the workers and the broker
    fleet       worker processes, restarted as an orchestrator would
    catalogue   the faults of a running deployment, each with the evidence that it bit
    schedule    which faults, in which order
    trials      faults that end a deployment's topics, each on a broker of its own
    run         one run: broker, fleet, traffic, faults, audit
"""
