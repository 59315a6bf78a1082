"""Small traced programs, for the tests of the recorder."""

from __future__ import annotations

import threading
from typing import Any

from langsmith import traceable


@traceable
def inner() -> None:
    pass


@traceable
def outer() -> None:
    inner()


@traceable
async def async_inner() -> None:
    pass


@traceable
async def async_outer() -> None:
    await async_inner()


def in_a_raw_thread(function: Any) -> None:
    thread = threading.Thread(target=function, name="raw")
    thread.start()
    thread.join()
