"""traced_stream(): one run for one stream, opened inside it and ended once, however it ends."""

from __future__ import annotations

import asyncio
import gc
import itertools
from contextvars import ContextVar, copy_context

import pytest
from core.support import Boom, caught, serving, user

import ctxtrace
from ctxtrace import traced_stream

CURRENT: ContextVar[object] = ContextVar("current traced run", default=None)
_names = (f"stream carrier {number}" for number in itertools.count())


class Recorder(ctxtrace.Carrier):
    """Writes down each run that is opened, and each end of it."""

    def __init__(self):
        self.name = next(_names)  # what failed is logged once for each name
        self.opened = []
        self.ends = []
        self.joined = []

    def clear(self):
        CURRENT.set(None)

    def variables(self):
        return (CURRENT,)

    def open_run(self, name, run_type, inputs):
        self.opened.append((name, run_type, inputs()))
        self.opened_for = user()
        CURRENT.set(name)
        return self.end

    def end(self, end):
        self.ends.append(end)

    def join(self, chunks):
        self.joined.append(list(chunks))
        return sum(chunks) if all(isinstance(chunk, int) for chunk in chunks) else None


@pytest.fixture
def register():
    undos = []

    def register_(carrier):
        undos.append(ctxtrace.register_carrier(carrier))
        return carrier

    yield register_
    for undo in undos:
        undo()


@pytest.fixture
def recorder(register):
    return register(Recorder())


def warnings_of_ours(caplog):
    return [record for record in caplog.records if record.name == "ctxtrace"]


def only_end(recorder):
    (end,) = recorder.ends
    return end


def seen(end):
    """What is compared of an end: the time is not."""
    return end._replace(first_chunk_after=end.first_chunk_after is not None)._asdict()


def an_end(outputs, chunks, **others):
    return {
        "outputs": outputs,
        "error": None,
        "closed_early": False,
        "chunks": chunks,
        "kept": chunks,
        "first_chunk_after": chunks > 0,
        "reduce_error": None,
        **others,
    }


def words():
    yield "a"
    yield "b"


async def async_words():
    yield "a"
    await asyncio.sleep(0)
    yield "b"


class Words:
    def __init__(self):
        self.words = words()

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.words)

    def close(self):
        self.words.close()


class AsyncWords:
    def __init__(self):
        self.words = async_words()

    def __aiter__(self):
        return self

    async def __anext__(self):
        return await self.words.__anext__()

    async def aclose(self):
        await self.words.aclose()


def returns_words():
    return words()


def returns_an_object():
    return Words()


async def gives_words():
    return async_words()


async def gives_an_object():
    return AsyncWords()


def returns_an_async_object():
    return AsyncWords()


SYNC = [words, returns_words, returns_an_object]
ASYNC = [async_words, gives_words, gives_an_object, returns_an_async_object]
every_sync = pytest.mark.parametrize("function", SYNC)
every_async = pytest.mark.parametrize("function", ASYNC)


async def made(function):
    result = function()
    return await result if hasattr(result, "__await__") else result


async def listed(stream):
    return [item async for item in stream]


# When it is opened, and where.


def test_the_run_of_a_generator_is_opened_at_its_first_step_in_its_context(recorder):
    with serving("ada"):
        stream = traced_stream(words)()
    assert recorder.opened == []
    next(stream)
    assert (recorder.opened_for, CURRENT.get()) == ("ada", None)
    stream.close()


async def test_the_run_of_an_async_generator_is_opened_at_its_first_step(recorder):
    with serving("ada"):
        stream = traced_stream(async_words)()
    assert recorder.opened == []
    await stream.__anext__()
    assert (recorder.opened_for, CURRENT.get()) == ("ada", None)
    await stream.aclose()


@pytest.mark.parametrize("function", [returns_words, returns_an_object, returns_an_async_object])
def test_the_run_of_another_function_is_opened_at_the_call(function, recorder):
    with serving("ada"):
        stream = traced_stream(function)()
    assert (len(recorder.opened), recorder.opened_for, CURRENT.get()) == (1, "ada", None)
    del stream


