"""What is wrong with this installation, in words that say what to do.

One function a check, each yielding findings: `fine`, `look` (worth knowing, works all the same) or `wrong`
(will not work). Checks of the broker run only when it answers. The doctor changes nothing.
"""

import asyncio
import difflib
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import CoordinatorLoadInProgressError, CoordinatorNotAvailableError, KafkaError, NotCoordinatorError

import kernels
from stream.core.saved.rows import RowError
from stream.local.folder import FOLDER_VARIABLE, hint, origin
from stream.settings import PREFIX, Market, Settings, SettingsError, load
from stream.shell.commands import doctor_pools
from stream.shell.commands.failures import PersonNeeded
from stream.shell.commands.finding import Finding
from stream.shell.kafka import topic_admin
from stream.shell.kafka.clients import AccessRefused, BrokerUnreachable
from stream.topics import INPUTS, topics

OLDEST_BROKER = (3, 0)
TRIED_BROKER = (4, 1)

# Read by stream.local, before there are settings.
OTHER_VARIABLES = (f"{PREFIX}KAFKA_JAVA", FOLDER_VARIABLE)


def examine(environ: Mapping[str, str] | None = None, whole: bool = False) -> list[Finding]:
    """Run every check that can be run.

    Parameters
    ----------
    environ : mapping, default ``os.environ``
    whole : bool
        Look at the pools of a large deployment too.
    """
    environ = os.environ if environ is None else environ
    findings = [Finding(check="deployment", verdict="fine", found=f"settings {origin(environ)}")]
    findings += check_variables(environ)
    try:
        settings = load(environ)
    except SettingsError as error:
        return [*findings, Finding(check="settings", verdict="wrong", found=str(error))]
    findings += check_folders(settings, environ)
    began = time.perf_counter()
    try:
        admin = topic_admin.connect(settings)
    except (BrokerUnreachable, AccessRefused, SettingsError) as error:
        return [*findings, Finding(check="broker", verdict="wrong", found=str(error), remedy=hint(environ) or "")]
    took_ms = (time.perf_counter() - began) * 1000
    try:
        found = f"{settings.kafka_bootstrap} answers in {took_ms:.0f} ms"
        findings.append(Finding(check="broker", verdict="fine", found=found))
        findings.append(check_access(settings))
        for check in (check_version, check_topics, check_clock, check_group):
            findings += check(admin, settings)
        if not any(finding.check == "topics" and finding.verdict == "wrong" for finding in findings):
            findings += asyncio.run(doctor_pools.examine(settings, time.time(), whole))
    except (KafkaError, PersonNeeded, RowError) as error:
        findings.append(Finding(check="broker", verdict="wrong", found=f"a question failed: {error}"))
    finally:
        admin.close()
    return findings


def check_variables(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Find variables that look like settings and are none: most are a slip of the pen."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.__struct_fields__ if name != "market"}
    known |= {f"{PREFIX}MARKET_{name.upper()}" for name in Market.__struct_fields__}
    known |= {f"{name}_FILE" for name in known} | set(OTHER_VARIABLES)
    unknown = sorted(name for name in environ if name.startswith(PREFIX) and name not in known)
    for name in unknown:
        close = difflib.get_close_matches(name, known, 1)
        yield Finding(
            check="settings",
            verdict="look",
            found=f"{name} is set and is no setting",
            remedy=f"did you mean {close[0]}?" if close else "remove it",
        )
    if not unknown:
        given = sum(name in known for name in environ)
        yield Finding(check="settings", verdict="fine", found=f"{given} given by {PREFIX}… variables")


def _writable(folder: Path) -> bool:
    """Whether files can be made in `folder`, or the folder itself where its nearest ancestor is."""
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    return nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)


