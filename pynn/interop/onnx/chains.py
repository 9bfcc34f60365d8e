"""The structure of a graph: a chain of layers, with branches that meet again."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from ...nn import layers
from ...utils.config import DEEPEST
from .columns import embed_columns
from .drafts import Affine, Draft, Step, append
from .errors import UnsupportedError
from .graph import Graph, Node
from .reading import Reading, Shape
from .sizes import Sizes
from .spans import span_readers

#: The layers of a branch, the value that it ends with, and the node where it meets others, or None at the end.
Branch = tuple[list[Step], str, Node | None]


class Chain:
    """Walks from the input to the output and reads every node on the way."""

    def __init__(self, graph: Graph, sizes: Sizes, read: Reading, output: str) -> None:
        self.graph, self.sizes, self.read, self.output = graph, sizes, read, output
        for node in graph.nodes:
            for name in dict.fromkeys(self._open(node)):
                read.consumers.setdefault(name, []).append(node)

    def steps(self, start: str) -> list[Step]:
        """Return all layers from the input on."""
        steps, end, meeting = self._walk(start, None, 0)
        if meeting is not None:
            raise UnsupportedError(f"{meeting} combines {end!r} with something that does not depend on the input")
        return steps

    def _open(self, node: Node) -> list[str]:
        """Return the inputs that are no constants and no shapes."""
        return [n for n in node.inputs if n and n not in self.graph.constants and n not in self.sizes.nodes]

    def _meets(self, node: Node) -> bool:
        """Return whether a node combines several values."""
        return len(set(self._open(node))) > 1

    def _walk(self, value: str, first: Node | None, depth: int) -> Branch:
        """Read nodes from a value on, beginning with `first`, to the end or to a node where branches meet."""
        if depth > DEEPEST:
            raise UnsupportedError(f"branches are nested more than {DEEPEST} levels deep at {value!r}")
        steps: list[Step] = []
        while value != self.output:
            users = self.read.consumers.get(value, []) if first is None else [first]
            first = None
            embedded = embed_columns(self.read, value, users)
            if embedded is not None:
                steps.append(embedded[0])
                value = embedded[1].outputs[0]
                continue
            if len(users) > 1:
                step, value = self._fork(value, users, depth)
                append(steps, step)
                continue
            if not users:
                raise UnsupportedError(f"nothing uses {value!r}, which is not the output {self.output!r}")
            if self._meets(users[0]):
                return steps, value, users[0]
            if len(self._open(users[0])) > 1:  # a value added to itself
                append(steps, _combined(users[0], [[] for _ in self._open(users[0])]))
                self.read.shapes[users[0].outputs[0]] = self.read.shapes.get(value)
                value = users[0].outputs[0]
                continue
            value = self._read(users[0], steps)
        if self.read.consumers.get(value):
            raise UnsupportedError(f"{self.read.consumers[value][0]} uses the output {value!r}")
        return steps, value, None

    def _read(self, node: Node, steps: list[Step]) -> str:
        """Read one node, or several in a row, and return the value that they give."""
        reader = span_readers(self.sizes, steps).get(node.op)
        if reader is None:
            raise UnsupportedError(f"{node}: no layer of pynn computes it")
        self.read.reached = node
        step, shape = reader(self.read, node)
        last = self.read.reached
        self.read.shapes[last.outputs[0]] = shape
        total = self.read.following(last, "Sum")
        if isinstance(step, Affine) and step.scale.size == 1 and total is not None and len(total.inputs) > 1:
            steps.append(step)  # the weight of a branch
        elif step is not None:
            append(steps, step)
        return last.outputs[0]

    def _shape(self, meeting: Node) -> Shape:
        """Return the shape of the branches' combined output."""
        shapes = [self.read.shapes.get(name) for name in self._open(meeting)]
        first = shapes[0]
        if meeting.op != "Concat" or first is None:
            return first
        channels = [None if shape is None else shape[1] for shape in shapes]
        return (*first[:1], None if None in channels else sum(filter(None, channels)), *first[2:])

    def _check_shapes(self, meeting: Node) -> None:
        """Raise UnsupportedError if the values that meet have different shapes, so that some would be repeated."""
        shapes = [shape for name in self._open(meeting) if (shape := self.read.shapes.get(name)) is not None]
        for one, other in itertools.pairwise(shapes):
            sizes = zip(one[1:], other[1:], strict=False)
            if len(one) != len(other) or any(None not in (n, m) and n != m for n, m in sizes):
                raise UnsupportedError(f"{meeting} combines values of shapes {one} and {other}; expected equal ones")

    def _fork(self, value: str, users: Sequence[Node], depth: int) -> tuple[Step, str]:
        """Read all branches from a value to where the last of them meet; return them as one layer, and its output."""
        arrived: dict[int, dict[str, list[Step]]] = {}
        waiting: list[Branch] = [
            ([], value, user) if self._meets(user) else self._walk(value, user, depth + 1) for user in users
        ]
        while waiting:
            steps, end, meeting = waiting.pop()
            if meeting is None:
                raise UnsupportedError(f"a branch from {value!r} ends at the output without meeting the others")
            ends = arrived.setdefault(id(meeting), {})
            ends[end] = steps
            if len(ends) < len(set(self._open(meeting))):
                continue
            if len(ends) < len(self._open(meeting)):
                raise UnsupportedError(f"{meeting} uses one of its inputs twice")
            del arrived[id(meeting)]
            if meeting.op != "Concat":
                self._check_shapes(meeting)
            step = _combined(
                meeting, [ends[name] for name in self._open(meeting)], len(self.read.shapes.get(end) or ())
            )
            result = meeting.outputs[0]
            self.read.shapes[result] = self._shape(meeting)
            if not arrived and not waiting:
                return step, result
            more, end, after = self._walk(result, None, depth + 1)
            waiting.append(([step, *more], end, after))
        raise UnsupportedError(f"the branches from {value!r} do not meet again")


def _combined(node: Node, branches: list[list[Step]], rank: int = 0) -> Step:
    """Return the layer that combines branches."""
    if node.op == "Concat" and node.get("axis") in (1, 1 - rank):
        inner = {str(k): branch or [Draft(layers.Identity)] for k, branch in enumerate(branches)}
        return Draft(layers.Concat, inner=inner, node=node)
    if node.op not in ("Add", "Sum"):
        raise UnsupportedError(f"{node} combines branches; expected their sum, or all as channels")
    shares = [branch[-1].scale.item() if _is_share(branch) else None for branch in branches]  # type: ignore[union-attr]
    if node.op == "Sum" and None not in shares and math.isclose(sum(shares), 1, rel_tol=1e-5):  # type: ignore[arg-type]
        inner = {str(k): branch[:-1] for k, branch in enumerate(branches)}
        return Draft(layers.Average, {"weights": shares}, inner=inner, node=node)
    first, *others = sorted(branches, key=bool, reverse=True)
    while len(others) > 1:
        *others, one, two = others
        others.append([Draft(layers.Residual, inner={"inner": one, "shortcut": two}, node=node)])
    return Draft(layers.Residual, inner={"inner": first, "shortcut": others[0]}, node=node)


def _is_share(branch: list[Step]) -> bool:
    """Return whether a branch ends with a weight."""
    last = branch[-1] if branch else None
    return isinstance(last, Affine) and last.scale.size == 1 and last.scale.item() > 0 and not last.shift.any()
