"""Dead letters on a real broker: found, shown, and put back exactly once whatever happens on the way."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from kafka import KafkaProducer
from kafka.errors import KafkaError, ProducerFencedError

from stream.core.intake.partitioning import partition_of
from stream.local import LocalKafka
from stream.settings import PREFIX, Settings
from stream.shell.commands.dlt import Moment, dlt
from stream.shell.commands.letter_box import Filter
from stream.shell.commands.replay_letters import Replay
from stream.shell.kafka import topic_admin
from stream.topics import ANNOTATORS, REPLAY_OF, TASKS, dead_letters, topics
from tests.shell.harness import PARTITIONS, ROOT, make_topics, read, settings_for

pytestmark = pytest.mark.kafka

KEY = b"support"
HOME = partition_of(KEY, PARTITIONS)
OWN = [("trace", b"\xff1"), ("reason", b"a header of the sender")]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    with LocalKafka(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture
def settings(broker: LocalKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    settings = settings_for(broker.bootstrap, tmp_path)
    make_topics(settings)
    admin = topic_admin.connect(settings)
    admin.wait_for_topics([topic.name for topic in topics(settings)])  # a broker learns of them a moment later
    admin.close()
    for name in [name for name in os.environ if name.startswith(PREFIX) and "JAVA" not in name]:
        monkeypatch.delenv(name)
    for name in ("KAFKA_BOOTSTRAP", "PARTITIONS", "REPLICATION", "DATA_DIR"):
        monkeypatch.setenv(f"{PREFIX}{name}", str(getattr(settings, name.lower())))
    return settings


def bury(settings: Settings, *letters: dict[str, Any]) -> None:
    """Write dead letters as a worker does."""
    producer = KafkaProducer(bootstrap_servers=settings.kafka_bootstrap)
    for number, letter in enumerate(letters):
        topic, reason = letter.get("topic", TASKS), letter.get("reason", "malformed")
        partition = letter.get("partition", HOME)
        producer.send(
            dead_letters(topic),
            key=letter.get("key", KEY),
            value=letter.get("value", b"value %d" % number),
            partition=partition,
            timestamp_ms=letter.get("timestamp_ms"),
            headers=[
                *letter.get("headers", OWN),
                ("__streams.errors.exception", reason.encode()),
                ("__streams.errors.message", b"what was wrong"),
                ("__streams.errors.topic", letter.get("source", topic).encode()),
                ("__streams.errors.partition", b"%d" % partition),
                ("__streams.errors.offset", b"%d" % number),
                ("reason", reason.encode()),
                ("round", b"7"),
            ],
        )
    producer.flush()
    producer.close()


def run(*words: str) -> Result:
    result = CliRunner().invoke(dlt, list(words))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


def name(offset: int, topic: str = TASKS, partition: int = HOME) -> str:
    return f"{dead_letters(topic)}-{partition}-{offset}"


def values(settings: Settings, topic: str = TASKS) -> Counter[bytes]:
    """Committed values of an input topic and how often each is there."""
    return Counter(record.value for record in read(settings.kafka_bootstrap, topic))


def test_letters_are_listed_by_reason_time_pool_and_topic(settings: Settings) -> None:
    bury(
        settings,
        {"timestamp_ms": 1_000_000},
        {"reason": "clock"},
        {"key": b"other", "partition": 0},
        {"topic": ANNOTATORS, "reason": "clock"},
    )

    def listed(*options: str) -> set[str]:
        return {json.loads(line)["name"] for line in run("list", "--json", *options).output.splitlines()}

    first, second, third, fourth = name(0), name(1), name(0, partition=0), name(0, ANNOTATORS)
    if HOME == 0:
        third = name(2)
    assert listed() == {first, second, third, fourth}
    assert listed("--reason", "clock") == {second, fourth}
    assert listed("--reason", "clock", "--reason", "malformed") == {first, second, third, fourth}
    assert listed("--topic", "annotators") == {fourth}
    assert listed("--pool", "other") == {third}
    assert listed("--until", "2000") == {first}
    assert listed("--since", "1h") == {second, third, fourth}
    assert len(listed("--limit", "2")) == 2
    words = run("list")
    assert words.exit_code == 0
    assert "4 dead letters: 2 clock, 2 malformed" in words.stderr
    assert f"{first}  1970-01-01 00:16:40  malformed" in words.stdout
    assert "value 0" not in run("list", "--json").output


def test_one_letter_is_shown_with_its_reason_headers_payload_and_what_to_do(settings: Settings) -> None:
    bury(settings, {"value": b'{"type":"task_created"}', "reason": "clock"})
    words = run("show", name(0)).output
    for part in ("what was wrong", "docs/operations.md, section clock", '{"type":"task_created"}', "trace: \\xff1"):
        assert part in words
    assert "a header of the sender" in words
    shown = json.loads(run("show", name(0), "--json").output)
    assert (shown["source_topic"], shown["source_offset"], shown["replayed"]) == (TASKS, 0, False)
    assert shown["headers"] == [["trace", "\\xff1"], ["reason", "a header of the sender"]]


@pytest.mark.parametrize("wrong", ["labeling.tasks.v1-dlt-0-99", "labeling.tasks.v1-0-0", "nonsense", "-1-1"])
def test_a_letter_that_is_not_there_is_an_error_with_words(settings: Settings, wrong: str) -> None:
    for words in (("show", "--", wrong), ("replay", "--", wrong)):
        done = run(*words)
        assert done.exit_code == 1
        assert "dead letter" in done.stderr


def test_a_replayed_record_is_the_original_and_is_put_back_once(settings: Settings) -> None:
    bury(settings, {}, {"value": None}, {"reason": "clock"})
    assert run("replay", name(0), name(1)).exit_code == 0
    again = json.loads(run("replay", "--all", "--json").output)
    assert (again["replayed"], again["already"]) == ([name(2)], 2)
    assert json.loads(run("replay", "--all", "--json").output)["replayed"] == []
    found = read(settings.kafka_bootstrap, TASKS)
    assert [(r.partition, r.key, r.value) for r in found] == [
        (HOME, KEY, b"value 0"), (HOME, KEY, None), (HOME, KEY, b"value 2"),
    ]  # fmt: skip
    for offset, record in enumerate(found):
        assert list(record.headers) == [*OWN, (REPLAY_OF, name(offset).encode())]
    listed = [json.loads(line) for line in run("list", "--json").output.splitlines()]
    assert [one["replayed"] for one in listed] == [True, True, True]
    assert run("list", "--pending", "--json").output == ""


def test_a_dry_run_says_what_would_be_put_back_and_does_nothing(settings: Settings) -> None:
    bury(settings, {}, {"reason": "clock"})
    assert f"would put back {name(1)}" in run("replay", "--reason", "clock", "--dry-run").output
    assert not values(settings)


def test_a_record_that_lay_in_the_wrong_partition_goes_to_that_of_its_key(settings: Settings) -> None:
    wrong = (HOME + 1) % PARTITIONS
    bury(settings, {"partition": wrong, "reason": "wrong_partition"}, {"partition": wrong, "key": None})
    run("replay", "--all")
    assert [(r.partition, r.value) for r in read(settings.kafka_bootstrap, TASKS)] == sorted(
        [(HOME, b"value 0"), (wrong, b"value 1")]
    )


def test_a_record_that_dies_again_can_be_put_back_again(settings: Settings) -> None:
    bury(settings, {})
    run("replay", name(0))
    (once,) = read(settings.kafka_bootstrap, TASKS)
    bury(settings, {"headers": list(once.headers)})
    (second,) = json.loads(run("replay", "--all", "--json").output)["replayed"]
    assert values(settings) == {b"value 0": 2}
    assert read(settings.kafka_bootstrap, TASKS)[1].headers[-1] == (REPLAY_OF, second.encode())
    assert len(read(settings.kafka_bootstrap, TASKS)[1].headers) == len(once.headers)


@pytest.mark.parametrize(("step", "committed"), [("before", 0), ("after", 1)])
def test_a_crash_around_the_commit_neither_loses_nor_doubles(settings: Settings, step: str, committed: int) -> None:
    bury(settings, {}, {}, {})
    died = subprocess.run(
        [sys.executable, "-m", "tests.shell.commands.crashing_replay", step], cwd=ROOT, capture_output=True, check=False
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    done = json.loads(run("replay", "--all", "--json").output)
    assert (len(done["replayed"]), done["already"]) == ((0, 3) if committed else (3, 0))
    assert values(settings) == {b"value 0": 1, b"value 1": 1, b"value 2": 1}


def test_of_two_replays_at_once_the_later_fences_the_earlier(settings: Settings) -> None:
    bury(settings, {}, {})
    with Replay(settings) as early:
        chosen = list(early.chosen((), Filter()))
        with Replay(settings) as late:
            assert late.put_back(late.chosen((), Filter()), lambda letter: None).replayed == 2
        with pytest.raises((ProducerFencedError, KafkaError)):
            early.put_back(chosen, lambda letter: None)
    assert values(settings) == {b"value 0": 1, b"value 1": 1}


def test_a_letter_that_names_no_input_topic_is_left_alone(settings: Settings) -> None:
    bury(settings, {"source": "elsewhere"}, {"key": b"", "value": b"", "source": ""})
    done = run("replay", "--all")
    assert done.exit_code == 1
    assert "left alone" in done.output
    assert not values(settings)


@pytest.mark.parametrize("words", [(), ("--all", "--reason", "clock"), ("labeling.tasks.v1-dlt-0-0", "--all")])
def test_replay_wants_to_be_told_which(words: tuple[str, ...]) -> None:
    assert run("replay", *words).exit_code == 2


@pytest.mark.parametrize("text", ["yesterday", "", "2w", "12:00"])
def test_a_time_that_is_none_is_refused_with_what_was_expected(text: str) -> None:
    assert "an age like 2h" in run("list", "--since", text).output


def test_times_may_be_seconds_dates_or_ages() -> None:
    moment = Moment()
    assert moment.convert("1772352000", None, None) == moment.convert("2026-03-01T08:00", None, None)
    assert moment.convert("2026-03-01T09:00+01:00", None, None) == 1772352000
