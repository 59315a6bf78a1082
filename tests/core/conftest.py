"""How the tests of the core are run: those that are coroutines, each in a loop of its own."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING

import pytest
from core.support import LIMIT, WeakTracer, serving

import ctxtrace

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    asyncio.run(asyncio.wait_for(pyfuncitem.obj(**arguments), LIMIT))
    return True


@pytest.fixture
def ada() -> Iterator[str]:
    """The test is a request of this user's."""
    with serving("ada"):
        yield "ada"


@pytest.fixture
def tracer() -> Iterator[WeakTracer]:
    tracer = WeakTracer()
    undo = ctxtrace.register_carrier(tracer)
    yield tracer
    undo()
