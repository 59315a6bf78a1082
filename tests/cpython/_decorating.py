"""Decorate every generator in a source: in its syntax tree, before it is compiled.

A function with a ``yield`` of its own gets the decorator nearest to its ``def``, so that what
else decorates it (``@contextmanager``, say) is given the decorated function. A lambda with a
``yield``, and a generator expression, become the decorator's argument.

One kind is left alone: the generators under ``@types.coroutine``. They are awaited, not
iterated; to all who meet them they are coroutines. The decorator would take each for a
coroutine function that returns a stream, and refuse the result.

That none was overlooked is seen in the compiled code, where each generator bears a flag.
"""

from __future__ import annotations

import ast
import builtins
import importlib.util
import inspect
import sys
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Underscores at both ends: within a class, others would be mangled.
_NAME = "__ctxtrace_decorate_generator__"

_GENERATOR = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


class Decorating:
    """Compiles sources with a decorator on every generator, and counts them."""

    def __init__(self, decorator: Callable[[Any], Any]) -> None:
        self.decorated = self.coroutines = 0
        setattr(builtins, _NAME, decorator)

    def compile(
        self, source: Any, filename: str, mode: str, flags: int = 0, dont_inherit: bool = True
    ) -> CodeType:
        """Stand in for the built-in `compile`."""
        assert dont_inherit, "the flags of whoever called cannot be known here"
        tree: Any = compile(source, filename, mode, flags | ast.PyCF_ONLY_AST, dont_inherit=True)
        marker = _Marker()
        tree = ast.fix_missing_locations(marker.visit(tree))
        code = compile(tree, filename, mode, flags, dont_inherit=True)
        overlooked = set(_generators_in(code)) - marker.decorated - marker.coroutines
        assert not overlooked, f"generators without the decorator in {filename}: {overlooked}"
        self.decorated += len(marker.decorated)
        self.coroutines += len(marker.coroutines)
        return code

    def load(self, name: str) -> ModuleType:
        """Import a module with its generators decorated."""
        spec = importlib.util.find_spec(name)
        assert spec is not None, name
        assert spec.origin is not None, name
        assert name not in sys.modules, f"{name} was imported before, as it is"
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        # Not through its loader, which would take and leave bytecode in __pycache__.
        source = Path(spec.origin).read_bytes()
        exec(self.compile(source, spec.origin, "exec"), vars(module))
        return module


# What tells one place from another in a source: its name, its first line.
_Place = tuple[str, int]


class _Marker(ast.NodeTransformer):
    def __init__(self) -> None:
        self.decorated: set[_Place] = set()
        self.coroutines: set[_Place] = set()

    def visit_FunctionDef(self, node: Any) -> Any:
        # A function's first line is that of its first decorator.
        place = (node.name, min(each.lineno for each in [node, *node.decorator_list]))
        suspends = any(map(_yields, node.body))
        self.generic_visit(node)
        if not suspends:
            return node
        if any(ast.unparse(each) == "types.coroutine" for each in node.decorator_list):
            self.coroutines.add(place)
            return node
        self.decorated.add(place)
        node.decorator_list.append(ast.copy_location(ast.Name(_NAME, ast.Load()), node))
        return node

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: Any) -> Any:
        suspends = _yields(node.body)
        self.generic_visit(node)
        return self._called(node, "<lambda>") if suspends else node

    def visit_GeneratorExp(self, node: Any) -> Any:
        self.generic_visit(node)
        return self._called(node, "<genexpr>")

    def _called(self, node: Any, name: str) -> Any:
        self.decorated.add((name, node.lineno))
        call = ast.Call(ast.Name(_NAME, ast.Load()), [node], [])
        return ast.copy_location(call, node)


def _yields(node: ast.AST) -> bool:
    """Whether a node of a function's body makes that function a generator."""
    if isinstance(node, (ast.Yield, ast.YieldFrom)):
        return True
    inner: Any = ast.iter_child_nodes(node)
    if isinstance(node, _FUNCTIONS):
        # What another function's body yields is that one's. What is evaluated where it is
        # defined belongs here.
        defaults = [*node.args.defaults, *filter(None, node.args.kw_defaults)]
        inner = [*defaults, *getattr(node, "decorator_list", [])]
    return any(map(_yields, inner))


def _generators_in(code: CodeType) -> Iterator[_Place]:
    if code.co_flags & _GENERATOR:
        yield code.co_name, code.co_firstlineno
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _generators_in(constant)
