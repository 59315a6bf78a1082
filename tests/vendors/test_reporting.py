"""`ctxtrace run --report`: a program runs and ends as it does under ``python``, and is reported.

What a program prints and how it ends is compared with what it does under Python alone.
"""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

import pytest
from vendors.reported import LOST, Programs, data_in, ended

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    return Programs(tmp_path)


# What is reported.


def test_a_program_is_drawn_and_told_where_it_lost_what_at_its_end(programs: Programs) -> None:
    reported, pythons = programs.both("script.py", code="from tracing import lose; lose()")
    assert pythons == ("inner has run\n", "", 0)
    assert reported == pythons._replace(errors=LOST)


def test_with_install_the_report_shows_what_install_made_of_it(programs: Programs) -> None:
    programs.write("script.py", "from tracing import lose; lose()")
    reported = programs.report("--install", "--fail-on-split", "script.py")
    assert reported.errors == "\nouter\n└─ inner\n\nctxtrace: nothing was lost.\n"
    assert reported.status == 0


def test_a_thread_that_loses_a_run_after_the_main_thread_has_ended_is_reported(
    programs: Programs,
) -> None:
    programs.write(
        "script.py",
        """
        import atexit, threading
        from tracing import lose

        done = threading.Event()

        def late():
            threading.main_thread().join()
            lose("late")

        def at_exit():
            later.join()
            lose("in a daemon")
            done.set()

        later = threading.Thread(target=late)
        later.start()
        threading.Thread(target=at_exit, daemon=True).start()
        atexit.register(done.wait, 30)
        """,
    )
    reported = programs.report("--json=seen.json", "--fail-on-split", "script.py")
    losses = json.loads(programs.read("seen.json"))["losses"]
    assert [loss["run"] for loss in losses] == ["late", "in a daemon"]
    # By the first: Python waits for its thread before the exit handlers.
    assert reported.status == 1


def test_a_program_that_closes_its_streams_and_moves_away_is_reported(programs: Programs) -> None:
    # One of the files cannot be written any more; that is said, and the rest is there.
    (programs.folder / "gone").mkdir()
    programs.write(
        "script.py",
        """
        import os, shutil, sys
        from tracing import lose

        lose()
        shutil.rmtree("gone")
        os.mkdir("elsewhere")
        os.chdir("elsewhere")
        sys.stderr = open("errors", "w")
        sys.__stderr__.close()
        """,
    )
    reported = programs.report("--json=gone/seen.json", "--html", "seen.html", "script.py")
    assert (reported.output, reported.status) == ("inner has run\n", 0)
    assert reported.errors == LOST.replace("tracing.py", str(programs.folder / "tracing.py"))
    complaint = programs.read("elsewhere/errors")
    assert complaint.startswith("ctxtrace run --report failed in write(); the program goes on")
    assert data_in(programs.read("seen.html"))["losses"]


# How the program ends.

ENDS = {
    "raises": "raise ValueError('on purpose')",
    "with a number": "raise SystemExit(3)",
    "with a text": "import sys; sys.exit('what was wrong')",
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_program_that_fails_fails_as_under_python_and_is_reported(
    end: str, programs: Programs
) -> None:
    code = f"from tracing import lose; lose()\n{end}\n"
    reported, pythons = programs.both("--fail-on-split", "script.py", code=code)
    assert pythons.status in (1, 3)
    assert reported == pythons._replace(errors=pythons.errors + LOST)


LEAVES = """
    import sys
    from tracing import lose

    class Last:
        def __del__(self):
            print("the last object is gone")

    lose()
    last, file = Last(), open("file", "w")
    file.write("all")
    sys.exit(0)
"""


def test_a_program_that_ends_well_is_left_to_end_before_it_is_failed(programs: Programs) -> None:
    reported, pythons = programs.both("--fail-on-split", "script.py", code=LEAVES)
    # The last words of the last object among it, but where coverage keeps the module.
    assert reported.output == pythons.output
    assert (pythons.status, reported.status) == (0, 1)
    assert reported.errors == LOST
    assert programs.read("file") == "all"


@pytest.mark.parametrize(("program", "status"), [("missing.py", 2), ("-m missing_module", 1)])
def test_what_is_not_there_is_said_as_python_says_it(
    program: str, status: int, programs: Programs
) -> None:
    reported, pythons = programs.both("--fail-on-split", program)
    nothing = """
ctxtrace: no run was seen.
  langsmith: nothing has imported it
  otel: no tracer provider of its SDK is set
"""
    assert pythons.status == status
    assert reported == pythons._replace(errors=pythons.errors + nothing)


FORKS = """
    import os, sys
    from tracing import lose

    def fork(end):
        child = os.fork()
        if not child:
            lose()
            end()
            return True
        print(end.__name__, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)

    def by_sys_exit():
        sys.exit(3)

    def well_by_sys_exit():
        sys.exit()

    def at_once():
        sys.stdout.flush()
        os._exit(4)

    def normally():
        pass

    for end in (by_sys_exit, well_by_sys_exit, at_once, normally):
        if fork(end):
            break
    else:
        lose("of the parent")
"""


if hasattr(os, "fork"):

    def test_of_a_program_that_forks_the_parent_is_reported_and_alone(programs: Programs) -> None:
        reported, pythons = programs.both(
            "--fail-on-split", "--json=seen.json", "script.py", code=FORKS
        )
        assert (pythons.errors, pythons.status) == ("", 0)
        assert "by_sys_exit 3\n" in reported.output
        assert reported.output == pythons.output
        assert reported.errors == LOST.replace("inner", "of the parent")
        assert reported.status == 1
        assert len(json.loads(programs.read("seen.json"))["runs"]) == 2


WAITS = """
    import sys, time
    from tracing import lose

    lose()
    print("waiting", flush=True)
    time.sleep(30)
"""


if os.name == "posix":

    def test_an_interrupted_program_dies_of_the_signal_and_is_reported(programs: Programs) -> None:
        programs.write("script.py", WAITS)
        started = programs.start_both("--fail-on-split", program="script.py")
        for process in started:
            assert process.stdout is not None
            assert process.stdout.readline() == "inner has run\n"
            assert process.stdout.readline() == "waiting\n"
            process.send_signal(signal.SIGINT)
        reported, pythons = map(ended, started)
        # The signal may come before the sleep has begun, on another line of the program.
        assert pythons.errors.endswith("KeyboardInterrupt\n")
        assert reported.errors.endswith(f"KeyboardInterrupt\n{LOST}")
        assert reported.status == pythons.status == -signal.SIGINT
