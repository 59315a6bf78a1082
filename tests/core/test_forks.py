"""A child of a fork traces as any process does, and what was its parent's stays its parent's."""

from __future__ import annotations

import pytest
from core.leaving import run, start

FORK = """
child = os.fork()
if not child:
    record("by the child")
    sys.exit()
assert os.waitpid(child, 0)[1] == 0
"""

MULTIPROCESSING = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

context = multiprocessing.get_context({method!r})

def work(name="by the child"):
    record(name)
    return name
"""

# What a program does with processes, after MULTIPROCESSING.
PROCESSES = {
    "Process": "child = context.Process(target=work); child.start(); child.join()",
    "ProcessPoolExecutor": """
with ProcessPoolExecutor(1, mp_context=context{initializer}) as pool:
    pool.submit(work).result()
""",
    "Pool, closed": """
pool = context.Pool(1{initializer})
pool.apply(work)
pool.close()
pool.join()
""",
    "Pool, terminated": """
with context.Pool(1{initializer}) as pool:
    pool.apply(work)
pool.join()
""",
}


def test_a_child_of_a_fork_sends_what_is_its_own() -> None:
    ended = run("ctxtrace.flush_on_exit()\nrecord('by the parent')\n" + FORK)
    assert ended.arrived == ["by the child", "by the parent"]


def test_control_a_child_has_what_its_parent_had() -> None:
    ended = run("record('by the parent')\n" + FORK + "ctxtrace.flush()\n")
    assert ended.arrived == ["by the parent"]
    in_both = FORK.replace("    sys.exit()", "    ctxtrace.flush()\n    sys.exit()")
    ended = run("record('by the parent')\n" + in_both + "ctxtrace.flush()\n")
    assert ended.arrived == ["by the parent", "by the child", "by the parent"]


def test_after_install_a_child_has_what_is_its_own() -> None:
    in_both = FORK.replace("    sys.exit()", "    ctxtrace.flush()\n    sys.exit()")
    code = "installed = ctxtrace.install()\nrecord('by the parent')\n{}" + in_both
    assert run(code.format("")).arrived == ["by the child"]
    taken_back = run(code.format("installed.uninstall()\n")).arrived
    assert taken_back == ["by the parent", "by the child"]


def test_what_stands_for_as_long_as_the_child_lives_can_be_taken_back() -> None:
    ended = run(
        """
        handle = ctxtrace.flush_on_exit()
        child = os.fork()
        if not child:
            handle.cancel()
            os.write(1, b"cancelled\\n")
            sys.exit()
        os.waitpid(child, 0)
        """
    )
    assert ended.arrived == ["taken back", "cancelled"]


def test_a_child_of_a_child_has_what_is_its_own() -> None:
    ended = run(
        "ctxtrace.flush_on_exit()\n"
        "if not os.fork():\n"
        "    record('by the child')\n"
        "    if not os.fork():\n"
        "        record('by the grandchild')\n"
        "        sys.exit()\n"
        "    os.wait()\n"
        "    sys.exit()\n"
        "os.wait()\n"
    )
    assert ended.arrived == ["taken back", "by the grandchild", "by the child"]


def test_a_flush_in_a_child_does_not_wait_for_what_its_parent_was_doing() -> None:
    ended = run(
        """
        class Slow(Tracer):
            name = "slow"
            def flush(self, timeout):
                if os.getpid() == parent:
                    began.set()
                    end.wait()

        parent, began, end = os.getpid(), threading.Event(), threading.Event()
        ctxtrace.register_carrier(Slow())
        ctxtrace.flush(0)
        began.wait()
        child = os.fork()
        if not child:
            print(ctxtrace.flush(60).ok, flush=True)
            os._exit(0)
        os.waitpid(child, 0)
        end.set()
        """
    )
    assert ended.arrived == ["True"]


@pytest.mark.parametrize("what", ["carriers", "patches", "diagnosis._watch"])
def test_a_lock_that_another_thread_held_at_the_fork_is_free_in_the_child(what: str) -> None:
    ended = run(
        f"""
        import importlib
        lock = importlib.import_module("ctxtrace.{what}")._lock
        ctxtrace.flush_on_exit()
        held, end = threading.Event(), threading.Event()

        def hold():
            with lock:
                held.set()
                end.wait()

        threading.Thread(target=hold).start()
        held.wait()
        child = os.fork()
        if not child:
            print(lock.acquire(timeout=1), flush=True)
            os._exit(0)
        os.waitpid(child, 0)
        print(lock.acquire(blocking=False))
        end.set()
        """
    )
    assert ended.arrived == ["True", "False"]


def test_a_signal_kills_a_child_after_what_it_recorded_was_sent() -> None:
    ended = run(
        """
        ctxtrace.flush_on_exit()
        child = os.fork()
        if not child:
            record("by the child")
            signal.raise_signal(signal.SIGTERM)
            threading.Event().wait()
        print(os.WTERMSIG(os.waitpid(child, 0)[1]), flush=True)
        """
    )
    assert ended.arrived == ["by the child", "15"]


# multiprocessing.


@pytest.mark.parametrize("way", PROCESSES)
def test_children_that_multiprocessing_forks_send_what_they_recorded(way: str) -> None:
    code = MULTIPROCESSING.format(method="fork") + PROCESSES[way].format(initializer="")
    ended = run("ctxtrace.flush_on_exit()\n" + code)
    assert (ended.arrived, ended.status) == (["by the child"], 0)


@pytest.mark.parametrize("way", PROCESSES)
def test_control_what_children_record_is_lost(way: str) -> None:
    code = MULTIPROCESSING.format(method="fork") + PROCESSES[way].format(initializer="")
    assert run(code).arrived == []


MAIN = "if __name__ == '__main__':\n"


def in_main(code: str) -> str:
    return MAIN + "".join(f"    {line}\n" for line in code.strip().splitlines())


@pytest.mark.parametrize("way", PROCESSES)
def test_children_that_are_spawned_flush_where_their_module_says_so(
    way: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    code = MULTIPROCESSING.format(method="spawn") + in_main(PROCESSES[way].format(initializer=""))
    ended = run("ctxtrace.flush_on_exit()\n" + code, folder=tmp_path_factory.mktemp("program"))
    assert (ended.arrived, ended.status) == (["by the child"], 0)


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_children_flush_whose_pool_was_given_it_as_its_initializer(
    method: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    pool = PROCESSES["ProcessPoolExecutor"].format(
        initializer=", initializer=ctxtrace.flush_on_exit"
    )
    code = MULTIPROCESSING.format(method=method) + in_main(pool)
    ended = run(code, folder=tmp_path_factory.mktemp("program"))
    assert (ended.arrived, ended.status) == (["by the child"], 0)


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_children_of_ctxtrace_run_begin_as_it_did(
    method: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    code = MULTIPROCESSING.format(method=method) + in_main(PROCESSES["Process"])
    for options, arrived in (((), ["by the child"]), (("--no-flush",), [])):
        folder = tmp_path_factory.mktemp("program")
        ended = start(code, under=("-m", "ctxtrace", "run", *options), folder=folder).ended()
        assert (ended.arrived, ended.errors, ended.status) == (arrived, "", 0)


def test_children_of_ctxtrace_run_have_install(tmp_path_factory: pytest.TempPathFactory) -> None:
    code = """
