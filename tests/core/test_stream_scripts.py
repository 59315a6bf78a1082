"""Whatever is done to a stream, it gives what the bare one gives: random scripts tell.

A script is a list of operations. It is played on a bare generator and on one that ctxtrace
drives, and both are to give the same: the results and the errors with their chains and their
user's frames, the state after each operation, and the log of what the body did and of whose
request it found itself in. The bare one is played in the request it was called in; the
other one is called there, and played where nobody's request is served.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import sys
import traceback
import types
import warnings
from contextvars import copy_context

import pytest
from chance import examples
from core.support import USER, Boom, WeakTracer, serving, user
from hypothesis import assume, given
from hypothesis import strategies as st

import ctxtrace


class Traced(WeakTracer):
    """Gives every stream a run, so that what watches its steps takes part."""

    name = "traced"

    def open_run(self, name, run_type, inputs):
        return lambda end: None


@pytest.fixture(scope="module", autouse=True)
def _tracer():
    undo = ctxtrace.register_carrier(Traced())
    yield
    undo()


class Stop(BaseException):
    """As KeyboardInterrupt, which no `except Exception` catches."""


def bare(function):
    return function


DECORATORS = {
    "wrap": ctxtrace.wrap,
    "streaming": ctxtrace.streaming,
    "traced_stream": ctxtrace.traced_stream,
    "streaming twice": lambda function: ctxtrace.streaming(ctxtrace.streaming(function)),
}
every_decorator = pytest.mark.parametrize(
    "decorate", DECORATORS.values(), ids=[name.replace(" ", "_") for name in DECORATORS]
)
# For a test of each kind of body with each decorator, more than a hundred in all.
few_examples = examples(12)
both_of_a_stream = pytest.mark.parametrize("stream", [ctxtrace.streaming, ctxtrace.traced_stream])


# What is written down of an operation.


def chain(error, depth=4):
    """What an error says, and those behind it."""
    if error is None or depth == 0:
        return None
    return (
        type(error),
        str(error),
        error.__suppress_context__,
        chain(error.__cause__, depth - 1),
        chain(error.__context__, depth - 1),
    )


OURS = ctxtrace.__file__.rsplit("__init__", 1)[0]


def frames_of_the_user(error):
    """Where an error came through, and no frame that only ctxtrace or the player has.

    What is thrown into a generator that was not started has a frame of it, at its first line;
    a driven one is not reached by then.
    """
    return [
        (frame.f_code.co_name, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if not frame.f_code.co_filename.startswith(OURS)
        if not frame.f_code.co_name.startswith("play")
        if line != frame.f_code.co_firstlineno
    ]


def says(error, thrown):
    value = error.value if isinstance(error, StopIteration) else None
    return chain(error), value, error is thrown, frames_of_the_user(error)


@contextlib.contextmanager
def writing_down_what_cannot_be_raised(results):
    """Warnings, and errors in what the garbage collector closes."""
    hook = sys.unraisablehook
    sys.unraisablehook = lambda report: results.append(("unraisable", chain(report.exc_value)))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            # Not by record=True, which keeps what a warning is about.
            warnings.showwarning = lambda message, *_: results.append(("warning", str(message)))
            yield
    finally:
        sys.unraisablehook = hook


# Generators. Each is made of what its own streams are decorated with.


def talkative(log):
    """Answers to whatever is done to it, and says so."""
    log.append(("started", user()))
    said = None
    while True:
        try:
            said = yield ("said", said, user())
        except Boom as error:
            said = f"caught {error}"
        except LookupError as error:
            raise Boom("caused") from error
        except ZeroDivisionError:
            raise Boom("in another's place")  # noqa: B904 - what is tested
        finally:
            log.append((said, user()))
        if said == "return":
            return "done"
        if said == "raise":
            raise Boom("asked to")
        if said == "stop":
            raise StopIteration


def with_a_variable_of_its_own(log):
    token = USER.set(f"guest of {user()}")
    try:
        yield user()
        yield user()
    finally:
        log.append(("over", user()))
        USER.reset(token)


def stubborn(log):
    """Does on being closed what it should not."""
    try:
        yield 1
    except GeneratorExit:
        log.append(("ignored", user()))
        yield 2


def answers_a_close(log):
    try:
        yield 1
    except GeneratorExit:
        log.append(("returned", user()))
        return "value"


def fails_to_close(log):
    try:
        yield 1
    finally:
        log.append(("fails", user()))
        raise Boom("on the way out")


def never_yields(log):
    log.append(("ran", user()))
    return "value"
    yield


def yields_from_a_stream(decorate):
    inner = decorate(talkative)

    def outer(log):
        result = yield from inner(log)
        log.append(("inner gave", result, user()))
        yield "last"
        return result

    return outer


def iterates_a_stream(decorate):
    inner = decorate(talkative)

    def outer(log):
        for item in inner(log):
            try:
                yield item
            except Boom:
                break

    return outer


def simple(function):
    def kind(decorate):
        return function

    kind.__name__ = function.__name__
    return kind


def kinds(*kinds):
    return pytest.mark.parametrize("kind", kinds, ids=[kind.__name__ for kind in kinds])


KINDS = [
    *map(simple, [talkative, stubborn, answers_a_close, fails_to_close, never_yields]),
    yields_from_a_stream,
    iterates_a_stream,
]
every_kind = kinds(*KINDS, simple(with_a_variable_of_its_own))
# What was set before is bound to where it was set.
every_kind_without_variables = kinds(*KINDS)


STEPS = st.one_of(
    st.just(("next",)),
    st.tuples(
        st.just("send"), st.sampled_from([None, 1, "return", "raise", "stop", (1, 2), Boom("sent")])
    ),
    st.tuples(
        st.just("throw"),
        st.sampled_from(
            [
                Boom,
                KeyError,
                ZeroDivisionError,
                GeneratorExit,
                StopIteration,
                StopAsyncIteration,
                Stop,
                RuntimeError,
            ]
        ),
        st.booleans(),
    ),
    st.just(("close",)),
)

# Until nothing is left that the garbage collector would do.
TO_THE_END = [("next",), ("next",), ("next",), ("close",), ("send", 1), ("throw", Boom, True)]


def play(generator, script, results):
    for name, *arguments in script:
        thrown = None
        if name == "throw":
            kind, made = arguments
            thrown = kind("thrown") if made else kind
            arguments = [thrown]
        try:
            step = generator.__next__ if name == "next" else getattr(generator, name)
            result = step(*arguments)
        except BaseException as error:
            result = says(error, thrown)
        # The errors have this frame, which is to have neither them nor the generator.
        del thrown, arguments
        step = None
        state = inspect.getgeneratorstate(generator)
        results.append((result, state, generator.gi_frame is None, generator.gi_running))
    return results


def played_on_the_bare_one(kind, script):
    def in_the_request():
        log, results = [], []
        with serving("ada"), writing_down_what_cannot_be_raised(results):
            box = [kind(bare)(log)]
            play(box[0], script, results)
            box.clear()
        return results, log

    return copy_context().run(in_the_request)


def played_on_the_decorated_one(kind, decorate, script):
    log, results = [], []
    with writing_down_what_cannot_be_raised(results):
        with serving("ada"):
            box = [decorate(kind(decorate))(log)]
        play(box[0], script, results)
        box.clear()
    return results, log


@every_decorator
@every_kind
@few_examples
@given(script=st.lists(STEPS, max_size=8))
def test_any_script_gives_on_a_decorated_generator_what_it_gives_on_the_bare_one(
    decorate, kind, script
):
    script += TO_THE_END
    expected = played_on_the_bare_one(kind, script)
    assert played_on_the_decorated_one(kind, decorate, script) == expected


@every_decorator
@every_kind
@few_examples
@given(script=st.lists(STEPS, max_size=4))
def test_a_decorated_generator_that_is_dropped_in_the_middle_does_what_the_bare_one_does(
    decorate, kind, script
):
    expected = played_on_the_bare_one(kind, script)
    assert played_on_the_decorated_one(kind, decorate, script) == expected


@every_decorator
def test_what_cannot_be_thrown_into_a_generator_is_refused_in_the_same_words(decorate):
    script = [("next",), ("throw", 42, False), ("next",), *TO_THE_END]
    kind = simple(talkative)
    expected = played_on_the_bare_one(kind, script)
    assert played_on_the_decorated_one(kind, decorate, script) == expected


# A stream in the middle: what was stepped before it is made a stream of.


def played_on_a_stream(kind, stream, before, script):
    log, results = [], []

    def in_the_request():
        with serving("ada"):
            generator = kind(bare)(log)
            play(generator, before, results)
            return stream(generator)

    with writing_down_what_cannot_be_raised(results):
        box = [copy_context().run(in_the_request)]
        play(box[0], script, results)
        box.clear()
    return results, log


SOME_STEPS = st.lists(STEPS, max_size=3)


@both_of_a_stream
@every_kind_without_variables
@few_examples
@given(before=SOME_STEPS, script=st.lists(STEPS, max_size=6))
def test_any_script_gives_on_a_stream_in_the_middle_what_it_gives_on_the_bare_one(
    stream, kind, before, script
):
    script += TO_THE_END
    expected = played_on_the_bare_one(kind, before + script)
    if before:
        (_, state, _, _) = expected[0][len(before) - 1]
        assume(state != "GEN_CLOSED")
    assert played_on_a_stream(kind, stream, before, script) == expected


@both_of_a_stream
def test_a_generator_that_is_over_stays_over_as_a_stream(stream):
    kind, over, script = simple(never_yields), [("next",)], [("send", 1), ("next",), ("close",)]
    expected = played_on_the_bare_one(kind, over + script)
    assert played_on_a_stream(kind, stream, over, script) == expected


# Async generators. Their steps are awaited by hand, so that each can be left in the middle.


@types.coroutine
def pause():
    return (yield "paused")


async def async_talkative(log):
    log.append(("started", user()))
    said = None
    while True:
        try:
            await pause()
            said = yield ("said", said, user())
        except Boom as error:
            await pause()
            said = f"caught {error}"
        except LookupError as error:
            raise Boom("caused") from error
        except asyncio.CancelledError:
            said = "cancelled"
            raise
        except GeneratorExit:
            await pause()
            said = "closed"
            raise
        finally:
            log.append((said, user()))
        if said == "return":
            return
        if said == "raise":
            raise Boom("asked to")
        if said == "stop":
            raise StopAsyncIteration


async def async_with_a_variable_of_its_own(log):
    token = USER.set(f"guest of {user()}")
    try:
        yield user()
        await pause()
        yield user()
    finally:
        log.append(("over", user()))
        await pause()
        USER.reset(token)


async def async_cleans_up(log):
    try:
        await pause()
        yield user()
        yield user()
    finally:
        log.append(("over", user()))


async def async_stubborn(log):
    try:
        yield 1
    except GeneratorExit:
        log.append(("ignored", user()))
        yield 2


async def async_will_not_be_cancelled(log):
    try:
        await pause()
    except BaseException as error:
        log.append((type(error), user()))
    await pause()
    yield user()


async def async_answers_a_close(log):
    try:
        yield 1
    except GeneratorExit:
        log.append(("returned", user()))


async def async_fails_to_close(log):
    try:
        yield 1
    finally:
        await pause()
        log.append(("fails", user()))
        raise Boom("on the way out")


async def async_never_yields(log):
    log.append(("ran", user()))
    return
    yield


def async_iterates_a_stream(decorate):
    inner = decorate(async_talkative)

    async def outer(log):
        async for item in inner(log):
            await pause()
            try:
                yield item
            except Boom:
                break

    return outer


ASYNC_KINDS = [
    *map(
        simple,
        [
            async_talkative,
            async_stubborn,
            async_will_not_be_cancelled,
            async_answers_a_close,
            async_fails_to_close,
            async_never_yields,
            async_cleans_up,
        ],
    ),
    async_iterates_a_stream,
]
every_async_kind = kinds(*ASYNC_KINDS, simple(async_with_a_variable_of_its_own))
every_async_kind_without_variables = kinds(*ASYNC_KINDS)

# What is done to the awaitable of a step, before it is awaited to its end.
HOWS = [
    (),
    (),
    (),
    ("drop",),
    ("throw",),
    ("send", "throw"),
    ("send", "throw", "throw"),
]
# Not for bodies that await when they are closed: then it is ignored, and the bare generator
# is left as one that runs for ever. As every one is that is closed in the middle of a step,
# before Python 3.13.
CLOSING = [*HOWS, ("close",), ("close", "send")]
if sys.version_info >= (3, 13):
    CLOSING += [("send", "close"), ("send", "throw", "close")]


def async_steps(hows):
    how = st.sampled_from(hows)
    # An athrow() or aclose() that is thrown into before its first step throws twice.
    started = st.sampled_from([how for how in hows if how[:1] != ("throw",)])
    said = st.sampled_from([None, 1, "return", "raise", "stop"])
    errors = [Boom, KeyError, GeneratorExit, StopAsyncIteration, StopIteration, Stop]
    thrown = st.sampled_from([*errors, asyncio.CancelledError])
    return st.one_of(
        st.tuples(st.just("__anext__"), how),
        st.tuples(st.just("asend"), how, said),
        st.tuples(st.just("athrow"), started, thrown, st.booleans()),
        st.tuples(st.just("aclose"), started),
    )


ASYNC_STEPS = async_steps(HOWS)
ASYNC_STEPS_AND_CLOSING = async_steps(CLOSING)
ASYNC_STEPS_TO_THEIR_END = async_steps([()])
ASYNC_TO_THE_END = [
    *[("__anext__", ())] * 3,
    ("aclose", ()),
    ("asend", (), 1),
    ("athrow", (), Boom, True),
    ("__anext__", ("throw",)),
]


def play_awaitable(awaitable, how, thrown, results):
    steps = awaitable.__await__()
    try:
        for action in (*how, *["send"] * 20):
            if action == "drop":
                return
            if action == "close":
                results.append(("closed", steps.close()))
                if how[-1] == "close":
                    return
            elif action == "throw":
                results.append(steps.throw(asyncio.CancelledError("thrown")))
            else:
                results.append(steps.send(None))
    except BaseException as error:
        results.append(says(error, thrown))
    finally:
        del awaitable, steps, thrown  # or the error, which has this frame, has them too


def play_async(generator, script, results):
    for name, how, *arguments in script:
        thrown = None
        if name == "athrow":
            kind, made = arguments
            thrown = kind("thrown") if made else kind
            arguments = [thrown]
        try:
            play_awaitable(getattr(generator, name)(*arguments), how, thrown, results)
        except BaseException as error:
            results.append(says(error, thrown))
        del thrown, arguments
        results.append((generator.ag_frame is None, generator.ag_running))
    return results


@contextlib.contextmanager
def a_loops_hooks(results):
    """Close what is dropped as a loop does: later, and from its own context."""
    dropped = []
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(lambda _: results.append("told of one"), dropped.append)
    try:
        yield
        while dropped:
            results.append("closed by the loop")
            play_async(dropped.pop(), [("aclose", ())], results)
    finally:
        sys.set_asyncgen_hooks(*hooks)


def async_played_on_the_bare_one(kind, script):
    def in_the_request():
        log, results = [], []
        with serving("ada"), writing_down_what_cannot_be_raised(results), a_loops_hooks(results):
            box = [kind(bare)(log)]
            play_async(box[0], script, results)
            box.clear()
        return results, log

    return copy_context().run(in_the_request)


def async_played_on_the_decorated_one(kind, decorate, script):
    log, results = [], []
    with writing_down_what_cannot_be_raised(results), a_loops_hooks(results):
        with serving("ada"):
            box = [decorate(kind(decorate))(log)]
        play_async(box[0], script, results)
        box.clear()
    return results, log


@every_decorator
@every_async_kind
@few_examples
@given(script=st.lists(ASYNC_STEPS_TO_THEIR_END, max_size=8))
def test_any_script_gives_on_a_decorated_async_generator_what_it_gives_on_the_bare_one(
    decorate, kind, script
):
    script += ASYNC_TO_THE_END
    expected = async_played_on_the_bare_one(kind, script)
    assert async_played_on_the_decorated_one(kind, decorate, script) == expected


@every_decorator
@every_async_kind
@few_examples
@given(script=st.lists(ASYNC_STEPS, max_size=5))
def test_steps_left_in_the_middle_do_on_a_decorated_async_generator_what_they_do_on_the_bare_one(
    decorate, kind, script
):
    expected = async_played_on_the_bare_one(kind, script)
    assert async_played_on_the_decorated_one(kind, decorate, script) == expected


@every_decorator
@kinds(*map(simple, [async_cleans_up, async_answers_a_close, async_never_yields]))
@few_examples
@given(script=st.lists(ASYNC_STEPS_AND_CLOSING, max_size=5))
def test_steps_that_are_closed_do_on_a_decorated_async_generator_what_they_do_on_the_bare_one(
    decorate, kind, script
):
    expected = async_played_on_the_bare_one(kind, script)
    assert async_played_on_the_decorated_one(kind, decorate, script) == expected
