"""What is in a report, and what is not: nothing but names, places and times, and not for ever."""

from __future__ import annotations

import contextlib
import io
import json
import threading
import unicodedata
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from vendors.langsmith_server import serving
from vendors.reported import REPORT, Ended, Programs, data_in, ended
from vendors.spans import no_provider_set, tracer

import ctxtrace
from ctxtrace.diagnosis import _diagnosis
from ctxtrace.testing import _tape

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    return Programs(tmp_path)


# What is kept out of it.

SECRET = "not for the report"
HOSTILE = ["</script><img src=x onerror=alert(1)>", "\x1b]0;x\x07", "a\u2028b\u202e\x9bc", "\x00é"]


def test_names_lose_control_characters_and_nothing_is_shown_but_names(programs: Programs) -> None:
    programs.write(
        "sep\u2028 arated.py",
        f"""
        import contextlib, os, sys, threading
        from opentelemetry import baggage, context
        from tracing import span, trace

        SECRET = os.environ["TOKEN"]
        assert SECRET == sys.argv[1]
        context.attach(baggage.set_baggage("key", SECRET))

        def inner(name, secret):
            with contextlib.suppress(ValueError), span(name, attributes={{"key": secret}}) as here:
                here.add_event(secret)
                here.set_status(trace.StatusCode.ERROR, secret)
                raise ValueError(secret)

        for name in {HOSTILE!r}:
            with span(name):
                thread = threading.Thread(target=inner, args=(name, SECRET), name=name)
                thread.start()
                thread.join()
        """,
    )
    reported = programs.report(
        *("--json=seen.json", "--html=seen.html", "sep\u2028 arated.py", SECRET),
        TOKEN=SECRET,
        PYTHONIOENCODING="ascii",
    )
    assert reported.errors.count("started a trace of its own") == len(HOSTILE)
    assert reported.errors.isascii()
    assert not has_control_characters(reported.errors.replace("\n", ""))
    assert r"\xe9  started a trace of its own" in reported.errors  # as \x00 is gone
    seen = json.loads(programs.read("seen.json"))
    assert seen["title"] == "sep arated.py"
    assert [run["name"] for run in seen["runs"][::2]] == [HOSTILE[0], "]0;x", "abc", "é"]
    assert not any(map(has_control_characters, texts(seen)))
    assert data_in(programs.read("seen.html")) == seen
    assert SECRET not in everything(reported, programs)


def everything(reported: Ended, programs: Programs) -> str:
    """Return all that was reported."""
    return "\n".join([reported.errors, programs.read("seen.json"), programs.read("seen.html")])


def has_control_characters(text: str) -> bool:
    return any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in text)


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list):
        for each in value:
            yield from texts(each)
    elif isinstance(value, str):
        yield value


# LangSmith.

SENDS = """
    import sys, threading
    from langsmith import Client, trace, traceable

    client = Client()

    @traceable(client=client, name="inner", tags=["SECRET"])
    def inner(text):
        return {"answer": text}

    def outer(text):
        with trace("outer", client=client, inputs={"text": text}, metadata={"key": text}) as run:
            inner(text)
            thread = threading.Thread(target=inner, args=(text,), name="worker")
            thread.start()
            thread.join()
            run.end(outputs={"text": text})

    outer("SECRET")
    client.flush()
""".replace("SECRET", SECRET)


@contextlib.contextmanager
def arriving(runs: dict[str, dict[str, Any]]) -> Iterator[dict[str, str]]:
    """Serve LangSmith, and keep what comes of each run; yields what tells a program of it."""
    with serving() as server:

        class Keeping(server.RequestHandlerClass):  # type: ignore[name-defined, misc]
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                # LangSmith sends the environment along.
                batch = json.loads(body.replace(server.url.encode(), b"URL"))
                for run in (*batch.get("post", ()), *batch.get("patch", ())):
                    runs.setdefault(run["id"], {}).update(run)
                self.rfile = io.BytesIO(body)
                self.close_connection = True
                self._answer()

        server.RequestHandlerClass = Keeping
        yield {
            "LANGSMITH_ENDPOINT": server.url,
            "LANGSMITH_API_KEY": SECRET,
            "LANGSMITH_TRACING": "true",
        }


def test_what_is_sent_to_langsmith_arrives_as_it_does_without_a_report(programs: Programs) -> None:
    programs.write("script.py", SENDS)
    with_it: dict[str, Any] = {}
    without: dict[str, Any] = {}
    with arriving(with_it) as reported_to, arriving(without) as plain_to:
        reporting = programs.start(
            *REPORT, "--json=seen.json", "--html=seen.html", "script.py", **reported_to
        )
        pythons = ended(programs.start("script.py", **plain_to))
        reported = ended(reporting)
    assert pythons == ("", "", 0)
    assert (reported.output, reported.status) == ("", 0)
    assert "lost at script.py:15 in outer: Thread.start (thread worker)" in reported.errors
    assert summary(with_it) == summary(without)
    assert len(without) == 3
    seen = json.loads(programs.read("seen.json"))
    assert {run["id"] for run in seen["runs"]} == set(with_it)
    assert SECRET not in everything(reported, programs)


def summary(runs: dict[str, Any]) -> list[str]:
    """Return all of the runs but what differs each time."""
    differ = {"id", "trace_id", "dotted_order", "parent_run_id", "start_time", "end_time"}
    return sorted(
        json.dumps(
            {
                **{key: value for key, value in run.items() if key not in differ},
                "parent": runs[run["parent_run_id"]]["name"] if run.get("parent_run_id") else None,
            },
            sort_keys=True,
        )
        for run in runs.values()
    )


# Programs that run for long.


def test_of_a_long_run_the_last_runs_and_crossings_are_kept_and_the_first_losses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_diagnosis, "MOST_RUNS", 6)
    monkeypatch.setattr(_diagnosis, "MOST_CROSSINGS", 2)
    monkeypatch.setattr(_diagnosis, "MOST_LOSSES", 3)
    before = len(_tape._known)  # of other tests, which left them open
    with no_provider_set(monkeypatch), ctxtrace.diagnose() as report:
        trace.set_tracer_provider(TracerProvider(shutdown_on_exit=False))
        for letter in "abcdefghij":
            lose(f"inner {letter}")
        lose("inner a")
        known = len(_tape._known) - before
    assert known <= 6
    assert [loss.run for loss in report.losses] == ["inner a", "inner b", "inner c"]
    seen = report.to_dict()
    assert json.loads(json.dumps(seen)) == seen
    assert [run["name"] for run in seen["runs"][1::2]] == ["inner i", "inner j", "inner a"]
    assert (seen["runs_not_kept"], seen["losses_not_kept"]) == (16, 7)
    assert [loss["times"] for loss in seen["losses"]] == [2, 1, 1]
    # The last ones, and before them those that are to blame for a loss that is told of.
    assert len(seen["crossings"]) == 4
    assert report.drawing().endswith("(without the 16 runs before these)")
    assert report.explain().endswith("\n\nand 7 more runs")


def lose(name: str) -> None:
    with tracer().start_as_current_span("outer"):
        thread = threading.Thread(target=inner, args=(name,))
        thread.start()
        thread.join()


def inner(name: str) -> None:
    with tracer().start_as_current_span(name):
        pass
