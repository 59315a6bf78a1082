"""Whether a run calls a generator function, as the source of the run's own code says.

Python does not show that call, so this looks for it in what is written: inside the ``with`` block
that the run is open for, or in the body of the function that it is of.
"""

from __future__ import annotations

import ast
import functools
import linecache
from typing import TYPE_CHECKING, Union

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._scene import Scene

_With = (ast.With, ast.AsyncWith)
_Function = (ast.FunctionDef, ast.AsyncFunctionDef)
_Body = Union[ast.With, ast.AsyncWith, ast.FunctionDef, ast.AsyncFunctionDef]


# Methods that so many things have that their name says nothing.
_ANYBODYS = frozenset(name for kind in (dict, list, set, str) for name in dir(kind))


def calls(scene: Scene, position: tuple[str, int] | None, function: str) -> bool:
    """Return whether the code of a run calls a function of this name.

    Args:
        scene: What was seen where the run started.
        position: File and line of the function that it is of.
        function: The name, without those of what it is defined in.
    """
    if scene.by_block and scene.line is not None:
        place = (scene.line.code.co_filename, scene.line.number)
    elif position is not None:
        place = position
    else:
        return False
    return function in _called_in(*place, scene.by_block)


@functools.lru_cache(maxsize=256)
def _called_in(file: str, line: int, block: bool) -> frozenset[str]:
    """Return the names that are called in the block, or in the function, that begins on a line."""
    names: set[str] = set()
    for node in _bodies(file):
        if isinstance(node, _With) is block and _begins(node) <= line < _body_begins(node):
            for each in node.body:
                names.update(_names_called(each))
    return frozenset(names)


def _begins(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(each.lineno for each in decorators)])


def _body_begins(node: _Body) -> int:
    return max(_begins(node.body[0]), node.lineno + 1)  # or all is on one line


def _names_called(statement: ast.stmt) -> Iterator[str]:
    for node in ast.walk(statement):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                yield node.func.id
            elif isinstance(node.func, ast.Attribute) and node.func.attr not in _ANYBODYS:
                yield node.func.attr


@functools.lru_cache(maxsize=16)
def _bodies(file: str) -> tuple[_Body, ...]:
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):  # a template, or of another Python
        return ()
    return tuple(node for node in ast.walk(tree) if isinstance(node, (*_With, *_Function)))


def forget_all() -> None:
    """Let go of the sources."""
    _called_in.cache_clear()
    _bodies.cache_clear()
