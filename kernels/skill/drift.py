"""Has an annotator changed? An alarm for a fall, and how much of the past still counts.

Alarm. Let r be the probability, by the calibrated posterior of the *other* judgments (or by the truth), that
an answer is right, m0 the annotator's average accuracy in this measure (not the m of `confusion`, which looks
back with what was learned since, and would forecast r with a bias) and m1 = m0 - 0.2. The cumulative sum
(Page, 1954)

    c <- max(0, c + log (r m1 + (1 - r)(1 - m1)) / (r m0 + (1 - r)(1 - m0)))

raises an alarm at 7, after the first 20 judgments; c / 7 is the drift score. After an alarm all that was
known counts a quarter.

Forgetting. Weights are powers of two, so that statistics stay exact sums: an annotator with a memory of h
judgments starts a new *epoch* every h judgments, and a judgment of epoch e has the weight 2^e. Seen from the
present, the past halves every h judgments. A judgment belongs to the epoch of its own time: one that arrives
late with an `at` before the present epoch began gets the weight of the epoch before. The stamp the caller
keeps with a judgment is its epoch.

Choice. h is one of none (everything counts), 400 and 100. Two exponential averages of the accuracy, with
these half-lives, forecast r beside m0; h changes from 'none' only when the better of them has won 3 nats, and
not before 100 judgments.

Products are kept instead of sums of logarithms: exp(c), and the ratio of the forecasts within e^-10 and e^10.

The running numbers of this file (c, averages, their scores, epochs) follow the log; a retraction does not
rewind them.
"""

import math

from kernels.skill.confusion import weight_of
from kernels.skill.inlining import inner, kernel
from kernels.skill.skill_columns import ALONE, evidence_width

FALL = 0.2
THRESHOLD = math.exp(7.0)
"""exp(c) grows by a likelihood ratio a judgment: without a change it crosses e^7 at most once in e^7 judgments."""
ALARM_EPOCHS = 2
SLOW = 400
FAST = 100
SLOW_RATE = 1.0 - 0.5 ** (1.0 / SLOW)
FAST_RATE = 1.0 - 0.5 ** (1.0 / FAST)
WIN = math.exp(3.0)
LEAST_SCORE = math.exp(-10.0)
MOST_SCORE = math.exp(10.0)
NONE_BEFORE = 100
SETTLED = 20
REBASE = 32


@inner
def _step(average, right, rate, count):
    """One step of an exponential average of accuracy; `right` is the prior chance of a right answer."""
    both = right * average
    hit = both / (both + (1.0 - right) * (1.0 - average))
    return min(max(average + max(rate, 1.0 / (count + 7.0)) * (hit - average), 0.02), 0.98)


@inner
def watch(skills, s, mean, right):
    """Take note of an answer of seat `s`, right with probability `right`; `mean` is its accuracy so far."""
    record = skills.seats[s]
    count = record["judgments"]
    if record["cusum"] >= THRESHOLD:  # the alarm stands until the next answer
        record["cusum"] = 1.0
    if record["whole"] == 0.0:
        mean = min(max(mean, 0.02), 0.98)
        record["whole"] = mean
        record["fast"] = mean
        record["slow"] = mean
        record["fast_score"] = 1.0
        record["slow_score"] = 1.0
    whole = record["whole"]
    fast = record["fast"]
    slow = record["slow"]
    now = 1.0 / (right * whole + (1.0 - right) * (1.0 - whole))
    if count >= SETTLED:
        low = max(whole - FALL, 0.01)
        cusum = max(record["cusum"], 1.0) * (right * low + (1.0 - right) * (1.0 - low)) * now
        record["cusum"] = max(cusum, 1.0)
    if count >= NONE_BEFORE // 2:
        gained = (right * fast + (1.0 - right) * (1.0 - fast)) * now
        record["fast_score"] = min(max(record["fast_score"] * gained, LEAST_SCORE), MOST_SCORE)
        gained = (right * slow + (1.0 - right) * (1.0 - slow)) * now
        record["slow_score"] = min(max(record["slow_score"] * gained, LEAST_SCORE), MOST_SCORE)
    record["whole"] = _step(whole, right, 0.0, count)
    record["fast"] = _step(fast, right, FAST_RATE, count)
    record["slow"] = _step(slow, right, SLOW_RATE, count)
    if record["cusum"] >= THRESHOLD:
        record["whole"] = record["fast"]
        record["alarms"] += 1
        record["epoch"] += ALARM_EPOCHS
        record["epoch_judgments"] = 0
        record["epoch_at"] = record["last_at"]
    if count >= NONE_BEFORE:
        if max(record["fast_score"], record["slow_score"]) < WIN:
            record["memory"] = 0
        elif record["fast_score"] >= record["slow_score"]:
            record["memory"] = FAST
        else:
            record["memory"] = SLOW


@inner
def stamp(skills, s, at):
    """Return the epoch of a new judgment of seat `s` made at `at`, starting a new one when it is due."""
    record = skills.seats[s]
    record["epoch_judgments"] += 1
    if record["memory"] > 0 and record["epoch_judgments"] > record["memory"]:
        record["epoch"] += 1
        record["epoch_judgments"] = 1
        record["epoch_at"] = at
    if record["epoch"] - record["base"] > REBASE:
        _rebase(skills, s)
    if record["epoch"] > 0 and at < record["epoch_at"]:
        return record["epoch"] - 1
    return record["epoch"]


@kernel
def _rebase(skills, s):
    """Divide all statistics of seat `s` by a power of two before they grow out of range."""
    record = skills.seats[s]
    shift = record["epoch"] - record["base"]
    factor = weight_of(-shift)
    record["base"] = record["epoch"]
    record["doubt"] *= factor
    record[ALONE] *= factor
    start = record["offset"]
    for i in range(start, start + evidence_width(skills.models[record["model"]]["classes"])):
        skills.evidence[i] *= factor


@kernel
def drift(skills, s):
    """Drift score of seat `s`: evidence that its accuracy has fallen, as a share of the alarm threshold.

    At least 1 from an alarm to the next answer.
    """
    return math.log(max(skills.seats[s]["cusum"], 1.0)) / math.log(THRESHOLD)


@kernel
def alarms(skills, s):
    """Drift alarms raised so far for seat `s`; the caller publishes when the number grows."""
    return skills.seats[s]["alarms"]
