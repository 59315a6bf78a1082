"""What `ctxtrace doctor` says of the libraries that are installed here, and what they do."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from contextvars import Context
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest
from langsmith import utils
from vendors.install_loops import LANGCHAIN_NESTS, LANGGRAPH_NESTS

import ctxtrace
from ctxtrace._doctor import examine
from ctxtrace._doctor._situation import TRACING, langsmith_in
from ctxtrace.patches import PLACES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHOWS = """
import json, sys, threading
from ctxtrace._doctor import examine

original = threading.Thread.start
found = examine()
text = found.render()
print(json.dumps({
    "installed": [name for name, version in found.to_dict()["packages"].items() if version],
    "imported": sorted({name.partition(".")[0] for name in sys.modules}),
    "patched": threading.Thread.start is not original,
    "threads": threading.active_count(),
}))
"""


def test_what_is_installed_is_named_and_not_imported() -> None:
    done = subprocess.run([sys.executable, "-c", SHOWS], stdout=subprocess.PIPE, check=True)
    seen = json.loads(done.stdout)
    assert {"langsmith", "langchain-core", "langgraph", "anyio"} <= set(seen["installed"])
    modules = {name.replace("-", "_") for name in seen["installed"]} | {"opentelemetry"}
    assert modules & set(seen["imported"]) == set()
    assert (seen["patched"], seen["threads"]) == (False, 1)


def test_control_what_is_installed_would_be_seen_among_what_is_imported() -> None:
    shows = SHOWS.replace("import json", "import anyio, json", 1)
    done = subprocess.run([sys.executable, "-c", shows], stdout=subprocess.PIPE, check=True)
    assert "anyio" in json.loads(done.stdout)["imported"]


def test_the_sites_are_in_the_state_that_install_then_finds() -> None:
    # LangGraph warns of LangChain's defaults on 3.9, past any filter that is put up here.
    with warnings.catch_warnings(record=True):
        for module in {place.module for place in PLACES}:
            # LangSmith's integrations need libraries that nothing else here does.
            if "integrations" not in module and find_spec(module.partition(".")[0]):
                import_module(module)
    with ctxtrace.install() as installation:
        done = installation.sites
    becomes = {"would be patched": "patched", "not installed": "absent"}
    for site in examine().sites:
        states = {each.state for each in done if each.name == site.name}
        assert becomes.get(site.state, site.state) in states, site
        assert ("patched" in states) == (site.state == "would be patched"), site


# Whether what it says of these versions is so.


def is_named(pitfall: str) -> bool:
    return pitfall in [each.name for each in examine().pitfalls]


def test_langgraph_and_langchain_are_said_to_split_where_they_do() -> None:
    # What they do is held by the controls in test_install_graphs.
    assert is_named("langgraph-before-3.11") == (not LANGGRAPH_NESTS)
    assert is_named("langchain-before-3.11") == (not LANGCHAIN_NESTS)


def test_parents_are_said_to_be_held_weakly_where_they_are() -> None:
    context = import_module("langsmith._internal._context")
    assert is_named("langsmith-weak-parents") == hasattr(context, "_PARENT_RUN_TREE_REF")


@pytest.fixture
def asked_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """LangSmith looks at its environment again, where nothing of anybody's is set."""
    for name in (*TRACING, "LANGSMITH_API_KEY", "LANGCHAIN_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    utils.get_env_var.cache_clear()
    yield
    monkeypatch.undo()
    utils.get_env_var.cache_clear()


VALUES = ["true", "True", "TRUE", " true", "1", "yes", "false", "0", "off"]


@pytest.mark.parametrize(
    "environment",
    [
        {},
        *({name: "true"} for name in TRACING),
        *({name: "true", other: "no"} for name in TRACING for other in TRACING if other != name),
        *({"LANGSMITH_TRACING": value} for value in VALUES),
    ],
    ids=lambda environment: " ".join("=".join(item) for item in environment.items()) or "nothing",
)
@pytest.mark.usefixtures("asked_anew")
def test_tracing_is_said_to_be_on_where_langsmith_traces(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    said = langsmith_in(environment).tracing
    assert (said == "on") is bool(Context().run(utils.tracing_is_enabled))


@pytest.mark.parametrize("name", ["LANGSMITH_API_KEY", "LANGCHAIN_API_KEY"])
@pytest.mark.parametrize("value", ["", "  ", "key"])
@pytest.mark.usefixtures("asked_anew")
def test_a_key_is_said_to_be_there_where_langsmith_finds_one(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    assert langsmith_in({name: value}).api_key is (utils.get_api_key(None) is not None)