async def test_the_run_of_a_coroutine_function_is_opened_at_the_call(recorder):
    with serving("ada"):
        coroutine = traced_stream(gives_words)()
    assert (len(recorder.opened), recorder.opened_for, CURRENT.get()) == (1, "ada", None)
    await listed(await coroutine)


def test_a_coroutine_that_is_never_awaited_ends_its_run(recorder, no_gc):
    coroutine = traced_stream(gives_words)()
    coroutine.close()
    del coroutine
    assert seen(only_end(recorder)) == an_end([], 0, closed_early=True)


def test_what_a_stream_does_finds_its_run_current(recorder):
    def parents():
        yield CURRENT.get()

    assert list(traced_stream(parents)()) == ["parents"]


def test_the_body_of_a_function_finds_the_run_of_its_stream_current(recorder):
    found = []

    def finds():
        found.append(CURRENT.get())
        return words()

    list(traced_stream(finds)())
    assert found == ["finds"]


def test_a_stream_inside_a_stream_finds_the_outer_ones_run_current(recorder):
    found = []

    @traced_stream
    def inner():
        found.append(CURRENT.get())
        yield

    @traced_stream
    def outer():
        yield from inner()
        found.append(CURRENT.get())

    list(outer())
    assert found == ["inner", "outer"]


def test_every_call_has_a_run_of_its_own(recorder):
    function = traced_stream(words)
    list(function()), list(function())
    assert (len(recorder.opened), len(recorder.ends)) == (2, 2)


# What it is called, and its inputs.


class Tools:
    @traced_stream
    def method(self, argument):
        yield argument


class Callable_:
    def __call__(self):
        return words()


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: traced_stream(words)(), "words"),
        (lambda: traced_stream(name="other")(words)(), "other"),
        (lambda: traced_stream(words()), "words"),
        (lambda: traced_stream(words(), name="other"), "other"),
        (lambda: traced_stream(map(str, "ab")), "map"),
        (lambda: traced_stream(Callable_())(), "Callable_"),
        (lambda: Tools().method(1), "method"),
    ],
)
def test_a_run_is_named_after_the_function_unless_it_is_given_a_name(make, name, recorder):
    list(make())
    assert recorder.opened[0][0] == name


@pytest.mark.parametrize(("given", "run_type"), [({}, "chain"), ({"run_type": "llm"}, "llm")])
def test_a_run_has_its_type(given, run_type, recorder):
    list(traced_stream(**given)(words)())
    assert recorder.opened[0][1] == run_type


def takes(first, *others, key=1, **more):
    yield "a"


def test_the_inputs_of_a_run_are_the_arguments_by_name(recorder):
    list(traced_stream(takes)(1, 2, 3, more=4))
    assert recorder.opened[0][2] == {"first": 1, "others": (2, 3), "more": {"more": 4}}


def test_a_call_without_arguments_has_empty_inputs(recorder):
    list(traced_stream(words)())
    assert recorder.opened[0][2] == {}


def test_the_inputs_of_a_method_are_without_self(recorder):
    list(Tools().method(1))
    assert recorder.opened[0][2] == {"argument": 1}


def test_a_stream_that_was_given_in_place_of_a_function_has_no_inputs(recorder):
    list(traced_stream(words()))
    assert recorder.opened[0][2] is None


def test_inputs_and_outputs_that_are_not_recorded_are_not_there(recorder):
    list(traced_stream(record=False)(takes)(1))
    assert recorder.opened[0][2] is None
    assert seen(only_end(recorder)) == an_end(None, 1, kept=0)


# How it ends.


@every_sync
def test_a_stream_that_is_exhausted_ends_its_run_with_what_it_gave(function, recorder):
    assert list(traced_stream(function)()) == ["a", "b"]
    assert seen(only_end(recorder)) == an_end("ab", 2)


@every_async
async def test_an_async_stream_that_is_exhausted_ends_its_run(function, recorder):
    assert await listed(await made(traced_stream(function))) == ["a", "b"]
    assert seen(only_end(recorder)) == an_end("ab", 2)


