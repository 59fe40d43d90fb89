"""The auditor: checks the promises from outside, by reading topics only.

`Audit` takes the records of one partition, of all topics, in any chunks; orders the inputs by the offsets
in the round records; follows what must happen with a state machine of its own; and names every record that
says otherwise. It shares no code with the core: it imports the wire contract and nothing else of this
project.

    log       records of many topics -> one round's worth of material, in order
    market    the entities as the auditor knows them
    limits    what a pool runs by, and what changes it
    inputs    is a record usable, and what must become of it
    tasks     what an event about a task, a project or a pool must bring about
    people    what an event about an annotator or an offer must bring about
    judgments what must become of a judgment record
    leases    how an offer is accepted and ends, how a task settles
    deadlines what time alone brings about
    offers    what must hold at an offer
    consensus what is published about labels and the ends of tasks
    proofs    what a round states of the worth of its offers

It deliberately does not recompute posteriors, values or prices: the need follows from the published
posterior, and rounds are recomputed elsewhere. Memory does not grow with the length of the log: open tasks
with their pairs, settled ones until their retention has passed, ids as long as the market remembers them
("never twice" needs them), and per project what each annotator has used of it.
"""

from stream.audit.log import Audit, IncompleteLog
from stream.audit.records import Record, Violation, partition_of

__all__ = ["Audit", "IncompleteLog", "Record", "Violation", "partition_of"]
