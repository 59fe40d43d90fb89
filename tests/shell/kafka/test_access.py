"""A broker that demands TLS and users: every client gets in, nobody else does, and refusals are said in words."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from kafka import KafkaProducer, TopicPartition
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    KafkaAdminClient,
    OffsetSpec,
    ResourcePattern,
    ResourceType,
)
from kafka.admin import ACLResourcePatternType as Pattern

from stream.events import PoolPaused, encode
from stream.local import LocalKafka
from stream.local.locks import Locks
from stream.security import client_arguments
from stream.settings import PREFIX, Secret, Settings, SettingsError, load
from stream.shell.commands.cli import main
from stream.shell.kafka import topic_admin
from stream.topics import ROUNDS, TASKS, dead_letters
from stream.topics import topics as wanted_topics
from tests.shell.harness import ROOT, Worker, settings_for, until

USERS = {"worker": "w0rker-secret", "operator": "0perator-secret", "auditor": "aud1tor-secret", "importer": "1mporter"}
RESOURCES = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactional id": ResourceType.TRANSACTIONAL_ID,
    "cluster": ResourceType.CLUSTER,
}
RIGHT = re.compile(r"^\| (\w+) \| ([a-z ]+?)(, prefixed)? \| `([^`]+)` \| ([A-Za-z, ]+) \|$", re.MULTILINE)

Locked = tuple[LocalKafka, Locks]


def documented_rights() -> list[tuple[str, ACL]]:
    """The table of docs/security.md as access lists."""
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    section = text[text.index("## Access lists") : text.index("## Secrets")]
    return [
        (
            user,
            ACL(
                principal=f"User:{user}",
                host="*",
                operation=ACLOperation[re.sub(r"(?<=[a-z])(?=[A-Z])", "_", operation.strip()).upper()],
                permission_type=ACLPermissionType.ALLOW,
                resource_pattern=ResourcePattern(
                    RESOURCES[kind], name, Pattern.PREFIXED if prefixed else Pattern.LITERAL
                ),
            ),
        )
        for user, kind, prefixed, name, operations in RIGHT.findall(section)
        for operation in operations.split(",")
    ]


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locked]:
    """A broker whose users have the rights that the documents name, and all topics."""
    folder = tmp_path_factory.mktemp("locked")
    locks = Locks(folder / "locks", USERS)
    with LocalKafka(folder / "kafka", locks=locks) as broker:
        settings = as_user((broker, locks), "admin", folder)
        admin: KafkaAdminClient = topic_admin.connect(settings)
        rights = documented_rights()
        assert {user for user, _ in rights} == set(USERS)
        admin.create_acls([right for _, right in rights])
        topic_admin.apply(admin, wanted_topics(settings))
        admin.close()
        yield broker, locks


def as_user(locked: Locked, user: str, folder: Path, mechanism: str = "SCRAM-SHA-512", **changes: Any) -> Settings:
    broker, locks = locked
    access = locks.settings(user, mechanism)
    return settings_for(broker.bootstrap, folder, watchdog_s=60.0, **access, **changes)


def environment(settings: Settings) -> dict[str, str]:
    given = {}
    for field in Settings.__struct_fields__:
        value = getattr(settings, field)
        if field != "market" and value != "":
            given[f"{PREFIX}{field.upper()}"] = value.reveal() if isinstance(value, Secret) else str(value)
    return given


def command(monkeypatch: pytest.MonkeyPatch, settings: Settings, *words: str) -> Result:
    for name in [name for name in os.environ if name.startswith(PREFIX) and "JAVA" not in name]:
        monkeypatch.delenv(name)
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    result = CliRunner().invoke(main, list(words))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


@pytest.mark.kafka
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_commands_get_in_by_every_mechanism_with_the_documented_rights(
    locked: Locked, mechanism: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    operator = as_user(locked, "operator", tmp_path, mechanism)
    for words in (("topics", "apply"), ("topics", "check")):
        done = command(monkeypatch, operator, *words)
        assert done.exit_code == 0, done.output
    found = json.loads(command(monkeypatch, operator, "doctor", "--json").output)
    assert [one for one in found if one["verdict"] == "wrong"] == []
    (pools,) = [one for one in found if one["check"] == "pools"]
    may_not = "not looked at: the user 'operator' may not read the changelogs"
    assert pools["found"] in (may_not, "none yet: nothing has been imported"), "whether a worker has been here before"
    assert {one["found"] for one in found if one["check"] == "access"} == {"SASL_SSL, user operator"}
    auditor = as_user(locked, "auditor", tmp_path, mechanism)
    done = command(monkeypatch, auditor, "audit", "--json")
    assert done.exit_code in (0, 1), done.output  # it looked; workers of other tests only count
    assert json.loads(done.output)["partitions"] == list(range(operator.partitions))
    assert command(monkeypatch, auditor, "why", "0-1-0").exit_code == 1  # read, and not there


@pytest.mark.kafka
def test_an_import_and_a_replay_have_the_rights_that_they_need(
    locked: Locked, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "tasks.csv"
    file.write_text("task,project\nt,j\n")
    done = command(monkeypatch, as_user(locked, "importer", tmp_path), "import", str(file), "--pool", "p",
                   "--skill", "s", "--no-wait")  # fmt: skip
    assert (done.exit_code, done.output) == (0, f"{file}: 1 task of the project j sent; not waited for\n")
    admin = as_user(locked, "admin", tmp_path)
    producer = KafkaProducer(bootstrap_servers=admin.kafka_bootstrap, **client_arguments(admin))
    producer.send(
        dead_letters(TASKS), b"{}", key=b"p",
        headers=[("__streams.errors.exception", b"x"), ("__streams.errors.topic", TASKS.encode()),
                 ("__streams.errors.offset", b"0"), ("reason", b"clock")],
    ).get(10)  # fmt: skip
    producer.close()
    operator = as_user(locked, "operator", tmp_path)
    (listed,) = command(monkeypatch, operator, "dlt", "list", "--pending", "--json").output.splitlines()
    name = json.loads(listed)["name"]
    assert command(monkeypatch, operator, "dlt", "show", name).exit_code == 0
    assert f"put back {name}" in command(monkeypatch, operator, "dlt", "replay", "--all").output
    assert command(monkeypatch, operator, "dlt", "list", "--pending", "--json").output == ""


@pytest.mark.kafka
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_a_worker_works_with_the_documented_rights(locked: Locked, mechanism: str, tmp_path: Path) -> None:
    admin = as_user(locked, "admin", tmp_path)
    worker = Worker(as_user(locked, "worker", tmp_path, mechanism), "worker").start()
    try:
        until(lambda: worker.code is not None or len(worker.owned()) == admin.partitions, 60, worker.text())
        before = committed(admin)
        producer = KafkaProducer(bootstrap_servers=admin.kafka_bootstrap, **client_arguments(admin))
        producer.send(TASKS, encode(PoolPaused(pool="p", at=1.0)), key=b"p").get(10)
        producer.close()
        until(lambda: committed(admin) > before, 20, worker.text())
        worker.signal(signal.SIGTERM)
        assert worker.wait() == 0
    finally:
        worker.kill()
    assert not any(secret in worker.text() for secret in USERS.values())


def committed(settings: Settings) -> int:
    """Offsets that the topic of rounds holds."""
    admin = topic_admin.connect(settings)
    partitions = [TopicPartition(ROUNDS, number) for number in range(settings.partitions)]
    ends = admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.LATEST))
    admin.close()
    return sum(end.offset for end in ends.values())


@pytest.mark.kafka
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_a_wrong_password_ends_every_command_with_words_and_without_the_password(
    locked: Locked, mechanism: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wrong = as_user(locked, "operator", tmp_path, mechanism)
    wrong = msgspec.structs.replace(wrong, kafka_password=Secret("n0t-it"))
    file = tmp_path / "tasks.csv"
    file.write_text("task,project\nt,j\n")
    for words in (
        ("topics", "check"),
        ("topics", "apply"),
        ("audit",),
        ("why", "0-1-0"),
        ("dlt", "list"),
        ("dlt", "replay", "--all"),
        ("import", str(file), "--pool", "p"),
    ):
        done = command(monkeypatch, wrong, *words)
        assert done.exit_code == 2, (words, done.output)
        assert "refuses the user 'operator'" in done.output
        assert "n0t-it" not in done.output
    done = command(monkeypatch, wrong, "doctor")
    assert done.exit_code == 2
    assert "refuses the user 'operator'" in done.output


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kafka_password": Secret("n0t-it")}, "refuses the user 'worker'"),
        ({"kafka_tls_ca": ""}, "is not trusted"),
    ],
)
def test_a_worker_that_is_refused_leaves_at_once_and_says_why(
    locked: Locked, changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    started = time.monotonic()
    worker = Worker(msgspec.structs.replace(as_user(locked, "worker", tmp_path), **changes), "refused").start()
    assert worker.wait() == 2
    assert said in worker.text()
    assert "n0t-it" not in worker.text()
    assert time.monotonic() - started < 15


@pytest.mark.kafka
def test_a_worker_without_a_right_leaves_as_one_that_needs_a_person(locked: Locked, tmp_path: Path) -> None:
    worker = Worker(as_user(locked, "operator", tmp_path), "no-rights").start()
    try:
        assert worker.wait(60) == 2, worker.text()
        assert "Authorization" in worker.text()
    finally:
        worker.kill()


@pytest.mark.kafka
def test_who_speaks_plainly_to_a_locked_broker_is_told_which_setting_to_look_at(
    locked: Locked, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done = command(monkeypatch, settings_for(locked[0].bootstrap, tmp_path), "topics", "check")
    assert done.exit_code == 2
    assert "ALLOCATOR_KAFKA_SECURITY_PROTOCOL=PLAINTEXT" in done.output


@pytest.mark.kafka
def test_who_speaks_tls_to_a_plain_broker_is_told_which_setting_to_look_at(
    kafka: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plain = settings_for(kafka, tmp_path, kafka_security_protocol="SSL")
    done = command(monkeypatch, plain, "topics", "check")
    assert done.exit_code == 2
    assert "SECURITY_PROTOCOL" in done.output, done.output


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}, "ALLOCATOR_KAFKA_USERNAME"),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_USERNAME": "ana"}, "ALLOCATOR_KAFKA_PASSWORD"),
        ({"KAFKA_USERNAME": "ana", "KAFKA_PASSWORD": "hidden-one"}, "expected SASL_SSL"),
        ({"KAFKA_TLS_CA": "ca.pem"}, "expected SSL or SASL_SSL"),
        ({"KAFKA_SECURITY_PROTOCOL": "TLS"}, "ALLOCATOR_KAFKA_SECURITY_PROTOCOL"),
        ({"KAFKA_SASL_MECHANISM": "GSSAPI"}, "ALLOCATOR_KAFKA_SASL_MECHANISM"),
    ],
)
def test_half_of_what_access_needs_is_refused_rather_than_ignored(variables: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named) as refused:
        load({f"{PREFIX}{name}": value for name, value in variables.items()})
    assert "hidden-one" not in str(refused.value)


def test_a_password_from_a_file_is_shown_to_nobody(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("swordfish\n")
    settings = load(
        {
            f"{PREFIX}KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            f"{PREFIX}KAFKA_USERNAME": "ana",
            f"{PREFIX}KAFKA_PASSWORD_FILE": str(tmp_path / "password"),
        }
    )
    assert settings.kafka_password.reveal() == "swordfish"
    assert "swordfish" not in f"{settings} {settings!r} {settings.kafka_password}"
    with pytest.raises(TypeError):
        msgspec.json.encode(settings)


@pytest.mark.slow
def test_no_command_takes_a_secret_as_a_flag() -> None:
    help_texts = subprocess.run(
        [sys.executable, "-c", "from stream.shell.commands.cli import COMMANDS, main\nimport click\n"
         "def walk(c, ctx):\n"
         "    for p in c.params: print(p.name, *p.opts)\n"
         "    if isinstance(c, click.Group):\n"
         "        for n in c.list_commands(ctx): walk(c.get_command(ctx, n), ctx)\n"
         "walk(main, click.Context(main))"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "--json" in help_texts
    assert not re.search("password|secret|token", help_texts, re.IGNORECASE)


def test_no_client_is_built_without_what_one_place_says_about_access() -> None:
    built = re.compile(r"\b(?:AIOKafka(?:Consumer|Producer|Client)|Kafka(?:Consumer|Producer|AdminClient))\((.{0,40})")
    place = ROOT / "stream" / "shell" / "kafka" / "clients.py"
    calls = {
        path.name: built.findall(path.read_text(encoding="utf-8"))
        for path in (ROOT / "stream" / "shell").rglob("*.py")
        if path != place
    }
    assert sum(map(len, calls.values())) >= 5
    assert [(name, call) for name, found in calls.items() for call in found if not call.startswith("**clients.")] == []
    assert set(re.findall(r"    return AIOKafka\w+\(\s+(\S+)\(settings", place.read_text())) <= {"**_common"}


def test_a_file_that_is_no_certificate_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    for name in ("ca.pem", "missing.pem"):
        settings = Settings(kafka_security_protocol="SSL", kafka_tls_ca=str(tmp_path / name))
        with pytest.raises(SettingsError, match=f"ALLOCATOR_KAFKA_TLS_CA.*{name}"):
            client_arguments(settings)
