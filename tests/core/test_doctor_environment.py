"""What `ctxtrace doctor` reads from the environment, and from what installers left."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from ctxtrace._doctor._situation import (
    OpenTelemetry,
    langsmith_in,
    opentelemetry_in,
    version_of,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("environment", "tracing", "variable"),
    [
        ({}, "off", None),
        ({"LANGSMITH_TRACING": ""}, "off", None),
        ({"LANGSMITH_TRACING": "true"}, "on", "LANGSMITH_TRACING"),
        ({"LANGCHAIN_TRACING_V2": "true"}, "on", "LANGCHAIN_TRACING_V2"),
        ({"LANGCHAIN_TRACING": "true"}, "on", "LANGCHAIN_TRACING"),
        ({"LANGSMITH_TRACING": "False"}, "off", "LANGSMITH_TRACING"),
        ({"LANGSMITH_TRACING": "0"}, "off", "LANGSMITH_TRACING"),
        ({"LANGSMITH_TRACING": "True"}, "not understood", "LANGSMITH_TRACING"),
        ({"LANGSMITH_TRACING": "true "}, "not understood", "LANGSMITH_TRACING"),
        ({"LANGSMITH_TRACING": "1"}, "not understood", "LANGSMITH_TRACING"),
        (
            {"LANGSMITH_TRACING": "true", "LANGCHAIN_TRACING_V2": "false"},
            "off",
            "LANGCHAIN_TRACING_V2",
        ),
    ],
)
def test_the_first_variable_that_is_set_says_whether_langsmith_traces(
    environment: dict[str, str], tracing: str, variable: str | None
) -> None:
    said = langsmith_in(environment)
    assert (said.tracing, said.variable) == (tracing, variable)
    assert said.contradicted == (tracing != "on" and "true" in environment.values())


@pytest.fixture
def nobodys_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without a profile of LangSmith."""
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("environment", "api_key"),
    [
        ({}, False),
        ({"LANGSMITH_API_KEY": " "}, False),
        ({"LANGSMITH_API_KEY": "secret"}, True),
        ({"LANGCHAIN_API_KEY": "secret"}, True),
    ],
)
def test_a_key_is_looked_for_under_both_names(
    environment: dict[str, str], api_key: bool, nobodys_home: Path
) -> None:
    assert langsmith_in(environment).api_key is api_key


def test_a_profile_counts_as_a_key(nobodys_home: Path) -> None:
    profile = nobodys_home / ".langsmith" / "config.json"
    profile.parent.mkdir()
    profile.touch()
    assert langsmith_in({}).api_key
    assert langsmith_in({"LANGSMITH_CONFIG_FILE": str(profile)}).api_key
    assert not langsmith_in({"LANGSMITH_CONFIG_FILE": str(profile) + ".no"}).api_key


@pytest.mark.parametrize(
    ("environment", "needs_key"),
    [
        ({}, True),
        ({"LANGSMITH_ENDPOINT": "https://eu.api.smith.langchain.com"}, True),
        ({"LANGCHAIN_ENDPOINT": "https://langchain.com:443/api"}, True),
        ({"LANGSMITH_ENDPOINT": "https://notlangchain.com"}, False),
        ({"LANGSMITH_ENDPOINT": "http://localhost:1984"}, False),
        ({"LANGSMITH_ENDPOINT": "http://[no"}, False),
        ({"LANGSMITH_RUNS_ENDPOINTS": "{}"}, False),
        ({"LANGSMITH_OTEL_ENABLED": "true"}, True),
        ({"LANGSMITH_OTEL_ENABLED": "true", "LANGSMITH_OTEL_ONLY": "true"}, False),
        ({"LANGSMITH_TRACING_MODE": "otel"}, False),
    ],
)
def test_only_langchains_own_servers_need_a_key(
    environment: dict[str, str], needs_key: bool
) -> None:
    assert langsmith_in(environment).needs_key is needs_key


@pytest.mark.parametrize(
    ("environment", "as_spans"),
    [
        ({}, False),
        ({"LANGSMITH_OTEL_ENABLED": "no"}, False),
        ({"LANGSMITH_OTEL_ENABLED": "TRUE"}, True),
        ({"LANGCHAIN_OTEL_ENABLED": "1"}, True),
        ({"LANGSMITH_OTEL_ONLY": "true"}, True),
        ({"LANGSMITH_TRACING_MODE": "hybrid"}, True),
        ({"LANGSMITH_TRACING_MODE": "langsmith", "LANGSMITH_OTEL_ENABLED": "true"}, False),
    ],
)
def test_runs_are_spans_where_the_environment_asks_for_it(
    environment: dict[str, str], as_spans: bool
) -> None:
    assert langsmith_in(environment).opentelemetry is as_spans


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, OpenTelemetry()),
        ({"OTEL_SDK_DISABLED": "True "}, OpenTelemetry(disabled=True)),
        ({"OTEL_SDK_DISABLED": "1"}, OpenTelemetry()),
        ({"OTEL_TRACES_EXPORTER": "otlp, console"}, OpenTelemetry(exporters=("otlp", "console"))),
        ({"OTEL_TRACES_EXPORTER": "secret,other"}, OpenTelemetry(exporters=("another",))),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, OpenTelemetry(endpoint=True)),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x"}, OpenTelemetry(endpoint=True)),
    ],
)
def test_what_the_environment_says_to_opentelemetry(
    environment: dict[str, str], expected: OpenTelemetry
) -> None:
    assert opentelemetry_in(environment) == expected


# Installations that are damaged.


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        (b"Name: broken\nVersion: 1.2.3\n\nVersion: 4\n", "1.2.3"),
        (b"Name: broken\nVersion: 1.2\x1b]0;x\x07\n", "?"),
        (b"Name: broken\nVersion: </script>\n", "?"),
        (b"Name: broken\n", "?"),
        (b"Name: broken\nVersion: \xff\n", "?"),
        (b"", "?"),
        (None, "?"),
    ],
    ids=["sound", "control characters", "markup", "no version", "no text", "empty", "no file"],
)
def test_what_a_damaged_installation_says_of_its_version_is_not_shown(
    metadata: bytes | None, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "broken-0.dist-info"
    folder.mkdir()
    if metadata is not None:
        (folder / "METADATA").write_bytes(metadata)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert version_of("broken") == expected


def test_what_is_not_installed_has_no_version() -> None:
    assert version_of("no-such-package") is None
