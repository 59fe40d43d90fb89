"""The house: no import goes round in a circle, no two modules share a name, nothing is longer than can be read.

Exceptions are listed by name. The lists only shrink: what is mended must be struck out.
"""

import ast
import statistics
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("kernels", "stream", "load")
FILES = sorted(path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TREES = {path: ast.parse((ROOT / path).read_text(encoding="utf-8")) for path in FILES}

#: groups of modules that import one another
CIRCLES: list[set[str]] = []
#: basenames that two or more modules share
SHARED: set[str] = set()
MOST_LINES, P90_LINES, MEDIAN_LINES = 400, 330, 150
LONG_MODULES = {
    "kernels/auction/paths.py": "one algorithm with the heaps that it alone uses",
    "stream/events.py": "the wire contract, one struct after the other",
}
MOST_LINES_OF_A_FUNCTION = 60
LONG_FUNCTIONS = {
    "kernels/auction/market.py:__init__": "what a market is made of; its parameters and their meaning are half of it",
    "kernels/auction/paths.py:fill": "kernel: one loop over shared scratch, which numba would copy into helpers",
    "kernels/auction/reverse.py:reverse": "likewise",
    "kernels/auction/scaling.py:run": "likewise",
    "kernels/auction/solver.py:solve": "the entry: its parameters and their meaning are half of it",
    "kernels/auction/warm.py:round_kernel": "kernel, as above",
    "kernels/candidates.py:recall_kernel": "kernel: one loop over what each pair needs, documented",
    "kernels/skill/update.py:_count": "kernel, as above",
    "kernels/skill/update.py:_products": "kernel, as above",
    "kernels/study/recorded.py:allocate": "kernel: a market in small, played in one loop",
    "stream/core/isolation.py:isolate": "half of it says what is promised",
    "stream/core/shard.py:round": "the steps of a round in their order: to be parted",
    "stream/shell/worker/rehearsal.py:_script": "a script: one list of events after the other",
}

#: kernels of more arguments than these take tuples of them
MOST_ARGUMENTS = 8
MANY_ARGUMENTS: set[str] = set()


def name_of(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in FILES}


def imports(tree: ast.Module) -> set[str]:
    """Our modules that are imported at module level, for types alone or not, but not inside functions."""
    found: set[str] = set()
    todo: list[ast.AST] = list(tree.body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            base = node.module or ""
            found |= {name if (name := f"{base}.{alias.name}") in MODULES else base for alias in node.names}
        todo += ast.iter_child_nodes(node)
    return found & MODULES.keys()


def circles(graph: dict[str, set[str]]) -> list[set[str]]:
    """Groups of modules each of which is reached from every other (Tarjan)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[set[str]] = []

    def visit(node: str) -> None:
        order[node] = low[node] = len(order)
        stack.append(node)
        for after in sorted(graph[node]):
            if after not in order:
                visit(after)
                low[node] = min(low[node], low[after])
            elif after in stack:
                low[node] = min(low[node], order[after])
        if low[node] == order[node]:
            at = stack.index(node)
            group = set(stack[at:])
            del stack[at:]
            if len(group) > 1 or node in graph[node]:
                found.append(group)

    for node in sorted(graph):
        if node not in order:
            visit(node)
    return found


def test_no_import_goes_round_in_a_circle() -> None:
    graph = {name: imports(TREES[path]) for name, path in MODULES.items()}
    assert sum(map(len, graph.values())) > 500
    assert circles(graph) == CIRCLES


def test_a_circle_is_found_also_where_it_is_closed_for_types_alone() -> None:
    closing = ast.parse("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from stream.topics import Topic\n")
    assert imports(closing) == {"stream.topics"}
    assert imports(ast.parse("def late():\n    import stream.topics\n")) == set()
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"d"}}) == [{"b", "c"}, {"d"}]


def test_no_two_modules_share_a_name() -> None:
    places = defaultdict(list)
    for path in FILES:
        if path.stem not in ("__init__", "__main__"):
            places[path.stem].append(str(path))
    shared = {stem: found for stem, found in places.items() if len(found) > 1}
    assert shared.keys() - SHARED == set(), {stem: shared[stem] for stem in shared.keys() - SHARED}
    assert SHARED - shared.keys() == set(), "no longer shared: strike it out"


def lines_of(path: Path) -> int:
    return len((ROOT / path).read_text(encoding="utf-8").splitlines())


def test_modules_are_short() -> None:
    long = {str(path) for path in FILES if lines_of(path) > MOST_LINES}
    assert long - LONG_MODULES.keys() == set()
    assert LONG_MODULES.keys() - long == set(), "no longer long: strike it out"


@pytest.mark.parametrize("part", [".", "kernels", "load", "stream/shell"])
def test_most_modules_are_shorter(part: str) -> None:
    sizes = [lines_of(path) for path in FILES if path.is_relative_to(part) and path.stem != "__init__"]
    assert statistics.quantiles(sizes, n=10)[-1] <= P90_LINES
    assert statistics.median(sizes) <= MEDIAN_LINES


def test_functions_are_short() -> None:
    long = {
        f"{path}:{node.name}"
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > MOST_LINES_OF_A_FUNCTION
    }
    assert long - LONG_FUNCTIONS.keys() == set()
    assert LONG_FUNCTIONS.keys() - long == set(), "no longer long: strike it out"


def test_kernels_take_few_arguments() -> None:
    many = {
        f"{path}:{node.name}"
        for path, tree in TREES.items()
        if path.is_relative_to("kernels")
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and {ast.unparse(one) for one in node.decorator_list} & {"entry", "inner", "inlined", "allocating", "kernel"}
        and len(node.args.args) > MOST_ARGUMENTS
    }
    assert many - MANY_ARGUMENTS == set()
    assert MANY_ARGUMENTS - many == set(), "no longer many: strike it out"
