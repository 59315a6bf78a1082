"""What `ctxtrace doctor` says of made-up installations, and what it keeps to itself."""

from __future__ import annotations

import json
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from ctxtrace import _doctor, patches
from ctxtrace._compat import is_standard_library
from ctxtrace._doctor import Findings, examine, findings
from ctxtrace._doctor._pitfalls import OLDEST, PITFALLS
from ctxtrace._doctor._situation import (
    PACKAGES,
    LangSmith,
    OpenTelemetry,
    Situation,
)
from ctxtrace.cli import main

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "doctor.md"


def on(python: str, *installed: str, **said: Any) -> Situation:
    """On "3.10", with "langgraph 1.2.22" and others installed; what else is said of it."""
    major, minor = map(int, python.split("."))
    packages = dict(each.split() for each in installed)
    assert set(packages) <= set(PACKAGES)
    return Situation((major, minor), packages, **said)


def named(found: Findings) -> set[str]:
    return {pitfall.name for pitfall in found.pitfalls}


BARE = on("3.13")
TRACING_ON = LangSmith("on", "LANGSMITH_TRACING", api_key=True)
KEYLESS = TRACING_ON._replace(api_key=False)
UNCLEAR = LangSmith("not understood", "LANGSMITH_TRACING")
CONTRADICTED = LangSmith(contradicted=True)
AS_SPANS = LangSmith(opentelemetry=True)
DISABLED = OpenTelemetry(disabled=True)

LANGSMITH, SDK = "langsmith 0.5", "opentelemetry-sdk 1.40.0"

# Of each pitfall: where it is, and what lies just beside.
EDGES: list[tuple[str, list[Situation], list[Situation]]] = [
    *(
        (
            f"{package}-too-old",
            [on("3.13", f"{package} {below}")],
            [on("3.13", f"{package} {version}") for version in (bound, "99", "?")],
        )
        for package, below, bound in (
            ("langsmith", "0.4.26", "0.4.27"),
            ("langchain-core", "0.3.74", "0.3.75"),
            ("langgraph", "0.6.6", "0.6.7"),
            ("opentelemetry-api", "1.33.9", "1.34"),
            ("anyio", "4.8.0", "4.9"),
        )
    ),
    (
        "untested-python",
        [on("3.14"), on("3.13", implementation="PyPy"), on("3.13", free_threaded=True)],
        [on("3.13"), on("3.9")],
    ),
    (
        "langsmith-tracing-not-understood",
        [on("3.13", LANGSMITH, langsmith=UNCLEAR)],
        [on("3.13", langsmith=UNCLEAR), on("3.13", LANGSMITH)],
    ),
    (
        "langsmith-tracing-contradicted",
        [on("3.13", LANGSMITH, langsmith=CONTRADICTED)],
        [on("3.13", langsmith=CONTRADICTED), on("3.13", LANGSMITH)],
    ),
    (
        "langsmith-without-key",
        [on("3.13", LANGSMITH, langsmith=KEYLESS)],
        [
            on("3.13", langsmith=KEYLESS),
            on("3.13", LANGSMITH, langsmith=TRACING_ON),
            on("3.13", LANGSMITH, langsmith=KEYLESS._replace(tracing="off")),
            on("3.13", LANGSMITH, langsmith=KEYLESS._replace(needs_key=False)),
        ],
    ),
    (
        "opentelemetry-disabled",
        [on("3.13", SDK, opentelemetry=DISABLED)],
        [on("3.13", SDK), on("3.13", opentelemetry=DISABLED)],
    ),
    (
        "langsmith-as-spans",
        [on("3.13", LANGSMITH, SDK, langsmith=AS_SPANS)],
        [
            on("3.13", LANGSMITH, SDK),
            on("3.13", LANGSMITH, langsmith=AS_SPANS),
            on("3.13", SDK, langsmith=AS_SPANS),
        ],
    ),
    (
        "several-tracers",
        [
            on("3.13", LANGSMITH, SDK, langsmith=TRACING_ON),
            on("3.13", SDK, "logfire 4.0.0", "langfuse 5.0.0"),
        ],
        [
            on("3.13", LANGSMITH, SDK),
            on("3.13", LANGSMITH, SDK, langsmith=TRACING_ON, opentelemetry=DISABLED),
            on("3.13", LANGSMITH, langsmith=TRACING_ON),
            on("3.13", SDK, "logfire 4.0.0"),
        ],
    ),
    (
        "langgraph-before-3.11",
        [on("3.10", "langgraph 1.2.22"), on("3.9", "langgraph 0.6.11")],
        [on("3.11", "langgraph 1.2.22"), on("3.10")],
    ),
    (
        "langchain-before-3.11",
        [
            on("3.9", "langchain-core 1.4.8"),
            on("3.10", "langchain-core 1.4.7"),
            on("3.10", "langchain-core 0.3.86"),
        ],
        [
            on("3.10", "langchain-core 1.4.8"),
            on("3.10", "langchain-core 1.10.0"),
            on("3.11", "langchain-core 1.4.7"),
            on("3.9"),
        ],
    ),
    ("threads-inherit-context", [on("3.14", threads_inherit_context=True)], [on("3.14")]),
    (
        "langsmith-weak-parents",
        [on("3.13", "langsmith 0.7.30"), on("3.9", "langsmith 1")],
        [on("3.13", "langsmith 0.7.29"), on("3.13", "langsmith 0.7"), on("3.13")],
    ),
    ("langsmith-streams", [on("3.13", LANGSMITH)], [on("3.13", SDK)]),
    ("streams-in-responses", [on("3.13", "fastapi 0.1"), on("3.13", "starlette 1.0")], [BARE]),
    (
        "threading-instrumentor",
        [on("3.13", SDK, "opentelemetry-instrumentation-threading 0.66b1")],
        [on("3.13", SDK)],
    ),
    (
        "uvloop-before-3.11",
        [on("3.10", "uvloop 0.23.0")],
        [on("3.11", "uvloop 0.23.0"), on("3.10")],
    ),
    ("gevent", [on("3.13", "gevent 26.9.0")], [BARE]),
    (
        "pytest-asyncio-fixtures",
        [on("3.9", "pytest-asyncio 1.0.0")],
        [on("3.9", "pytest-asyncio 1.1.0"), on("3.10", "pytest-asyncio 1.0.0")],
    ),
]


