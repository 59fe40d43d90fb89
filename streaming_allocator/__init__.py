"""The allocator's methods for scientists: labels from judgments, people's skills, an auction; no Kafka, no service.

    read, evaluate      label files as people have them; the model beside majority vote and usual practice
    consensus           one pass over judgments of any ids and classes: labels, confidence, people
    assign              who does what, jointly optimal to a stated gap; lists, dense arrays, SciPy sparse
    plot                reliability, and accuracy against judgments

Importing this module costs nothing and changes nothing: a function's own modules come with its first call, which loads
compiled kernels (or compiles them, once a machine). docs/python.md shows each; its examples are run as tests.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streaming_allocator.auction import Assignment, assign
    from streaming_allocator.labels_of_judgments import Consensus, Person, consensus
    from streaming_allocator.recordings import evaluate, plot, read

_WHERE = {
    "Assignment": "auction",
    "assign": "auction",
    "Consensus": "labels_of_judgments",
    "Person": "labels_of_judgments",
    "consensus": "labels_of_judgments",
    "evaluate": "recordings",
    "plot": "recordings",
    "read": "recordings",
}

__all__ = ["Assignment", "Consensus", "Person", "assign", "consensus", "evaluate", "plot", "read"]


def __getattr__(name: str) -> object:
    """Load what is asked for when it is asked for."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    from importlib import import_module  # noqa: PLC0415

    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    """The names of this module."""
    return __all__