def check_folders(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """See whether the data folder and the cache of compiled kernels can be written."""
    good = _writable(Path(settings.data_dir).absolute())
    yield Finding(
        check="data folder",
        verdict="fine" if good else "wrong",
        found=f"{settings.data_dir} {'can' if good else 'cannot'} be written",
        remedy="" if good else "set ALLOCATOR_DATA_DIR to a folder that this user can write",
    )
    # where Numba looks, in its order: the given folder alone, else beside the source, else the user's
    given = environ.get("NUMBA_CACHE_DIR")
    beside, of_user = Path(kernels.__path__[0]) / "__pycache__", Path.home() / ".cache" / "numba"
    places = [Path(given).absolute()] if given else [beside, of_user]
    cache = next((place for place in places if _writable(place)), None)
    yield Finding(
        check="kernel cache",
        verdict="fine" if cache else "look",
        found=f"{cache or places[0]} {'can' if cache else 'cannot'} be written",
        remedy=""
        if cache
        else "every start compiles the kernels anew (seconds); set NUMBA_CACHE_DIR to a writable folder",
    )


def check_access(settings: Settings) -> Finding:
    """Say how the way to the broker is protected; what could be read on it is worth knowing."""
    protocol = settings.kafka_security_protocol
    found = f"{protocol}, user {settings.kafka_username}" if settings.kafka_username else protocol
    readable = protocol == "SASL_PLAINTEXT" and settings.kafka_sasl_mechanism == "PLAIN"
    remote = any(
        host.rpartition(":")[0] not in ("localhost", "127.0.0.1", "[::1]")
        for host in settings.kafka_bootstrap.replace(" ", "").split(",")
    )
    if readable:
        remedy = "the password can be read on the way: set ALLOCATOR_KAFKA_SECURITY_PROTOCOL=SASL_SSL"
    elif remote and not protocol.endswith("SSL"):
        remedy = "everything can be read on the way to another machine: see docs/security.md"
    else:
        remedy = ""
    return Finding(check="access", verdict="look" if remedy else "fine", found=found, remedy=remedy)


def check_version(admin: KafkaAdminClient, settings: Settings) -> Iterator[Finding]:
    """Compare the brokers' version and number with what the allocator needs."""
    brokers = admin.describe_cluster()["brokers"]
    versions = {admin.get_broker_version_data(broker["broker_id"]).broker_version for broker in brokers}
    found = ", ".join(".".join(map(str, version)) for version in sorted(versions))
    if min(versions) < OLDEST_BROKER:
        verdict, remedy = "wrong", "transactions need Kafka 3.0 or newer: upgrade the brokers"
    elif max(versions)[:1] != TRIED_BROKER[:1]:
        verdict, remedy = "look", "tried with Kafka 4.1; other versions should work"
    else:
        verdict, remedy = "fine", ""
    yield msgspec.convert(
        {"check": "broker version", "verdict": verdict, "found": f"Kafka {found}", "remedy": remedy}, Finding
    )
    enough = len(brokers) >= settings.replication
    yield Finding(
        check="brokers",
        verdict="fine" if enough else "wrong",
        found=f"{len(brokers)}, replication is {settings.replication}",
        remedy="" if enough else f"add brokers, or set ALLOCATOR_REPLICATION={len(brokers)} for development",
    )


def check_topics(admin: KafkaAdminClient, settings: Settings) -> Iterator[Finding]:
    """Report each difference between the topics and `stream.topics`."""
    wanted = topics(settings)
    drift = topic_admin.find_drift(admin, wanted)
    missing = [one.topic for one in drift if one.what == "topic"]
    if missing:
        yield Finding(
            check="topics",
            verdict="wrong",
            found=f"{len(missing)} of {len(wanted)} are missing: {', '.join(missing)}",
            remedy="create them: allocator topics apply",
        )
    for one in (one for one in drift if one.what != "topic"):
        found = f"{one.topic}: {one.what} is {one.found}, expected {one.expected}"
        yield Finding(check="topics", verdict="wrong", found=found, remedy=one.remedy)
    if not drift:
        yield Finding(check="topics", verdict="fine", found=f"all {len(wanted)} as they should be")


def _existing(admin: KafkaAdminClient, names: list[str]) -> list[TopicPartition]:
    return [
        TopicPartition(row["name"], partition["partition_index"])
        for row in admin.describe_topics(names)
        if row["error_code"] == 0
        for partition in row["partitions"]
    ]


def check_clock(admin: KafkaAdminClient, settings: Settings) -> Iterator[Finding]:
    """Compare this machine's clock with the newest stamps of the inputs, which producers' clocks gave."""
    partitions = _existing(admin, list(INPUTS))
    newest = admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.MAX_TIMESTAMP))
    stamps = [row.timestamp for row in newest.values() if row.timestamp > 0]
    if not stamps:
        yield Finding(check="clock", verdict="fine", found="no input yet to compare this clock with")
        return
    ahead_s = max(stamps) / 1000 - time.time()
    limit_s = settings.market.clock_ahead_s
    wrong = ahead_s > limit_s
    yield Finding(
        check="clock",
        verdict="wrong" if wrong else "fine",
        found=f"the newest input is stamped {abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'}"
        " this clock",
        remedy=f"more than {limit_s:.0f} s ahead is a dead letter `clock`: synchronise the clocks of"
        " producers and workers"
        if wrong
        else "",
    )


def check_group(admin: KafkaAdminClient, settings: Settings) -> Iterator[Finding]:
    """See whether workers are members of the group and how far behind their commits are."""
    try:
        group = admin.describe_groups([settings.app_id])[settings.app_id]
        committed = admin.list_group_offsets(settings.app_id)[settings.app_id]
    except (CoordinatorNotAvailableError, CoordinatorLoadInProgressError, NotCoordinatorError):
        group, committed = {"members": [], "group_state": "none yet"}, {}
    members, state = len(group["members"]), group["group_state"]
    if not members:
        yield Finding(
            check="workers",
            verdict="look",
            found=f"no worker is in the group {settings.app_id}",
            remedy="start one: allocator worker",
        )
    elif state != "Stable":
        yield Finding(
            check="workers",
            verdict="look",
            found=f"{members} in the group {settings.app_id}, which is {state}",
            remedy="partitions are being handed over: ask again in some seconds",
        )
    else:
        yield Finding(check="workers", verdict="fine", found=f"{members} in the group {settings.app_id}")
    partitions = _existing(admin, list(INPUTS))
    starts = admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.EARLIEST))
    ends = admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.LATEST))
    lag = sum(ends[one].offset - committed.get(one, starts[one]).offset for one in partitions)
    waiting = lag > 0 and not members
    yield Finding(
        check="lag",
        verdict="look" if waiting else "fine",
        found=f"{lag} input offsets not yet acknowledged",
        remedy="input waits and nobody works on it" if waiting else "",
    )