@every_sync
def test_a_stream_that_is_closed_early_is_no_failure(function, recorder):
    stream = traced_stream(function)()
    next(stream)
    stream.close()
    assert seen(only_end(recorder)) == an_end("a", 1, closed_early=True)


@every_async
async def test_an_async_stream_that_is_closed_early_is_no_failure(function, recorder):
    stream = await made(traced_stream(function))
    await stream.__anext__()
    await stream.aclose()
    assert seen(only_end(recorder)) == an_end("a", 1, closed_early=True)


@every_sync
def test_a_run_is_ended_once_whatever_is_done_afterwards(function, recorder):
    stream = traced_stream(function)()
    list(stream)
    caught(next, stream)
    stream.close()
    del stream
    assert len(recorder.ends) == 1


@every_sync
def test_a_stream_that_is_dropped_in_the_middle_ends_its_run(function, recorder, no_gc):
    stream = traced_stream(function)()
    next(stream)
    del stream
    assert seen(only_end(recorder)) == an_end("a", 1, closed_early=True)


async def test_an_async_stream_that_is_dropped_in_the_middle_ends_its_run(recorder, no_gc):
    stream = traced_stream(async_words)()
    await stream.__anext__()
    del stream
    for _ in range(5):
        await asyncio.sleep(0)
    assert seen(only_end(recorder)) == an_end("a", 1, closed_early=True)


async def test_an_async_stream_object_that_is_dropped_in_the_middle_ends_its_run(recorder, no_gc):
    stream = traced_stream(returns_an_async_object)()
    await stream.__anext__()
    del stream
    assert seen(only_end(recorder)) == an_end("a", 1, closed_early=True)
    await asyncio.sleep(0)


def test_a_generator_that_never_started_has_no_run(recorder, no_gc):
    stream = traced_stream(words)()
    del stream
    assert (recorder.opened, recorder.ends) == ([], [])


@pytest.mark.parametrize("function", [returns_words, returns_an_object, returns_an_async_object])
def test_a_stream_that_was_called_for_and_never_stepped_ends_its_run(function, recorder, no_gc):
    stream = traced_stream(function)()
    del stream
    assert seen(only_end(recorder)) == an_end([], 0, closed_early=True)


def fails():
    yield "a"
    raise Boom("on purpose")


async def async_fails():
    yield "a"
    raise Boom("on purpose")


def fails_at_the_call():
    raise Boom("on purpose")


async def fails_when_awaited():
    raise Boom("on purpose")


def test_a_stream_that_fails_ends_its_run_with_the_error(recorder):
    error = caught(list, traced_stream(fails)())
    assert seen(only_end(recorder)) == an_end("a", 1, error=error)


async def test_an_async_stream_that_fails_ends_its_run_with_the_error(recorder):
    with pytest.raises(Boom) as raised:
        await listed(traced_stream(async_fails)())
    assert seen(only_end(recorder)) == an_end("a", 1, error=raised.value)


def test_a_function_that_fails_at_the_call_ends_its_run_with_the_error(recorder):
    error = caught(traced_stream(fails_at_the_call))
    assert seen(only_end(recorder)) == an_end([], 0, error=error)


async def test_a_coroutine_function_that_fails_ends_its_run_with_the_error(recorder):
    with pytest.raises(Boom) as raised:
        await traced_stream(fails_when_awaited)()
    assert seen(only_end(recorder)) == an_end([], 0, error=raised.value)


def test_a_function_that_returns_no_stream_ends_its_run_with_the_error(recorder):
    error = caught(traced_stream(lambda: [1]))
    assert seen(only_end(recorder)) == an_end([], 0, error=error)


def test_an_error_that_is_thrown_into_a_stream_and_passes_through_is_its_runs(recorder):
    stream = traced_stream(words)()
    next(stream)
    error = Boom()
    caught(stream.throw, error)
    assert seen(only_end(recorder)) == an_end("a", 1, error=error)


