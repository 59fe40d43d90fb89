"""Rules: what forbids that an annotator gets a task. One module a rule, with all that it is to kernels:

    TASK, PROJECT, …   fields of records that say what it asks for, and the tables it counts in
    permits            kernel: may the two have to do with each other, as far as this rule goes?
    charge             kernel, of a rule that counts: work of the two begins or counts (1), or no longer does (-1)
    WORDS              why somebody is not asked, in words

A rule that is shared by all annotators (`budget`) has no say in a pair: it limits what is offered at all. `predicate`
puts the rules together. What events set is in ``stream/core``; the auditor and the oracle of the tests write each
rule once more, on their own.
"""
