"""What `ctxtrace doctor` looks at: this Python, what is installed, what the environment says.

Nothing that is looked at is imported: versions are read from what the installers left. Of the
environment only answers are kept, never a value: whether a key is there, whether tracing is on.
"""

from __future__ import annotations

import os
import platform
import re
import sys
import sysconfig
from importlib.metadata import PackageNotFoundError, distribution
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

PACKAGES = (
    "langsmith",
    "langchain-core",
    "langgraph",
    "opentelemetry-api",
    "opentelemetry-sdk",
    "opentelemetry-instrumentation-threading",
    "logfire",
    "langfuse",
    "anyio",
    "uvloop",
    "gevent",
    "fastapi",
    "starlette",
    "pytest-asyncio",
)

# In the order in which LangSmith asks for them: the first that is set decides.
TRACING = ("LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING_V2", "LANGSMITH_TRACING", "LANGCHAIN_TRACING")

# What people write who mean "no". Only "true" means "yes" to LangSmith.
_NO = frozenset({"", "0", "false", "no", "off"})

# Exporters that OpenTelemetry's own packages bring. Any other name is a value of the user's.
_EXPORTERS = ("otlp", "otlp_proto_grpc", "otlp_proto_http", "console", "zipkin", "jaeger", "none")

# PEP 440, roughly: what a terminal may be shown of a file that somebody else wrote.
_VERSION = re.compile(r"(?:[0-9]+!)?([0-9]{1,9}(?:\.[0-9]{1,9})*)[A-Za-z0-9.+_-]*")
_SAYS_VERSION = re.compile(r"^Version: *(.*?) *$", re.MULTILINE)


class LangSmith(NamedTuple):
    """What the environment says to LangSmith."""

    tracing: Literal["on", "off", "not understood"] = "off"
    """``"not understood"``: neither ``true`` nor what somebody writes who means no."""

    variable: str | None = None
    """The variable that decides it."""

    contradicted: bool = False
    """Whether another of these variables says ``true``, and is not looked at."""

    api_key: bool = False

    needs_key: bool = True
    """Whether runs go to LangChain's own servers, which take none without a key."""

    opentelemetry: bool = False
    """Whether runs are sent as spans, alone or as well."""


class OpenTelemetry(NamedTuple):
    """What the environment says to OpenTelemetry."""

    disabled: bool = False

    exporters: tuple[str, ...] = ()
    """Those of the known names that it has; ``"another"`` for all others."""

    endpoint: bool = False


class Situation(NamedTuple):
    """All that a pitfall may depend on."""

    python: tuple[int, int]
    packages: Mapping[str, str]
    """Versions of what is installed, by the name it is installed under."""

    langsmith: LangSmith = LangSmith()
    opentelemetry: OpenTelemetry = OpenTelemetry()
    python_version: str = ""
    implementation: str = "CPython"
    free_threaded: bool = False
    threads_inherit_context: bool = False
    """Whether a thread starts in a copy of its starter's context, as it may from 3.14 on."""

    system: str = ""
    machine: str = ""

    def has(self, *packages: str) -> bool:
        """Whether any of them is installed."""
        return any(package in self.packages for package in packages)

    def at_least(self, package: str, bound: str) -> bool:
        """Whether it is installed, in this version or a later one."""
        there, wanted = _release(self.packages.get(package, "")), _release(bound)
        return there is not None and wanted is not None and there >= wanted

    def below(self, package: str, bound: str) -> bool:
        """Whether it is installed, in a version before this one."""
        there, wanted = _release(self.packages.get(package, "")), _release(bound)
        return there is not None and wanted is not None and there < wanted


def look() -> Situation:
    """Look at this process, as it is now."""
    found = ((package, version_of(package)) for package in PACKAGES)
    return Situation(
        python=sys.version_info[:2],
        packages={package: version for package, version in found if version is not None},
        langsmith=langsmith_in(os.environ),
        opentelemetry=opentelemetry_in(os.environ),
        python_version=platform.python_version(),
        implementation=platform.python_implementation(),
        free_threaded=bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        threads_inherit_context=bool(getattr(sys.flags, "thread_inherit_context", False)),
        system=sys.platform,
        machine=platform.machine(),
    )


def version_of(package: str) -> str | None:
    """Return the version that is installed: ``"?"`` if it is no version, None if none is."""
    # Not by its `version`: where an installation broke off, each Python fails in a way of its own.
    try:
        found = distribution(package)
        metadata = found.read_text("METADATA") or found.read_text("PKG-INFO") or ""
    except PackageNotFoundError:
        return None
    except UnicodeDecodeError:
        return "?"
    said = _SAYS_VERSION.search(metadata)
    return said[1] if said and _VERSION.fullmatch(said[1]) else "?"


def langsmith_in(environment: Mapping[str, str]) -> LangSmith:
    said = {name: environment.get(name, "") for name in TRACING}
    variable = next((name for name, value in said.items() if value.strip()), None)
    value = "" if variable is None else said[variable]
    mode = _value_of(environment, "TRACING_MODE").lower()
    only_spans = mode == "otel" or (not mode and _is_true(environment, "OTEL_ONLY"))
    return LangSmith(
        tracing=(
            "on" if value == "true" else "off" if value.strip().lower() in _NO else "not understood"
        ),
        variable=variable,
        contradicted=value != "true" and "true" in said.values(),
        api_key=bool(_value_of(environment, "API_KEY")) or _has_profile(environment),
        needs_key=not only_spans and _sends_to_langchain(environment),
        opentelemetry=only_spans
        or mode == "hybrid"
        or (not mode and _is_true(environment, "OTEL_ENABLED")),
    )


def _value_of(environment: Mapping[str, str], name: str) -> str:
    for namespace in ("LANGSMITH", "LANGCHAIN"):
        value = environment.get(f"{namespace}_{name}", "").strip()
        if value:
            return value
    return ""


def _is_true(environment: Mapping[str, str], name: str) -> bool:
    return _value_of(environment, name).lower() in ("1", "true")


def _has_profile(environment: Mapping[str, str]) -> bool:
    # Whether it has a key is not looked at: it is full of credentials.
    path = environment.get("LANGSMITH_CONFIG_FILE") or os.path.join("~", ".langsmith/config.json")
    return os.path.isfile(os.path.expanduser(path))


def _sends_to_langchain(environment: Mapping[str, str]) -> bool:
    if environment.get("LANGSMITH_RUNS_ENDPOINTS"):
        return False  # which has the keys in it
    endpoint = _value_of(environment, "ENDPOINT")
    if not endpoint:
        return True
    try:
        host = urlsplit(endpoint).hostname or ""
    except ValueError:
        return False
    return host == "langchain.com" or host.endswith(".langchain.com")


def opentelemetry_in(environment: Mapping[str, str]) -> OpenTelemetry:
    named = environment.get("OTEL_TRACES_EXPORTER", "").split(",")
    names = [name.strip() for name in named if name.strip()]
    return OpenTelemetry(
        disabled=environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true",
        exporters=tuple(dict.fromkeys(name if name in _EXPORTERS else "another" for name in names)),
        endpoint=any(
            environment.get(f"OTEL_EXPORTER_OTLP_{which}ENDPOINT") for which in ("", "TRACES_")
        ),
    )


def _release(version: str) -> tuple[int, ...] | None:
    """Return what counts of a version here: 1.4 is 1.4.0, and a pre-release its release."""
    found = _VERSION.fullmatch(version)
    if found is None:
        return None
    numbers = [int(number) for number in found[1].split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)
