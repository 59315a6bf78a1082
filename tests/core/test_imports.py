"""What importing ctxtrace brings in, and which way imports point inside it."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import ctxtrace

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(ctxtrace.__file__).parent

# Each may import what stands before it, and its own parts.
ORDER = [
    "_compat",
    "_errors",
    "carriers",
    "_drive",
    "_function",
    "_overlay",
    "_snapshot",
    "boundaries",
    "lifecycle",
    "patches",
    "testing",
    "diagnosis",
    "pytest_plugin",
    "_demo",
    "_instrumentor",
    "_terminal",
    "_reporting",
    "_run",
    "_spawned",
    "_doctor",
    "cli",
    "__main__",
]

VENDORS = {
    "anyio",
    "langchain",
    "langchain_core",
    "langgraph",
    "langfuse",
    "langsmith",
    "opentelemetry",
    "pytest",
    "_pytest",
    "trio",
    "uvloop",
}

# Where a vendor may be imported. In carriers, by the modules that are one vendor's each.
KNOW_VENDORS = {"_demo", "carriers", "patches", "pytest_plugin", "testing"}

# What is for anyio, which is no tracer: it is imported, and nothing else, when called.
KNOW_ANYIO = {
    "boundaries/_memory_streams.py",
    "boundaries/groups.py",
    "boundaries/memory_streams.py",
    "lifecycle/flushing.py",
}


def in_a_new_interpreter(code: str) -> str:
    # Coverage would start there too, and import what it needs.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    return subprocess.run(
        [sys.executable, "-I", "-c", textwrap.dedent(code)],
        env=env,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout.strip()


def test_importing_ctxtrace_imports_nothing_of_weight() -> None:
    heavy = sorted({*VENDORS, "asyncio", "exceptiongroup", "typing", "wrapt"})
    assert (
        in_a_new_interpreter(
            f"""
            import sys
            before = set(sys.modules)
            import ctxtrace
            new = {{name.partition(".")[0] for name in set(sys.modules) - before}}
            print(*sorted(new & set({heavy})))
            """
        )
        == ""
    )


def test_using_every_public_name_imports_no_vendor() -> None:
    assert (
        in_a_new_interpreter(
            f"""
            import sys
            before = set(sys.modules)
            from ctxtrace import *
            new = {{name.partition(".")[0] for name in set(sys.modules) - before}}
            print(*sorted(new & {VENDORS}))
            """
        )
        == ""
    )


@pytest.mark.parametrize("name", ctxtrace.__all__)
def test_a_public_name_resolves_and_says_where_it_is_found(name: str) -> None:
    found = getattr(ctxtrace, name)
    assert found.__module__ == "ctxtrace"
    assert found.__name__ == name
    assert found.__doc__


def test_dir_shows_every_public_name_before_any_was_used() -> None:
    shown = in_a_new_interpreter("import ctxtrace; print(*dir(ctxtrace))").split()
    assert set(ctxtrace.__all__) <= set(shown)


def test_all_is_sorted_and_without_repetition() -> None:
    assert ctxtrace.__all__ == sorted(set(ctxtrace.__all__))


def test_type_checkers_see_every_public_name() -> None:
    (block,) = (
        node
        for node in ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8")).body
        if isinstance(node, ast.If)
    )
    names = [
        alias.asname or alias.name
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    assert sorted(names) == ctxtrace.__all__


def test_a_star_import_brings_exactly_the_public_names() -> None:
    brought = in_a_new_interpreter(
        """
        space = {}
        exec("from ctxtrace import *", space)
        print(*sorted(set(space) - {"__builtins__"}))
        """
    )
    assert brought.split() == ctxtrace.__all__


def test_an_unknown_name_is_an_attribute_error_that_names_it() -> None:
    with pytest.raises(AttributeError, match="module 'ctxtrace' has no attribute 'no_such_name'"):
        ctxtrace.no_such_name  # noqa: B018


# Which way imports point.


def files() -> list[str]:
    return sorted(
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if path.name != "__init__.py" or path.parent != PACKAGE
    )


def part_of(file: str) -> str:
    return file.partition("/")[0].partition(".")[0]


def imported_by(file: str) -> Iterator[str]:
    """Yield the full names of all modules a file imports, late and for types only too."""
    package = ["ctxtrace", *Path(file).parent.parts]
    for node in ast.walk(ast.parse((PACKAGE / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            # What is taken from the package itself may be a part of it.
            for alias in node.names:
                yield f"{module}.{alias.name}" if module == "ctxtrace" else module


@pytest.mark.parametrize("file", files())
def test_imports_inside_the_package_point_one_way(file: str) -> None:
    part = part_of(file)
    assert part in ORDER, f"say in ORDER where {part} stands"
    below = ORDER[: ORDER.index(part) + 1]
    for module in imported_by(file):
        if module == "ctxtrace":
            wanted = "the public names"
            allowed = part in ("testing", "pytest_plugin", "_demo", "cli")
        elif module.startswith("ctxtrace."):
            wanted = module.split(".")[1]
            allowed = wanted in below or wanted in ("__version__",)
        else:
            continue
        assert allowed, f"{file} imports {wanted}"


@pytest.mark.parametrize("file", files())
def test_only_the_parts_that_know_a_vendor_import_one(file: str) -> None:
    if part_of(file) in KNOW_VENDORS and file != "carriers/__init__.py":
        return
    allowed = {"anyio"} if file in KNOW_ANYIO else set()
    assert VENDORS & {module.partition(".")[0] for module in imported_by(file)} == allowed
