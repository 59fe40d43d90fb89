"""How commands end: the same cause with the same words and the same exit code in all of them.

    0    done, nothing to complain of
    1    what was asked about is not right: an unusable file or event, an unknown pool, dead letters, a violation
    2    could not look or act: a setting, no broker, a right, a missing topic, no worker; a person is needed
    130  interrupted (Ctrl-C)
    141  whoever read the output has gone (`| head`)

A command wraps its work in `plain_errors`; what is no error of these kinds is a bug and keeps its traceback.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import aiokafka.errors
import click

from stream.files.complaints import FileProblem
from stream.local import KafkaUnavailable
from stream.local.embedded import DeploymentFailed
from stream.local.folder import NoDeployment, hint
from stream.settings import SettingsError
from stream.shell.kafka.clients import AccessRefused, BrokerUnreachable

FINE, WRONG, OPERATOR, INTERRUPTED, PIPE = 0, 1, 2, 130, 141


class NotRight(Exception):
    """What was asked about is not there, or not as it must be; the message says what to do."""


class PersonNeeded(Exception):
    """The command can't look or act until a person changes something; the message says what."""


#: nothing to look closer at: the message has said all
PLAIN = (DeploymentFailed, KafkaUnavailable, NoDeployment, PersonNeeded, SettingsError)
OTHERS = (AccessRefused, BrokerUnreachable, OSError, TimeoutError, aiokafka.errors.KafkaError)
#: errors of modules that are slow to import: nobody raises them who hasn't imported those
ELSEWHERE = (
    ("stream.core.saved.rows", "RowError"),
    ("kafka.errors", "KafkaError"),
    ("stream.shell.kafka.topic_admin", "TopicsRefused"),
)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn the errors that a person can mend into one line and an exit code."""
    try:
        yield
        sys.stdout.flush()
    except (FileProblem, NotRight) as error:
        _leave(str(error), WRONG)
    except BrokenPipeError:
        # else the interpreter complains once more when it flushes on its way out
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(PIPE)
    except PLAIN as error:
        _leave(str(error), OPERATOR)
    except _others() as error:
        more = hint(os.environ) or "`allocator doctor` looks closer"
        _leave(f"{str(error) or type(error).__name__}; {more}", OPERATOR)
    except KeyboardInterrupt:
        _leave("interrupted", INTERRUPTED)


def _others() -> tuple[type[BaseException], ...]:
    loaded = (getattr(sys.modules[module], name) for module, name in ELSEWHERE if module in sys.modules)
    return (*OTHERS, *loaded)


def _leave(message: str, code: int) -> None:
    for line in message.splitlines() or [""]:
        click.echo(f"error: {line}", err=True)
    sys.exit(code)
