"""What is known to go wrong with certain versions, each as one row of a table.

A row *needs attention* when it loses runs of every program that uses what it names as it is meant
to be used, until somebody does something about it; or when nobody can say that it does not. All
others are advice: they take a program that does something of its own, such as to start a task
that outlives its request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._situation import Situation

    Condition = Callable[[Situation], bool]

# As in pyproject.toml.
OLDEST = {
    "langsmith": "0.4.27",
    "langchain-core": "0.3.75",
    "langgraph": "0.6.7",
    "opentelemetry-api": "1.34.0",
    "anyio": "4.9.0",
}
NEWEST_PYTHON = (3, 13)

WEAK_FROM = "0.7.30"

_INSTALL = "how-to/install.md"
_LOST = "explanation/where-context-gets-lost.md"
_DOCTOR = "how-to/doctor.md"


class Pitfall(NamedTuple):
    """Something that is known to go wrong, and where."""

    name: str
    applies: Condition
    what: str
    """What happens."""

    do: str
    """What to do about it."""

    page: str
    """Where our documentation says more."""

    needs_attention: bool = False


# --- Conditions -----------------------------------------------------------------------------


def _has(*packages: str) -> Condition:
    return lambda situation: situation.has(*packages)


def _from(package: str, version: str) -> Condition:
    return lambda situation: situation.at_least(package, version)


def _below(package: str, version: str) -> Condition:
    return lambda situation: situation.below(package, version)


def _before_python(*version: int) -> Condition:
    return lambda situation: situation.python < version


def _all(*conditions: Condition) -> Condition:
    return lambda situation: all(condition(situation) for condition in conditions)


def _either(*conditions: Condition) -> Condition:
    return lambda situation: any(condition(situation) for condition in conditions)


def _is_untested(situation: Situation) -> bool:
    return (
        situation.python > NEWEST_PYTHON
        or situation.implementation != "CPython"
        or situation.free_threaded
    )


def _has_threads_that_inherit(situation: Situation) -> bool:
    return situation.threads_inherit_context


def _is_not_understood(situation: Situation) -> bool:
    return situation.langsmith.tracing == "not understood"


def _is_contradicted(situation: Situation) -> bool:
    return situation.langsmith.contradicted


def _lacks_a_key(situation: Situation) -> bool:
    said = situation.langsmith
    return said.tracing == "on" and said.needs_key and not said.api_key


def _sends_spans(situation: Situation) -> bool:
    return situation.langsmith.opentelemetry


def _is_disabled(situation: Situation) -> bool:
    return situation.opentelemetry.disabled


def _has_several_tracers(situation: Situation) -> bool:
    spans = situation.has("opentelemetry-sdk") and not situation.opentelemetry.disabled
    # Both come with a provider of their own for the SDK.
    on_top = sum(situation.has(package) for package in ("logfire", "langfuse"))
    runs = situation.has("langsmith") and situation.langsmith.tracing == "on"
    return runs + (max(1, on_top) if spans else 0) > 1


# --- The table ------------------------------------------------------------------------------

# What is installed cannot be relied on.
_TOO_OLD = tuple(
    Pitfall(
        f"{package}-too-old",
        _below(package, bound),
        f"This version of {package} is older than any that ctxtrace is tested with. What ctxtrace "
        "looks for in it may be missing, and is then not carried.",
        f"Install {package} {bound} or later.",
        f"{_DOCTOR}#versions",
        needs_attention=True,
    )
    for package, bound in OLDEST.items()
)

PITFALLS = (
    *_TOO_OLD,
    Pitfall(
        "untested-python",
        _is_untested,
        "ctxtrace is tested on CPython 3.9 to 3.13, in builds with the global interpreter lock. "
        "This is another Python.",
        "Hold your traces with tests before you rely on them here.",
        "how-to/testing.md",
    ),
    # What the environment says is not what was meant.
    Pitfall(
        "langsmith-tracing-not-understood",
        _all(_has("langsmith"), _is_not_understood),
        'LangSmith takes only "true" for a yes, in lower case, and the variable that decides says '
        "something else. Nothing is traced.",
        "Set that variable to true, or to false if tracing is to be off.",
        f"{_DOCTOR}#whether-langsmith-traces",
        needs_attention=True,
    ),
    Pitfall(
        "langsmith-tracing-contradicted",
        _all(_has("langsmith"), _is_contradicted),
        "Several variables say whether LangSmith traces, and one of them says yes. Another comes "
        "before it and is all that LangSmith looks at: nothing is traced.",
        "Set LANGSMITH_TRACING and remove the others.",
        f"{_DOCTOR}#whether-langsmith-traces",
        needs_attention=True,
    ),
    Pitfall(
        "langsmith-without-key",
        _all(_has("langsmith"), _lacks_a_key),
        "LangSmith's tracing is on, and the environment has no API key. Unless your program gives "
        "its client one, the server refuses every run.",
        "Set LANGSMITH_API_KEY.",
        f"{_DOCTOR}#whether-langsmith-traces",
        needs_attention=True,
    ),
    Pitfall(
        "opentelemetry-disabled",
        _all(_has("opentelemetry-sdk"), _is_disabled),
        "OTEL_SDK_DISABLED is true: no span is recorded, whatever provider the program sets.",
        "Remove it where spans are wanted.",
        f"{_DOCTOR}#opentelemetry",
    ),
    Pitfall(
        "langsmith-as-spans",
        _all(_has("langsmith"), _has("opentelemetry-sdk"), _sends_spans),
        "LangSmith sends its runs as spans. If your program sets a tracer provider of its own, a "
        "span that is opened inside a run names a parent that is never exported.",
        "Leave LANGSMITH_OTEL_ENABLED out: LangSmith and OpenTelemetry then make a tree each.",
        f"{_DOCTOR}#langsmiths-runs-as-spans",
    ),
    Pitfall(
        "several-tracers",
        _has_several_tracers,
        "Several tracers can be on at once. LangSmith and OpenTelemetry each make a tree of their "
        "own; and of OpenTelemetry's tracer providers only the first that is set counts.",
        "Judge each tree by itself, and set one provider, first thing in the program.",
        "how-to/testing.md#langsmith-and-opentelemetry",
    ),
    # Where these versions split.
    Pitfall(
        "langgraph-before-3.11",
        _all(_before_python(3, 11), _has("langgraph")),
        "Before Python 3.11 LangGraph runs async nodes in no context: what they call starts traces "
        "of its own, and get_stream_writer() and get_config() raise RuntimeError in them.",
        "Call ctxtrace.install() first thing in the program, or use Python 3.11.",
        f"{_LOST}#old-pythons",
        needs_attention=True,
    ),
    Pitfall(
        "langchain-before-3.11",
        _either(
            _all(_before_python(3, 10), _has("langchain-core")),
            _all(_before_python(3, 11), _below("langchain-core", "1.4.8")),
        ),
        "On Python 3.9, and on 3.10 below langchain-core 1.4.8, what an async runnable or tool "
        "calls does not become its child unless it is handed the config: it starts a trace of its "
        "own.",
        "Call ctxtrace.install() first thing in the program, or use Python 3.11; on 3.10 "
        "langchain-core 1.4.8 will do.",
        f"{_LOST}#old-pythons",
        needs_attention=True,
    ),
    Pitfall(
        "threads-inherit-context",
        _has_threads_that_inherit,
        "Threads start in a copy of the context of whoever starts them. A pool starts its workers "
        "inside the request that needs them first, and they show that one for ever.",
        "Use ctxtrace.ThreadPoolExecutor, and start workers of your own inside detached(); or run "
        "Python with -X thread_inherit_context=0.",
        "how-to/background-workers.md",
        needs_attention=True,
    ),
    Pitfall(
        "langsmith-weak-parents",
        _from("langsmith", WEAK_FROM),
        f"From LangSmith {WEAK_FROM} on the context holds the parent run only weakly. A task or "
        "thread that outlives its parent starts a trace of its own, also where the context was "
        "copied.",
        "Start it by ctxtrace.create_task or ctxtrace.Thread, or call ctxtrace.install().",
        f"{_LOST}#weak-parents",
    ),
    Pitfall(
        "langsmith-streams",
        _has("langsmith"),
        "@traceable hands nothing but next() on to a generator, and from Python 3.11 on takes each "
        "step of an async one in a task of its own: a stream that is left early is closed outside "
        "its run, and timeouts and cancel scopes held over a yield do not work.",
        "Use @traced_stream, or call ctxtrace.install() before functions are decorated.",
        f"{_INSTALL}#langsmiths-streams",
    ),
    Pitfall(
        "streams-in-responses",
        _has("fastapi", "starlette"),
        "A streamed response is made after its endpoint has returned, outside the request's run: "
        "what the generator calls starts traces of its own.",
        "Put @streaming or @traced_stream on it.",
        "how-to/streams.md#in-a-fastapi-response",
    ),
    Pitfall(
        "threading-instrumentor",
        _has("opentelemetry-instrumentation-threading"),
        "OpenTelemetry's ThreadingInstrumentor gives a pool's worker the context of the request "
        "that was the first to need it, and the worker shows that one for ever.",
        "Use ctxtrace.ThreadPoolExecutor or ctxtrace.install(), whose workers start empty.",
        f"{_INSTALL}#threads-that-serve-many-requests",
    ),
    Pitfall(
        "uvloop-before-3.11",
        _all(_before_python(3, 11), _has("uvloop")),
        "Before Python 3.11 uvloop's create_task() shows an argument context=, and raises "
        "TypeError when it is given.",
        "Call ctxtrace.install(), or use ctxtrace.create_task.",
        f"{_INSTALL}#what-it-changes",
    ),
    Pitfall(
        "gevent",
        _has("gevent"),
        "Where gevent has replaced threads by greenlets ctxtrace.install() changes nothing, and "
        "says so in the log. Greenlets do not carry a context by themselves.",
        "Give greenlets and threads ctxtrace.wrap(function) in place of the function.",
        f"{_INSTALL}#what-it-does-not-do",
    ),
    Pitfall(
        "pytest-asyncio-fixtures",
        _all(_before_python(3, 10), _below("pytest-asyncio", "1.1.0")),
        "On Python 3.9 pytest-asyncio below 1.1.0 runs async fixtures in another context than the "
        "test: a run that a fixture holds open is not the parent of the test's.",
        "Install pytest-asyncio 1.1.0 or later.",
        "how-to/testing.md#runs-that-fixtures-open",
    ),
)