def test_an_error_that_is_thrown_into_a_stream_and_caught_there_ends_nothing(recorder):
    def catches():
        try:
            yield "a"
        except Boom:
            yield "b"

    stream = traced_stream(catches)()
    next(stream)
    assert (stream.throw(Boom()), recorder.ends) == ("b", [])
    assert list(stream) == []
    assert seen(only_end(recorder)) == an_end("ab", 2)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_somebody_elses_wish_is_no_failure(kind, recorder):
    stream = traced_stream(words)()
    next(stream)
    assert type(caught(stream.throw, kind())) is kind
    assert seen(only_end(recorder)) == an_end("a", 1, closed_early=True)


def waiting(inside):
    async def waits():
        yield "a"
        inside.set()
        await asyncio.Event().wait()

    return waits


def waiting_object(inside):
    class Waits(AsyncWords):
        async def __anext__(self):
            if inside.given:
                inside.set()
                await asyncio.Event().wait()
            inside.given = True
            return "a"

    inside.given = False
    return Waits


@pytest.mark.parametrize("make", [waiting, waiting_object])
async def test_a_stream_whose_consumer_is_cancelled_in_the_middle_is_no_failure(make, recorder):
    inside = asyncio.Event()
    stream = traced_stream(make(inside))()
    task = asyncio.ensure_future(listed(stream))
    await inside.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert seen(only_end(recorder)) == an_end("a", 1, closed_early=True)


def test_a_generator_that_answers_a_close_by_returning_was_closed_early(recorder):
    def answers():
        try:
            yield "a"
        except GeneratorExit:
            return

    stream = traced_stream(answers)()
    next(stream)
    stream.close()
    assert seen(only_end(recorder)) == an_end("a", 1, closed_early=True)


def test_a_generator_that_fails_when_it_is_closed_has_failed(recorder):
    def fails_to_close():
        try:
            yield "a"
        finally:
            raise Boom

    stream = traced_stream(fails_to_close)()
    next(stream)
    error = caught(stream.close)
    assert seen(only_end(recorder)) == an_end("a", 1, error=error)


def test_a_stream_object_that_is_left_by_an_error_ends_its_run(recorder):
    class Managed(Words):
        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.close()

    def leaves():
        with traced_stream(Managed)() as stream:
            next(stream)
            raise Boom

    assert type(caught(leaves)) is Boom
    assert only_end(recorder).chunks == 1


def test_a_stream_ends_its_run_from_any_context(recorder):
    stream = traced_stream(words)()
    next(stream)
    copy_context().run(stream.close)
    assert len(recorder.ends) == 1


# Outputs.


def gives(*chunks):
    def gives():
        yield from chunks

    return gives


def test_chunks_that_are_no_strings_are_joined_by_the_carrier(recorder):
    list(traced_stream(gives(1, 2, 3))())
    assert (only_end(recorder).outputs, recorder.joined) == (6, [[1, 2, 3]])


def test_chunks_that_nobody_can_join_are_listed(recorder):
    list(traced_stream(gives("a", None))())
    assert only_end(recorder).outputs == ["a", None]


def test_a_stream_without_chunks_gives_an_empty_list(recorder):
    list(traced_stream(gives())())
    assert seen(only_end(recorder)) == an_end([], 0)


def test_reduce_makes_the_outputs(recorder):
    list(traced_stream(reduce=lambda chunks: {"count": len(chunks)})(words)())
    assert seen(only_end(recorder)) == an_end({"count": 2}, 2)


def test_reduce_may_give_none(recorder):
    list(traced_stream(reduce=lambda chunks: None)(words)())
    assert only_end(recorder).outputs is None


@pytest.mark.parametrize(
    ("max_chunks", "outputs", "kept"), [(0, [], 0), (1, "a", 1), (2, "ab", 2), (3, "ab", 2)]
)
def test_the_first_chunks_are_kept_and_all_are_counted(max_chunks, outputs, kept, recorder):
    assert list(traced_stream(max_chunks=max_chunks)(words)()) == ["a", "b"]
    assert seen(only_end(recorder)) == an_end(outputs, 2, kept=kept)


def test_the_time_to_the_first_chunk_is_measured(recorder):
    list(traced_stream(words)())
    assert 0 <= only_end(recorder).first_chunk_after < 60


