"""Settings of a worker and defaults of its markets, from ``ALLOCATOR_…`` environment variables; frozen, with bounds.

The name of a variable is ``ALLOCATOR_`` and the field's name in capitals. A secret is never a flag: a variable
``ALLOCATOR_X_FILE`` names a file that holds the value of ``ALLOCATOR_X``. A secret's type is `Secret`, which shows
itself to nobody who prints, logs or encodes the settings.
"""

import hmac
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from stream.policy import Policy, Seconds

PREFIX = "ALLOCATOR_"


class SettingsError(ValueError):
    """A variable has a value that can't be used; the message says which, what was expected and what came."""


class Secret:
    """A text that must not be shown: whoever needs it says `reveal`.

    >>> Secret("swordfish"), f"{Secret('swordfish')}", Secret("").reveal()
    (Secret(***), '***', '')
    """

    __slots__ = ("_text",)

    def __init__(self, text: str = "") -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)

    def __str__(self) -> str:
        return "***" if self._text else ""

    def __repr__(self) -> str:
        return f"Secret({self})"


class Market(Policy, frozen=True, kw_only=True):
    """What a process brings to its markets: the policy of pools that are born in it, and when an event is too early."""

    clock_ahead_s: Seconds = 300.0

    def policy(self) -> Policy:
        """The policy of a pool that is born."""
        return Policy(**{name: getattr(self, name) for name in Policy.__struct_fields__})


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a process needs to know. See the README's table of settings."""

    kafka_bootstrap: str = "127.0.0.1:9092"
    kafka_security_protocol: Annotated[str, Meta(pattern="^(PLAINTEXT|SSL|SASL_PLAINTEXT|SASL_SSL)$")] = "PLAINTEXT"
    kafka_tls_ca: str = ""
    kafka_sasl_mechanism: Annotated[str, Meta(pattern="^(PLAIN|SCRAM-SHA-256|SCRAM-SHA-512)$")] = "SCRAM-SHA-512"
    kafka_username: str = ""
    kafka_password: Secret = Secret()
    app_id: Annotated[str, Meta(pattern="^[a-zA-Z0-9._-]{1,64}$")] = "allocator"
    partitions: Annotated[int, Meta(ge=1, le=1024)] = 16
    replication: Annotated[int, Meta(ge=1, le=15)] = 3
    input_bytes: Annotated[int, Meta(ge=64 << 10, le=64 << 20)] = 1 << 20
    input_retention_days: Annotated[float, Meta(gt=0, le=36500)] = 30.0
    output_retention_days: Annotated[float, Meta(gt=0, le=36500)] = 30.0
    data_dir: str = "run"
    state_dir: str = ""
    snapshot_s: Annotated[float, Meta(ge=0, le=1e6)] = 300.0
    web_host: str = "127.0.0.1"
    web_port: Annotated[int, Meta(ge=0, le=65535)] = 6066
    log_format: Annotated[str, Meta(pattern="^(auto|json|text)$")] = "auto"
    log_level: Annotated[str, Meta(pattern="^(debug|info|warning|error)$")] = "info"
    round_events: Annotated[int, Meta(ge=1, le=1_000_000)] = 50_000
    round_ms: Seconds = 100.0
    round_gap_ms: Annotated[float, Meta(ge=0, le=10_000)] = 6.0
    session_timeout_s: Seconds = 10.0
    commit_deadline_s: Seconds = 30.0
    takeover_deadline_s: Seconds = 60.0
    watchdog_s: Seconds = 60.0
    drain_deadline_s: Seconds = 20.0
    market: Market = Market()


def _value(name: str, environ: Mapping[str, str]) -> str | None:
    path = environ.get(f"{name}_FILE")
    if path is None:
        return environ.get(name)
    if name in environ:
        raise SettingsError(f"{name} and {name}_FILE are both set: keep one of them")
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"{name}_FILE: cannot read {path!r}: {error.strerror}") from error


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from the environment.

    Parameters
    ----------
    environ : mapping, default ``os.environ``

    Raises
    ------
    SettingsError
        A variable can't be parsed or is out of bounds, or no setting has this name.
    """
    environ = os.environ if environ is None else environ
    known: dict[str, tuple[str, type[msgspec.Struct]]] = {
        f"{PREFIX}{field.upper()}": (field, Settings) for field in Settings.__struct_fields__ if field != "market"
    }
    known |= {f"{PREFIX}MARKET_{field.upper()}": (field, Market) for field in Market.__struct_fields__}
    given: dict[type[msgspec.Struct], dict[str, Any]] = {Settings: {}, Market: {}}
    for name, (field, owner) in known.items():
        text = _value(name, environ)
        if text is None:
            continue
        annotation = msgspec.structs.fields(owner)[owner.__struct_fields__.index(field)].type
        if annotation is Secret:
            given[owner][field] = Secret(text)
            continue
        try:
            given[owner][field] = msgspec.convert(text, annotation, strict=False)
        except msgspec.ValidationError as error:
            raise SettingsError(f"{name}: {error}; got {text!r}") from error
    settings = Settings(**given[Settings], market=Market(**given[Market]))
    _check_access(settings)
    return settings


def _check_access(settings: Settings) -> None:
    """What is said about access to Kafka must be whole: half of it would mean less protection than meant."""
    protocol, variable = settings.kafka_security_protocol, f"{PREFIX}KAFKA_SECURITY_PROTOCOL"
    if protocol.startswith("SASL_"):
        for name, value in (("USERNAME", settings.kafka_username), ("PASSWORD", settings.kafka_password)):
            if not value:
                raise SettingsError(f"{variable} is {protocol}: expected {PREFIX}KAFKA_{name} as well, got none")
    elif settings.kafka_username or settings.kafka_password:
        raise SettingsError(f"a Kafka user or password is set, but {variable} is {protocol}: expected SASL_SSL")
    if settings.kafka_tls_ca and not protocol.endswith("SSL"):
        raise SettingsError(f"{PREFIX}KAFKA_TLS_CA is set, but {variable} is {protocol}: expected SSL or SASL_SSL")
