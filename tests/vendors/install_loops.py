"""How the tests of install() run those programs, and what is known of them without it."""

from __future__ import annotations

import asyncio
import importlib.metadata
import sys
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from ctxtrace.testing import record

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

LANGGRAPH_NESTS = sys.version_info >= (3, 11)
_CORE = tuple(map(int, importlib.metadata.version("langchain-core").split(".")[:3]))
LANGCHAIN_NESTS = LANGGRAPH_NESTS or (sys.version_info >= (3, 10) and _CORE >= (1, 4, 8))


def on_asyncio(main: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(main)


def on_uvloop(main: Coroutine[Any, Any, Any]) -> Any:
    return uvloop.run(main)


def named(value: Any) -> str:
    return getattr(value, "main", value).__name__


LOOPS = pytest.mark.parametrize("run", [on_asyncio, on_uvloop], ids=named)


def outcome(run: Callable[..., Any], main: Any) -> tuple[Any, list[Any]]:
    """What a program returns or raises, and what trees it makes."""
    with record("langsmith") as recording:
        try:
            result = run(main())
        except RuntimeError as error:
            result = error
    return result, recording.forest().shape
