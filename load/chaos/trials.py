"""Faults that end a deployment's topics, each on a small deployment of its own.

compacted input       what compaction has left settles exactly once; the holes in the offsets are no loss
retention             the position was removed: the worker refuses and says what is lost
topics made anew      with another number of partitions, or as many: the worker refuses and says so
upgrade and rollback  workers of two versions run side by side while events come; then the older one is put back
"""

import time
from collections.abc import Callable
from pathlib import Path
from signal import SIGTERM

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewTopic

from load.chaos import judges
from load.chaos.fleet import DRAINED, OPERATOR, Fleet, Worker
from load.chaos.ledger import HEADER, Ledger
from load.chaos.run import Plan, environment_of, make_topics, network
from load.chaos.surroundings import HOUR_S
from load.chaos.traffic import Parcel, Traffic
from load.system.deployment import Reader
from load.system.worker_process import command
from stream.events import RoundCompleted
from stream.topics import INPUTS, ROUNDS, TASKS

PARTITIONS = 2
LIMIT_S = 120.0
VOLUME = 3000
WAVES = 4
STILL_S = 5.0
LEFT = 100
#: variables that make a worker one of the version before
OLDER = {"ALLOCATOR_FAULT_OLDER": "1"}
QUIET_S = 12.0  # longer than an event waits for its task
COMPACTION = {
    "cleanup.policy": "compact", "segment.ms": "200", "min.cleanable.dirty.ratio": "0.01", "min.compaction.lag.ms": "0",
    "max.compaction.lag.ms": "500",
}  # fmt: skip
NO_COMPACTION = {"cleanup.policy": "delete", "segment.ms": "604800000", "retention.ms": "-1"}


class Failed(Exception):
    """The system did not do what it must; the message says what it did."""