import contextvars, multiprocessing

variable = contextvars.ContextVar("variable", default="lost")

def work():
    variable.set("carried")
    thread = threading.Thread(target=lambda: print(variable.get(), flush=True))
    thread.start()
    thread.join()

if __name__ == "__main__":
    child = multiprocessing.get_context("spawn").Process(target=work)
    child.start()
    child.join()
"""
    for under, arrived in ((("-m", "ctxtrace", "run"), ["carried"]), ((), ["lost"])):
        folder = tmp_path_factory.mktemp("program")
        assert start(code, under=under, folder=folder).ended().arrived == arrived


def test_a_child_that_cannot_import_ctxtrace_runs_without_it() -> None:
    ended = run(
        """
        import pickle
        from ctxtrace import _spawned
        text = pickle.dumps(_spawned._Beginning(("all", (), True)))
        sys.modules["ctxtrace._spawned"] = None
        pickle.loads(text)
        print("runs")
        """
    )
    assert (ended.arrived, ended.errors) == (["runs"], "")


def test_a_signal_to_a_child_that_is_being_forked_does_not_send_what_is_its_parents() -> None:
    ended = run(
        """
        ctxtrace.flush_on_exit()
        # In the child, before anything has told its runs from the parent's.
        class Forked(Tracer):
            name = "forked"
            def after_fork(self):
                signal.raise_signal(signal.SIGTERM)
                self.kept = ["by the child"]

        tracer = Forked()
        tracer.kept = ["by the parent"]
        ctxtrace.register_carrier(tracer)
        child = os.fork()
        if not child:
            threading.Event().wait()
        print(os.WTERMSIG(os.waitpid(child, 0)[1]), flush=True)
        """
    )
    assert ended.arrived == ["by the child", "15", "by the parent"]


def test_a_signal_to_a_parent_that_forks_is_not_its_childs() -> None:
    ended = run(
        """
        ctxtrace.flush_on_exit()
        os.register_at_fork(before=lambda: signal.raise_signal(signal.SIGTERM))
        # What is registered later is called earlier.
        from ctxtrace.lifecycle import _fork
        os.register_at_fork(before=_fork._before)
        os.register_at_fork(before=lambda: signal.raise_signal(signal.SIGTERM))
        record("by the parent")
        child = os.fork()
        if not child:
            os.write(1, b"the child goes on\\n")
            os._exit(0)
        os.waitpid(child, 0)
        threading.Event().wait()
        """
    )
    assert sorted(ended.arrived) == ["by the parent", "the child goes on"]
    assert ended.status == -15
