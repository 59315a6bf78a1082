"""Items come in the order in which the bare queue gives them, whoever put them and how."""

from __future__ import annotations

import asyncio
import functools
import queue
from dataclasses import dataclass, field
from typing import Any

import pytest
from chance import examples
from hypothesis import given
from hypothesis import strategies as st

import ctxtrace

few_examples = examples(12)


# Items that say which they are, also among equals: the test looks at `serial`.


@dataclass(order=True)
class Ordered:
    priority: int
    serial: Any = field(compare=False)


class Plain:
    """Whose __lt__ reads an attribute of the other."""

    def __init__(self, priority, serial):
        self.priority = priority
        self.serial = serial

    def __lt__(self, other):
        return self.priority < other.priority


class Reversed(Plain):
    """That knows > alone."""

    __lt__ = object.__lt__

    def __gt__(self, other):
        return self.priority > other.priority


@functools.total_ordering
class Total(Plain):
    def __eq__(self, other):
        if not isinstance(other, Total):
            return NotImplemented
        return self.priority == other.priority

    __hash__ = None

    def __lt__(self, other):
        if not isinstance(other, Total):
            return NotImplemented
        return self.priority < other.priority


class Slotted:
    __slots__ = ("_rank", "serial")

    def __init__(self, priority, serial):
        self._rank = priority
        self.serial = serial

    def __lt__(self, other):
        return self._rank < other._rank


class Methodical(Plain):
    def rank(self):
        return -self.priority

    def __lt__(self, other):
        return self.rank() < other.rank()


class NamedAsOurs:
    """Whose attributes are called what those of the wrapper's own things may be called."""

    def __init__(self, priority, serial):
        self.item = priority
        self.snapshot = priority
        self.serial = serial

    def __lt__(self, other):
        return (self.item, self.snapshot) < (other.item, other.snapshot)


class Subscripted(tuple):
    """Whose __lt__ looks into the other."""

    __slots__ = ()

    def __new__(cls, priority, serial):
        return super().__new__(cls, (priority, serial))

    @property
    def serial(self):
        return self[1]

    def __lt__(self, other):
        return self[0] < other[0]


class Text(str):
    __slots__ = ("serial",)

    def __new__(cls, priority, serial):
        text = super().__new__(cls, str(priority))
        text.serial = serial
        return text


class Number(int):
    def __new__(cls, priority, serial):
        number = super().__new__(cls, priority)
        number.serial = serial
        return number


class Pair(tuple):
    """Ordered as tuples are: by the first that differs."""

    __slots__ = ()

    def __new__(cls, priority, serial):
        return super().__new__(cls, (priority, serial % 3, Number(0, serial)))

    @property
    def serial(self):
        return self[2].serial


ITEMS = [Ordered, Plain, Reversed, Total, Slotted, Methodical, Text, Number, Pair]
# What a bare item on the left of a < may find out about the wrapper's own things.
HARD_ITEMS = [NamedAsOurs, Subscripted]

# A priority to put through the wrapper, one to put into the inner queue, or None to take.
scripts = st.lists(st.one_of(st.none(), st.tuples(st.booleans(), st.integers(0, 4))), max_size=30)
scripts_through_the_wrapper = st.lists(
    st.one_of(st.none(), st.tuples(st.just(True), st.integers(0, 4))), max_size=30
)


def play(script, item, inner, outer):
    """Do what a script says, take what is left, and tell what came when."""
    taken = []
    for serial, step in enumerate(script):
        if step is None:
            if not outer.empty():
                taken.append(outer.get_nowait())
        else:
            (outer if step[0] else inner).put_nowait(item(step[1], serial))
    while not outer.empty():
        taken.append(outer.get_nowait())
    return [(type(thing), thing.serial) for thing in taken]


def play_both(script, item, make, wrapper):
    bare, inner = make(), make()
    expected = play(script, item, bare, bare)
    return play(script, item, inner, wrapper(inner)), expected


KINDS = [queue.Queue, queue.SimpleQueue, queue.LifoQueue, queue.PriorityQueue]
ASYNC_KINDS = [asyncio.Queue, asyncio.LifoQueue, asyncio.PriorityQueue]


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize("item", ITEMS)
@few_examples
@given(script=scripts)
def test_items_put_bare_and_through_the_wrapper_come_in_the_order_of_the_bare_queue(
    make, item, script
):
    ours, expected = play_both(script, item, make, ctxtrace.ContextQueue)
    assert ours == expected


@pytest.mark.parametrize("make", ASYNC_KINDS)
@pytest.mark.parametrize("item", ITEMS)
@few_examples
@given(script=scripts)
def test_async_items_put_bare_and_through_the_wrapper_come_in_the_order_of_the_bare_queue(
    make, item, script
):
    async def main():
        return play_both(script, item, make, ctxtrace.AsyncContextQueue)

    ours, expected = asyncio.run(main())
    assert ours == expected


@pytest.mark.parametrize("item", HARD_ITEMS)
@few_examples
@given(script=scripts_through_the_wrapper)
def test_priority_is_by_the_item_alone_whatever_its_comparison_looks_at(item, script):
    ours, expected = play_both(script, item, queue.PriorityQueue, ctxtrace.ContextQueue)
    assert ours == expected


@pytest.mark.parametrize("item", HARD_ITEMS)
@pytest.mark.parametrize("first_is_bare", [False, True])
def test_priority_is_by_the_item_alone_also_against_bare_items_that_look_at_the_other(
    item, first_is_bare
):
    script = [(not first_is_bare, 2), (first_is_bare, 1), (not first_is_bare, 3)]
    ours, expected = play_both(script, item, queue.PriorityQueue, ctxtrace.ContextQueue)
    assert ours == expected


def test_handlers_are_given_items_in_the_order_of_priority():
    q, seen = ctxtrace.ContextQueue(queue.PriorityQueue()), []
    for priority in (3, 1, 2):
        q.put((priority, "item"))
    q.stop()
    q.serve(seen.append)
    assert seen == [(1, "item"), (2, "item"), (3, "item")]


def test_handlers_are_given_the_last_item_first_by_a_lifo_queue():
    q, seen = ctxtrace.ContextQueue(queue.LifoQueue()), []
    for item in range(3):
        q.put(item)
    q.stop()
    q.serve(seen.append)
    assert seen == [2, 1, 0]
