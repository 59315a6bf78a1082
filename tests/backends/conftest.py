"""How these tests are run: each on every backend that anyio has a task group for."""

from __future__ import annotations

import contextlib
import inspect
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from core.support import LIMIT, WeakTracer

import ctxtrace

if TYPE_CHECKING:
    from collections.abc import Iterator

BACKENDS: dict[str, dict[str, Any]] = {
    "asyncio": {"backend": "asyncio"},
    "uvloop": {"backend": "asyncio", "backend_options": {"use_uvloop": True}},
    "trio": {"backend": "trio"},
}


@pytest.fixture(params=BACKENDS, autouse=True)
def backend(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What `anyio.run` is to be told."""
    return BACKENDS[request.param]


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}

    async def main() -> None:
        with anyio.fail_after(LIMIT):
            await pyfuncitem.obj(**arguments)

    anyio.run(main, **pyfuncitem.funcargs["backend"])
    return True


@pytest.fixture
def tracer() -> Iterator[WeakTracer]:
    tracer = WeakTracer()
    undo = ctxtrace.register_carrier(tracer)
    yield tracer
    undo()


@pytest.fixture(params=[False, True], ids=["no_run", "run"])
def as_anyio(request: pytest.FixtureRequest, tracer: WeakTracer) -> Any:
    """Runs a program with anyio's group and with ours; returns what both gave, if it is the same.

    Without a current run, where ours has nothing to do, and with one.
    """

    async def both(program: Any) -> Any:
        with tracer.run() if request.param else contextlib.nullcontext():
            theirs = await program(anyio.create_task_group)
            ours = await program(ctxtrace.create_task_group)
        assert ours == theirs
        return ours

    return both
