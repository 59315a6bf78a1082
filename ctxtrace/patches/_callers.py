"""Who starts a thread: a request, or a library that will serve many with it.

A thread that serves many requests starts empty, or the one that happened to start it would
stick to it for as long as the process lives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._compat import is_standard_library

if TYPE_CHECKING:
    from types import FrameType

INFRASTRUCTURE = (
    # The standard library's own workers and servers.
    "asyncio",
    "concurrent.futures",
    "logging",
    "multiprocessing",
    "socketserver",
    # Those of tracing libraries, which send what was recorded.
    "ctxtrace",
    "ddtrace",
    "langfuse",
    "langsmith",
    "opentelemetry",
    "prometheus_client",
    "sentry_sdk",
    # Those of frameworks and clients.
    "anyio",
    "apscheduler",
    "grpc",
    "kafka",
    "redis",
    "trio",
    "watchdog",
)

# What stands between a thread's start() and whoever called it, because it replaces start() too.
_IN_BETWEEN = (
    # What diagnose() puts over install().
    "ctxtrace.boundaries.threads",
    "ctxtrace.patches.threads",
    "ddtrace.contrib",
    "multiprocessing.dummy",
    "opentelemetry.instrumentation.threading",
    "sentry_sdk.integrations.threading",
    "wrapt",
)


def serves_many(frame: FrameType | None, infrastructure: tuple[str, ...]) -> bool:
    """Say whether a thread that is started from here is to start empty.

    Args:
        frame: Where ``start()`` was called.
        infrastructure: The packages whose threads do.

    Returns:
        Whether the first caller outside the standard library, or one of the standard library's
        servers on the way to it, is one of those. True also where there is no such caller.
    """
    while frame is not None:
        module = str(frame.f_globals.get("__name__"))
        if not _is_in(module, _IN_BETWEEN):
            if _is_in(module, infrastructure):
                return True
            if not is_standard_library(module):
                return False
        frame = frame.f_back
    return True


def _is_in(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)