class Deployment:
    """A small deployment: topics, a ledger, workers when asked for."""

    def __init__(self, bootstrap: str, folder: Path) -> None:
        plan = Plan(seed=1, partitions=PARTITIONS, workers=1, events=0, seconds=1.0)
        self.bootstrap, self.ledger, self.traffic = bootstrap, Ledger(), Traffic(1, PARTITIONS)
        self.environment = environment_of(plan, bootstrap)
        make_topics(self.environment)
        self.fleet = Fleet(self.environment, folder, 0)
        self.admin = KafkaAdminClient(bootstrap_servers=bootstrap)

    def send(self, parcels: list[Parcel]) -> None:
        """Send and wait until the broker has everything."""
        producer = KafkaProducer(bootstrap_servers=self.bootstrap, acks="all", linger_ms=10)
        sent = []
        for one in parcels:
            number = self.ledger.enter(one.kind, one.about)
            headers = [(HEADER, b"%d" % number)]
            sent.append((number, producer.send(one.topic, key=one.key, value=one.value, headers=headers)))
        producer.flush()
        for number, future in sent:
            future.get(timeout=LIMIT_S)
            self.ledger.acknowledge(number)
        producer.close()

    def volume(self) -> None:
        """Send some of the usual mix."""
        self.send(self.traffic.volume(VOLUME, time.time()))

    def work(self) -> None:
        """Let a worker apply all there is and let all deadlines pass, then drain it."""
        worker = self.fleet.start()
        rounds = Reader(self.bootstrap, (ROUNDS,), PARTITIONS)
        last, reached = judges.ends(self.bootstrap, PARTITIONS), dict[tuple[str, int], int]()
        heard = time.monotonic()

        def listen() -> None:
            nonlocal heard
            for completed in rounds.poll(0.05):
                if isinstance(completed, RoundCompleted):
                    heard = time.monotonic()
                    reached.update({(t, completed.partition): end for t, (_, end) in completed.offsets.items()})

        def applied() -> bool:
            listen()
            return worker.code is not None or all(reached.get(at, 0) >= end for at, end in last.items())

        def quiet() -> bool:
            listen()
            return time.monotonic() > heard + QUIET_S

        self.fleet.wait(applied, LIMIT_S, keeps=False)
        self.fleet.clock_file(worker.data).write_text(str(HOUR_S))
        heard = time.monotonic()
        self.fleet.wait(quiet, LIMIT_S, keeps=False)
        rounds.close()
        if worker.code is not None or worker.end(SIGTERM) != DRAINED:
            raise Failed(f"the worker ended with {worker.code}: {worker.last_words()}")

    def refuses(self, words: str, **more: str) -> str:
        """A worker that is started now must refuse with these words; returns the line."""
        worker = self.fleet.start(None, **more)
        worker.is_expected_to_end = True
        code = worker.wait(LIMIT_S)
        line = worker.said(words)
        if code != OPERATOR or line is None:
            raise Failed(f"expected a refusal ({words}), code {code}: {worker.last_words()}")
        return line

    def judge(self, is_whole: bool = True) -> str:
        """Both judges."""
        audited = judges.audit(self.environment)
        verdict = judges.check(self.environment, self.ledger, is_whole)
        if audited.violations or verdict.problems:
            raise Failed("; ".join([*audited.violations, *verdict.words][:5]))
        return f"{verdict.records} records, {verdict.judgments} judgments, 0 violations"

    def configure(self, topic: str, config: dict[str, str]) -> None:
        """Change settings of a topic."""
        done = self.admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, config)])
        if any(said != "OK" for said in done["topic"].values()):
            raise Failed(f"the broker refused {config}: {done}")

    def make_anew(self, topic: str, partitions: int) -> None:
        """Delete a topic and make it again."""
        self.admin.delete_topics([topic])
        if not self.fleet.wait(lambda: topic not in self.admin.list_topics(), LIMIT_S):
            raise Failed(f"{topic} was not deleted")
        self.admin.create_topics([NewTopic(topic, partitions, 1)])
        self.fleet.wait(lambda: topic in self.admin.list_topics(), LIMIT_S)

    def all_ends(self) -> dict[TopicPartition, int]:
        """The end of every partition of every topic that workers write, as `read_committed` readers see it."""
        consumer = KafkaConsumer(bootstrap_servers=self.bootstrap, group_id=None, isolation_level="read_committed")
        names = [name for name in self.admin.list_topics() if not name.startswith("__")]
        found = consumer.end_offsets([TopicPartition(name, number) for name in names for number in range(PARTITIONS)])
        consumer.close()
        return dict(found)

    def settled(self) -> int:
        """How many input records the broker has when it no longer removes any."""
        before, count = -1, self.stored()
        while count != before:
            time.sleep(STILL_S)
            before, count = count, self.stored()
        return count

    def stored(self) -> int:
        """How many input records the broker still has."""
        consumer = KafkaConsumer(bootstrap_servers=self.bootstrap, group_id=None, auto_offset_reset="earliest")
        places = [TopicPartition(topic, number) for topic in INPUTS for number in range(PARTITIONS)]
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        last, count = consumer.end_offsets(places), 0
        while any(consumer.position(place) < end for place, end in last.items()):
            count += sum(map(len, consumer.poll(timeout_ms=200).values()))
        consumer.close()
        return count


