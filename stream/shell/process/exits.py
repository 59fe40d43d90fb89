"""How a worker process ends, and the one function that ends it at once.

    0   drained: the current rounds are committed and the group is left
    2   a person is needed: a setting, a right, a topic or a position; starting again would fail again
    70  crash: a commit failed, its outcome is in doubt, or nothing moves; starting again is the cure

A hard exit is always safe here. What a round changed in memory counts for nothing until its transaction is
committed, so the successor finds either all of the round or nothing of it. It is also the only sure exit:
a graceful stop after a failure can wait for ever for what the failure has broken.
"""

import logging
import os
from typing import NoReturn

from aiokafka import errors

from stream.shell.process.log_lines import Log

DRAINED = 0
OPERATOR = 2
CRASH = 70

log = Log("allocator.exit")


REFUSED = (
    errors.ClusterAuthorizationFailedError,
    errors.GroupAuthorizationFailedError,
    errors.SaslAuthenticationFailed,
    errors.TopicAuthorizationFailedError,
    errors.TransactionalIdAuthorizationFailed,
    # an input topic that `topics apply` has not made, or not yet: see docs/operations.md
    errors.UnsupportedCodecError,
)


class OperatorNeeded(Exception):
    """Something that only a person can change stops the worker; the message says what to do."""


def leave(code: int, event: str, **fields: object) -> NoReturn:
    """Log why, flush, and end this process now, without any clean-up."""
    (log.info if code == DRAINED else log.critical)(event, exit_code=code, **fields)
    for handler in logging.getLogger().handlers:
        handler.flush()
    os._exit(code)


def leave_for(error: BaseException, event: str, **fields: object) -> NoReturn:
    """End this process because of `error`, with the code that fits it."""
    code = OPERATOR if _needs_person(error) else CRASH
    leave(code, event, error=f"{type(error).__name__}: {error}", **fields)


def _needs_person(error: BaseException | None) -> bool:
    """Whether the error, or what it came from, goes away only when a person changes something."""
    return error is not None and (
        isinstance(error, (OperatorNeeded, *REFUSED)) or _needs_person(error.__cause__ or error.__context__)
    )
