"""Snapshot.attach() and detached(): overlays on the context that is current."""

from __future__ import annotations

import contextvars

import pytest
from core.support import (
    OTHER,
    USER,
    Boom,
    current_run,
    has_current_run_set,
    has_parent,
    serving,
    user,
)

import ctxtrace


def captured(name="ada"):
    with serving(name):
        return ctxtrace.capture()


def test_control_without_attach_the_captured_variable_is_not_seen():
    captured()
    assert user() == "nobody"


def test_attach_sets_the_captured_variable_for_the_block():
    with captured().attach():
        assert user() == "ada"


def test_attach_restores_the_value_before(ada):
    with captured("grace").attach():
        assert user() == "grace"
    assert user() == "ada"


def test_attach_leaves_a_variable_unset_that_was_unset_before():
    def block():
        with captured().attach():
            pass
        return USER in contextvars.copy_context()

    assert contextvars.Context().run(block) is False


def test_attach_restores_the_value_before_when_the_block_fails(ada):
    with pytest.raises(Boom), captured("grace").attach():
        raise Boom
    assert user() == "ada"


def test_attach_restores_a_captured_variable_that_the_block_sets(ada):
    with captured("grace").attach():
        USER.set("mary")
    assert user() == "ada"


def test_attach_restores_a_captured_variable_that_had_the_same_value_and_the_block_sets(ada):
    with ctxtrace.capture().attach():
        USER.set("mary")
    assert user() == "ada"


def test_a_variable_that_only_the_block_sets_stays_set():
    def block():
        with captured().attach():
            OTHER.set("by the block")
        return OTHER.get()

    assert contextvars.copy_context().run(block) == "by the block"


def test_a_variable_that_only_the_current_context_has_is_seen_in_the_block(ada):
    snapshot = contextvars.Context().run(ctxtrace.capture)
    with snapshot.attach():
        assert user() == "ada"


def test_one_snapshot_can_be_attached_inside_itself(ada):
    snapshot = captured("grace")
    with snapshot.attach():
        with snapshot.attach():
            assert user() == "grace"
        assert user() == "grace"
    assert user() == "ada"


def test_overlays_of_two_snapshots_nest():
    with captured("ada").attach():
        with captured("grace").attach():
            assert user() == "grace"
        assert user() == "ada"


def test_an_attach_left_in_another_context_changes_nothing_there_and_raises_nothing():
    def generator():
        with captured("grace").attach():
            yield

    started = generator()
    contextvars.copy_context().run(next, started)
    with serving("ada"):
        started.close()
        assert user() == "ada"


def test_an_attach_cannot_be_entered_twice():
    overlay = captured().attach()
    with overlay:
        pass
    with pytest.raises(RuntimeError, match=r"was entered before: call it anew for each with"):
        overlay.__enter__()


def test_attach_clears_the_current_run_where_the_snapshot_has_none(tracer):
    snapshot = contextvars.Context().run(ctxtrace.capture)
    with tracer.run() as run:
        with snapshot.attach():
            assert not has_current_run_set()
        assert current_run() is run()


def test_attach_makes_the_captured_run_current_even_after_it_returned(tracer):
    with tracer.run() as run:
        snapshot = ctxtrace.capture()
    with snapshot.attach():
        assert current_run() is run()
    assert not has_current_run_set()


def test_attach_keeps_the_pin_during_the_block_when_the_snapshot_is_dropped(tracer, no_gc):
    with tracer.run() as run:
        snapshot = ctxtrace.capture()
    overlay = snapshot.attach()
    with overlay:
        del snapshot
        assert has_parent()
    assert run() is None


def test_control_what_starts_inside_a_run_finds_it_for_a_parent(tracer):
    with tracer.run():
        assert has_parent()


def test_nothing_is_current_inside_detached(tracer):
    with tracer.run(), ctxtrace.detached():
        assert not has_parent()


def test_what_starts_inside_detached_pins_nothing(tracer, no_gc):
    with tracer.run() as run, ctxtrace.detached():
        snapshot = ctxtrace.capture()
    assert run() is None
    assert snapshot.run(has_current_run_set) is False


def test_the_run_is_current_again_after_detached(tracer):
    with tracer.run() as run:
        with ctxtrace.detached():
            pass
        assert current_run() is run()


def test_the_users_variables_stay_inside_detached(ada):
    with ctxtrace.detached():
        assert user() == "ada"


def test_what_the_block_sets_inside_detached_stays_set(tracer):
    def block():
        with tracer.run(), ctxtrace.detached():
            USER.set("mary")
        return user()

    assert contextvars.copy_context().run(block) == "mary"


def test_a_run_opened_inside_detached_is_current_there(tracer):
    with tracer.run(), ctxtrace.detached(), tracer.run() as own:
        assert current_run() is own()


def test_detached_restores_when_the_block_fails(tracer):
    with tracer.run() as run:
        with pytest.raises(Boom), ctxtrace.detached():
            raise Boom
        assert current_run() is run()


def test_detached_looks_at_the_context_it_is_entered_in_and_not_where_it_was_made(tracer):
    overlay = ctxtrace.detached()
    with tracer.run():
        with overlay:
            assert not has_parent()
        assert has_parent()


def test_a_detached_left_in_another_context_changes_nothing_there(tracer):
    def generator():
        with ctxtrace.detached():
            yield

    started = generator()
    with tracer.run() as run:
        contextvars.copy_context().run(next, started)
        started.close()
        assert current_run() is run()


def test_detached_blocks_nest(tracer):
    with tracer.run() as run:
        with ctxtrace.detached():
            with ctxtrace.detached():
                assert not has_parent()
            assert not has_parent()
        assert current_run() is run()


async def test_detached_holds_across_an_await(tracer):
    import asyncio

    with tracer.run() as run:
        with ctxtrace.detached():
            await asyncio.sleep(0)
            assert not has_parent()
        assert current_run() is run()