def compacted(deployment: Deployment) -> str:
    """Compaction has taken most of the input before a worker comes."""
    for topic in INPUTS:
        deployment.configure(topic, COMPACTION)
    deployment.send(deployment.traffic.opening(time.time()))
    for _ in range(WAVES):
        deployment.volume()
        time.sleep(1.0)  # the segment of the wave is over when the next one comes
    sent = len(deployment.ledger)
    if not deployment.fleet.wait(lambda: deployment.stored() < sent // 2, LIMIT_S):
        raise Failed(f"nothing was compacted: {deployment.stored()} of {sent} records are there")
    for topic in INPUTS:
        deployment.configure(topic, NO_COMPACTION)
    left = deployment.settled()
    deployment.work()
    return f"{left} of {sent} records were left; {deployment.judge(is_whole=False)}"


def retention(deployment: Deployment) -> str:
    """Retention has overtaken the position while no worker ran."""
    deployment.send(deployment.traffic.opening(time.time()))
    deployment.volume()
    deployment.work()
    deployment.volume()
    last = judges.ends(deployment.bootstrap, PARTITIONS)
    begin = last[TASKS, 0] - LEFT
    deployment.admin.delete_records({TopicPartition(TASKS, 0): begin})
    deployment.refuses("retention has removed")
    wanted = ["position", "accept-loss", f"--topic={TASKS}", "--partition=0", f"--to={begin}", "--yes"]
    code, said = command(wanted, judges.without_faults(deployment.environment))
    if code:
        raise Failed(f"`position accept-loss` ended with {code}: {said}")
    deployment.work()
    rounds = Reader(deployment.bootstrap, (ROUNDS,), PARTITIONS)
    stated = [completed.lost for completed in rounds.rest() if isinstance(completed, RoundCompleted) and completed.lost]
    rounds.close()
    if len(stated) != 1 or stated[0][TASKS][1] != begin:
        raise Failed(f"one round should state the loss up to {begin}, found {stated}")
    return f"refused, then told to go on: one round states the loss {stated[0]}, and the rest was applied"


def made_anew(deployment: Deployment) -> str:
    """A topic of an earlier life has another number of partitions, then as many as before."""
    deployment.send(deployment.traffic.opening(time.time()))
    deployment.volume()
    deployment.work()
    deployment.make_anew(TASKS, PARTITIONS + 1)
    first = deployment.refuses(f"has {PARTITIONS + 1} partitions, not {PARTITIONS}")
    deployment.make_anew(TASKS, PARTITIONS)
    deployment.refuses("was created anew")
    return first


def upgraded(deployment: Deployment) -> str:
    """Two workers of the version before are replaced one by one; then one of them is put back."""

    def started(**more: str) -> Worker:
        worker = deployment.fleet.start(None, **more)
        if not deployment.fleet.wait(lambda: worker.owned() or worker.code is not None, LIMIT_S, keeps=False):
            raise Failed(f"a worker got no partition: {worker.last_words()}")
        return worker

    def goes(*workers: Worker) -> None:
        """All that is sent now must be applied by these, with all of them running."""
        deployment.volume()
        last = judges.ends(deployment.bootstrap, PARTITIONS)
        rounds = Reader(deployment.bootstrap, (ROUNDS,), PARTITIONS)
        reached = dict[tuple[str, int], int]()

        def applied() -> bool:
            for completed in rounds.poll(0.05):
                if isinstance(completed, RoundCompleted):
                    reached.update({(t, completed.partition): end for t, (_, end) in completed.offsets.items()})
            return all(reached.get(at, 0) >= end for at, end in last.items())

        if not deployment.fleet.wait(applied, LIMIT_S, keeps=False):
            raise Failed("not applied: " + " ".join(worker.last_words() for worker in workers))
        rounds.close()
        for worker in workers:
            if worker.code is not None or not worker.owned():
                raise Failed(f"a worker ended with {worker.code} or owns nothing: {worker.last_words()}")

    deployment.send(deployment.traffic.opening(time.time()))
    older = [started(**OLDER), started(**OLDER)]
    goes(*older)
    newer = []
    while older:
        leaving = older.pop()
        if leaving.end(SIGTERM) != DRAINED:
            raise Failed(f"the older worker ended with {leaving.code}: {leaving.last_words()}")
        newer.append(started())
        goes(*older, *newer)
    for worker in newer:
        worker.end(SIGTERM)
    before = deployment.all_ends()
    line = deployment.refuses("this software reads up to", **OLDER)
    if deployment.all_ends() != before:
        raise Failed("the older worker has written something before it refused")
    deployment.volume()
    deployment.work()
    return f"{deployment.judge()}; put back, the older one said: {line[line.find('the state holds') :][:100]}"


Trial = Callable[[Deployment], str]
TRIALS: dict[str, Trial] = {
    "compacted input": compacted,
    "retention overtakes the position": retention,
    "topics made anew": made_anew,
    "upgrade and rollback": upgraded,
}


def attempt(trial: Trial, folder: Path) -> tuple[bool, str]:
    """Do a trial on a broker of its own; returns whether the system did what it must, and what was seen."""
    folder.mkdir(parents=True)
    with network(folder / "kafka") as net:
        deployment = Deployment(net.broker.bootstrap, folder)
        try:
            return True, trial(deployment)
        except Failed as failed:
            return False, str(failed)
        finally:
            deployment.admin.close()
            deployment.fleet.stop()
