"""The pytest plugin given what it cannot read: it says what is valid, and where."""

from __future__ import annotations

import pytest
from core.inner_pytest import Suite, said

# What is wrong, by the name of the test that says it.
WRONG = {
    "keyword": ("single_trace(name='x')", "single_trace does not take name"),
    "too_many": ("single_trace('x', [], 1, None, 5)", "single_trace does not take 5"),
    "twice": ("single_trace('x', root='y')", "single_trace does not take root"),
    "root": ("single_trace(root=3)", "root=3 is no name"),
    "true": ("single_trace(True)", "root=True is no name"),
    "roots": ("single_trace(roots=0)", "roots=0 is no number of trees, from 1 on"),
    "roots_true": ("single_trace(roots=True)", "roots=True is no number of trees, from 1 on"),
    "runs": ("single_trace(runs=[1])", "runs=[[]1] are no names"),
    "run": ("single_trace(runs=7)", "runs=7 are no names"),
    "source": ("single_trace(source='jaeger')", "source='jaeger': 'jaeger' is no source of runs"),
    "sources": ("single_trace(source=[])", "source=[[]]: no source is named"),
    "source_3": ("single_trace(source=3)", "source=3: *"),
}
_WRONG = "import pytest\n" + "".join(
    f"\n@pytest.mark.{marker}\ndef test_{name}():\n    assert False, 'not reached'\n"
    for name, (marker, _) in WRONG.items()
)

# What is wrong in a call of the fixture, and the error that says so.
CALLS = {
    "chain": ("trace_capture.assert_nested('a>b')", "ValueError: 'a>b' is no path of runs*"),
    "roots": ("trace_capture.assert_single_trace(roots=0)", "ValueError: roots=0 is no number *"),
    "source": ("trace_capture.forest('jaeger')", "ValueError: 'jaeger' is no source of runs*"),
    "drawing": (
        "assert trace_capture.forest() == 'a\\n    b\\n  c'",
        "ValueError: line 3 of the drawing cannot be read*",
    ),
    "dict": ("assert trace_capture.forest() == {'a': 3}", "TypeError: *"),
}
_CALLS = "".join(
    f"def test_{name}(trace_capture):\n    {call}\n\n" for name, (call, _) in CALLS.items()
)
_OTHER = """\
def test_list(trace_capture):
    assert trace_capture.forest() == ["answer"]
"""

MISUSED = Suite({"test_wrong.py": _WRONG, "test_calls.py": _CALLS, "test_other.py": _OTHER})


@pytest.mark.parametrize("name", WRONG)
def test_a_marker_that_cannot_be_read_fails_its_test_and_points_at_it(
    request: pytest.FixtureRequest, name: str
) -> None:
    outcome = MISUSED.run(request)[f"test_wrong.py::test_{name}"]
    line = _WRONG.splitlines().index(f"@pytest.mark.{WRONG[name][0]}") + 1
    assert outcome.what == "error"
    said(
        outcome.text,
        f"test_wrong.py:{line}: {WRONG[name][1]}; valid are *single_trace(root='name', runs=*",
    )


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_cannot_be_read_fails_at_the_users_line(
    request: pytest.FixtureRequest, name: str
) -> None:
    call, error = CALLS[name]
    outcome = MISUSED.run(request)[f"test_calls.py::test_{name}"]
    line = _CALLS.splitlines().index(f"    {call}") + 1
    assert outcome.what == "failed"
    said(outcome.text, ">*trace_capture.*", f"E*{error}", f"test_calls.py:{line}: *Error")
    assert "ctxtrace" not in outcome.text


def test_what_is_no_trace_is_not_said_to_be_another_one(request: pytest.FixtureRequest) -> None:
    outcome = MISUSED.run(request)["test_other.py::test_list"]
    assert outcome.what == "failed"
    said(outcome.text, "E*assert <Forest: 0 traces, 0 runs> == [[]'answer'[]]")
    assert "trees differ" not in outcome.text


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        (
            "ctxtrace_single_trace = some",
            "ERROR: ctxtrace_single_trace = 'some' is no mode; valid are marked and all",
        ),
        (
            "ctxtrace_source = otel jaeger",
            "ERROR: ctxtrace_source: 'jaeger' is no source of runs; valid are 'langsmith', 'otel'*",
        ),
    ],
)
def test_a_setting_that_cannot_be_read_stops_pytest(
    request: pytest.FixtureRequest, setting: str, complaint: str
) -> None:
    result = Suite({"test_any.py": "def test_any(): pass"}, ini=setting).run(request)
    assert result.status == pytest.ExitCode.USAGE_ERROR
    said(result.errors, complaint)