@pytest.mark.parametrize(("name", "there", "beside"), EDGES, ids=[edge[0] for edge in EDGES])
def test_a_pitfall_is_named_where_it_is_and_not_beside(
    name: str, there: list[Situation], beside: list[Situation]
) -> None:
    assert [name in named(findings(each)) for each in there] == [True] * len(there)
    assert [name in named(findings(each)) for each in beside] == [False] * len(beside)


def test_every_pitfall_has_its_edges_looked_at() -> None:
    assert [edge[0] for edge in EDGES] == [pitfall.name for pitfall in PITFALLS]


@pytest.mark.parametrize(
    ("version", "is_late"),
    [
        ("0.7.30", True),
        ("0.7.30.0", True),
        ("0.7.30rc1", True),
        ("0.7.30+cu121", True),
        ("0.8", True),
        ("1", True),
        ("2026.1", True),
        ("0.7.29.post1", False),
        ("0.7.3", False),
        ("0.7", False),
        ("?", False),
        ("", False),
    ],
)
def test_versions_are_compared_by_their_numbers(version: str, is_late: bool) -> None:
    assert Situation((3, 13), {"langsmith": version}).at_least("langsmith", "0.7.30") == is_late


def test_of_a_version_that_cannot_be_read_nothing_is_said() -> None:
    unreadable = on("3.13", "langsmith ?")
    assert not unreadable.at_least("langsmith", "0.4.27")
    assert not unreadable.below("langsmith", "0.4.27")
    assert unreadable.has("langsmith")


def test_the_oldest_versions_are_those_of_the_package() -> None:
    declared = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (extra,) = re.findall(r"^all = \[\n(.*?)^\]", declared, re.MULTILINE | re.DOTALL)
    assert dict(re.findall(r'"([\w-]+)>=([\d.]+)"', extra)) == OLDEST


def test_the_newest_python_is_that_of_the_package() -> None:
    declared = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    pythons = re.findall(r"Python :: 3\.(\d+)", declared)
    newest = max(map(int, pythons))
    assert named(findings(on(f"3.{newest}"))) == set()
    assert named(findings(on(f"3.{newest + 1}"))) == {"untested-python"}


@pytest.mark.parametrize("pitfall", PITFALLS, ids=lambda pitfall: pitfall.name)
def test_a_pitfall_leads_to_a_page_that_is_there(pitfall: Any) -> None:
    path, _, anchor = pitfall.page.partition("#")
    page = ROOT / _doctor.PAGES / path
    assert page.is_file()
    if anchor:
        headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        slugs = [re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings]
        assert anchor in slugs


def test_the_page_lists_every_pitfall_under_what_it_does_to_the_exit_status() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for needs_attention, heading in ((True, "needs attention"), (False, "is good to know")):
        section = text.partition(f"## What {heading}\n")[2].partition("\n## ")[0]
        cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
        names = [name for cell in cells for name in re.findall(r"`(.*?)`", cell)]
        expected = [each.name for each in PITFALLS if each.needs_attention is needs_attention]
        assert sorted(names) == sorted(expected)


# What install() would change.


def test_every_place_is_in_a_library_whose_version_is_looked_at_or_in_the_standard_library() -> (
    None
):
    assert set(_doctor._LIBRARIES.values()) <= set(PACKAGES)
    for top in {place.module.partition(".")[0] for place in patches.PLACES}:
        if top not in _doctor._LIBRARIES:
            import_module(top)  # before Python 3.10 only what is imported can be told
            assert is_standard_library(top)


