"""Where, when and with what something was measured."""

from __future__ import annotations

import contextlib
import datetime
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGES = (
    "ctxtrace",
    "wrapt",
    "langsmith",
    "langchain-core",
    "langgraph",
    "langfuse",
    "logfire",
    "opentelemetry-api",
    "opentelemetry-sdk",
    "opentelemetry-instrumentation-threading",
    "anyio",
    "trio",
    "pytest",
)


def versions() -> dict[str, str]:
    """Return the versions of those that are installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:  # not on Linux
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in text.splitlines() if "model name" in line]
    return names[0] if names else platform.machine()


def machine() -> dict[str, Any]:
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "architecture": platform.machine(),
    }


def _git(*arguments: str) -> str:
    folder = str(Path(__file__).parent)
    command = ["git", "-c", "safe.directory=*", "-C", folder, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def commit() -> str:
    """Return the commit of the checkout, marked if something in the package was changed since."""
    try:
        found = _git("rev-parse", "--short=10", "HEAD")
        changed = _git("status", "--porcelain", "--", "../ctxtrace")
    except (OSError, subprocess.CalledProcessError):  # no git, or no checkout
        return "unknown"
    return f"{found}, changed" if changed else found


def circumstances() -> dict[str, Any]:
    return {
        "date": datetime.date.today().isoformat(),
        "commit": commit(),
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "machine": machine(),
        "versions": versions(),
    }


@contextlib.contextmanager
def on_one_core() -> Iterator[None]:
    """Keep this thread, and those that it starts in the block, on one core, where that can be."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