def test_the_outputs_are_not_changed_by_a_reduce_that_changes_its_list(recorder):
    def changes(chunks):
        chunks.clear()
        raise Boom

    list(traced_stream(reduce=changes)(words)())
    assert only_end(recorder).outputs == "ab"


# What goes wrong is logged once, and the stream goes on.


def fails_in_reduce(chunks):
    raise Boom("secret")


def test_a_reduce_that_fails_is_logged_and_the_run_says_so(recorder, caplog):
    name = next(_names)
    for _ in range(2):
        assert list(traced_stream(name=name, reduce=fails_in_reduce)(words)()) == ["a", "b"]
    (record,) = warnings_of_ours(caplog)
    assert record.getMessage().startswith(f"the reduce of traced_stream {name!r} failed in")
    assert [end.outputs for end in recorder.ends] == ["ab", "ab"]
    assert [type(end.reduce_error) for end in recorder.ends] == [Boom, Boom]


@pytest.mark.parametrize("method", ["open_run", "end", "join"])
def test_a_carrier_that_fails_is_logged_once_and_the_stream_goes_on(method, register, caplog):
    def fail(*_):
        raise Boom

    fail.__name__ = method
    recorder = Recorder()
    setattr(recorder, method, fail)
    register(recorder)
    for _ in range(2):
        assert list(traced_stream(gives(1, 2))()) == [1, 2]
    (record,) = warnings_of_ours(caplog)
    assert record.getMessage().startswith(f"carrier {recorder.name!r} failed in {method}();")


def test_a_carrier_that_fails_does_not_keep_another_from_its_run(register, caplog):
    def fail(*_):
        raise Boom

    failing = Recorder()
    failing.open_run = fail
    register(failing)
    recorder = register(Recorder())
    list(traced_stream(words)())
    assert seen(only_end(recorder)) == an_end("ab", 2)


def test_an_end_that_fails_does_not_keep_another_from_its_end(register, caplog):
    def fail(*_):
        raise Boom

    failing = Recorder()
    failing.end = fail
    register(failing)
    recorder = register(Recorder())
    list(traced_stream(words)())
    assert len(recorder.ends) == 1


def test_a_carrier_that_opens_no_run_is_told_of_no_end(register):
    recorder = Recorder()
    recorder.open_run = lambda *_: None
    register(recorder)
    assert list(traced_stream(words)()) == ["a", "b"]
    assert recorder.ends == []


def test_a_carrier_without_these_methods_is_not_asked_for_them(register):
    class Plain(ctxtrace.Carrier):
        name = "plain"

        def clear(self):
            pass

    register(Plain())
    assert list(traced_stream(words)()) == ["a", "b"]


@every_sync
def test_without_any_carrier_a_traced_stream_is_a_stream(function):
    with serving("ada"):
        stream = traced_stream(function)()
    assert list(stream) == ["a", "b"]


def test_arguments_that_have_no_names_are_recorded_as_they_are(recorder, caplog):
    def nameless(*numbers):
        return iter(numbers)

    nameless.__signature__ = "not one"
    list(traced_stream(nameless)(1, 2))
    assert recorder.opened[0][2] == {"args": (1, 2), "kwargs": {}}


# Nothing is kept.


@pytest.mark.parametrize("function", SYNC)
def test_a_stream_that_was_closed_leaves_no_cycle(function, recorder, no_gc):
    stream = traced_stream(function)()
    next(stream)
    gc.collect()
    gc.collect()  # of what the first time closed
    stream.close()
    del stream
    assert gc.collect() == 0


async def async_closed(stream):
    await stream.__anext__()
    await stream.aclose()


@pytest.mark.parametrize("function", [async_words, returns_an_async_object])
def test_an_async_stream_that_was_closed_leaves_no_cycle(function, recorder, no_gc):
    stream = traced_stream(function)()
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(async_closed(traced_stream(function)()))
        gc.collect()
        gc.collect()  # of what the first time closed
        coroutine = async_closed(stream)
        caught(coroutine.send, None)
        del coroutine, stream
        assert gc.collect() == 0
    finally:
        loop.close()