def test_a_site_of_the_standard_library_would_be_patched_wherever_it_is_needed() -> None:
    states = {site.name: site.state for site in findings(BARE).sites}
    assert set(states) == set(patches.SITES)
    always = {"thread_pools", "threads", "timers", "multiprocessing_pools"}
    assert {states[name] for name in always} == {"would be patched"}
    assert "would be patched" not in {states[name] for name in set(states) - always - {"asyncio"}}


def test_every_site_would_be_patched_or_is_not_needed_where_every_library_is_installed() -> None:
    everything = BARE._replace(packages=dict.fromkeys(PACKAGES, "99"))
    for site in findings(everything).sites:
        needless = [place.needless for place in patches.PLACES if place.site == site.name]
        assert site.state == ("not needed" if all(needless) else "would be patched")
        assert site.detail == needless[0]


@pytest.mark.parametrize(
    ("version", "state"), [("0.7.29", "not needed"), ("0.7.30", "would be patched")]
)
def test_parents_are_named_again_only_where_contexts_hold_them_weakly(
    version: str, state: str
) -> None:
    sites = findings(on("3.13", f"langsmith {version}")).sites
    assert {site.name: site.state for site in sites}["langsmith_parents"] == state


# What it says, and keeps to itself.

BROKEN = on("3.10", "langgraph 1.2.22", "langsmith 0.14.17", "gevent 26.9.0")
SOUND = on("3.13", "langsmith 0.14.17")


@pytest.mark.parametrize(("seen", "status"), [(BROKEN, 1), (SOUND, 0), (BARE, 0)])
def test_the_exit_status_says_whether_something_needs_attention(
    seen: Situation,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(_doctor, "look", lambda: seen)
    assert main(["doctor"]) == status
    text = capsys.readouterr().out
    assert ("Nothing needs attention." in text) == (not status)
    assert main(["doctor", "--json"]) == status
    assert json.loads(capsys.readouterr().out)["needs_attention"] is bool(status)


@pytest.mark.parametrize("seen", [BROKEN, SOUND, BARE])
def test_the_data_has_all_that_the_text_says(seen: Situation) -> None:
    found = findings(seen, "0.1.0")
    data, text = found.to_dict(), " ".join(found.render().split())
    assert json.loads(json.dumps(data)) == data
    for pitfall in data["pitfalls"]:
        assert all(pitfall[key] in text for key in ("name", "what", "do", "page"))
    for package, version in data["packages"].items():
        assert (f" {package} {version} " in text) == (version is not None)
    assert all(site["name"] in text and site["detail"] in text for site in data["sites"])


def test_what_needs_attention_comes_before_advice() -> None:
    found = findings(on("3.14", threads_inherit_context=True))
    names = [pitfall.name for pitfall in found.pitfalls]
    assert names == ["threads-inherit-context", "untested-python"]
    text = found.render()
    assert text.index(names[0]) < text.index(names[1])


def test_without_colours_the_text_is_printable_ascii_of_at_most_88_columns() -> None:
    text = findings(BROKEN).render()
    assert all(line.isascii() and line.isprintable() for line in text.split("\n"))
    assert max(map(len, text.split("\n"))) <= 88
    in_colour = findings(BROKEN).render(color=True)
    assert re.sub(r"\x1b\[[0-9;]*m", "", in_colour) == text != in_colour


def test_nothing_of_the_environment_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = {
        "LANGSMITH_TRACING": "hush-tracing",
        "LANGSMITH_API_KEY": "hush-key",
        "LANGSMITH_ENDPOINT": "https://hush-user:hush-word@hush-host.example",
        "LANGSMITH_PROJECT": "hush-project",
        "LANGSMITH_TRACING_MODE": "hush-mode",
        "LANGSMITH_CONFIG_FILE": "/hush/profile.json",
        "OTEL_TRACES_EXPORTER": "hush-exporter",
        "OTEL_SDK_DISABLED": "hush-disabled",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "https://hush-user:hush-word@hush-host.example",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=hush-header",
        "HOME": str(tmp_path / "hush-home"),
        "HOSTNAME": "hush-machine",
        "USER": "hush-name",
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    found = examine()
    assert found.situation.langsmith.api_key
    assert found.situation.opentelemetry.endpoint
    for shown in (found.render(), json.dumps(found.to_dict())):
        assert "hush" not in shown
        for path in (sys.prefix, sys.base_prefix, str(tmp_path), str(ROOT)):
            assert path not in shown


def test_it_says_what_this_process_is() -> None:
    python = examine().to_dict()["python"]
    assert python["version"].startswith("{}.{}.{}".format(*sys.version_info))
    assert python["implementation"] == "CPython"
    assert examine().situation.python == sys.version_info[:2]
