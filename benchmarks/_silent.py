"""A LangSmith client that sends nothing, so that what is measured is what happens before."""

from __future__ import annotations

import contextlib
from contextvars import Context, ContextVar
from typing import TYPE_CHECKING, Any

from langsmith import Client, trace, tracing_context
from langsmith.run_helpers import get_current_run_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Silent(Client):
    """Drops every run at once, and counts them."""

    def __init__(self) -> None:
        super().__init__(
            api_url="http://localhost", api_key="none", auto_batch_tracing=False, info={}
        )
        self.posted = 0

    def create_run(self, *_: Any, **__: Any) -> None:
        self.posted += 1

    def update_run(self, *_: Any, **__: Any) -> None:
        pass


CLIENT = Silent()
# The user's own. They hold small strings.
VARIABLES: list[ContextVar[str]] = [ContextVar(f"variable {number}") for number in range(100)]


def with_tracing(measure: Callable[[], float]) -> float:
    """Measure with LangSmith on."""
    before = CLIENT.posted
    with tracing_context(enabled=True, client=CLIENT):
        taken = measure()
    assert CLIENT.posted > before, "LangSmith recorded nothing"
    return taken


@contextlib.contextmanager
def context_with(variables: int = 0, run: bool = False) -> Iterator[Context]:
    """Make a new context in which so many variables are set, and a run of LangSmith's is current.

    The run ends after the block, and must still be current there: what is measured enters copies.
    """
    context = Context()
    for variable in VARIABLES[:variables]:
        context.run(variable.set, "x")
    if not run:
        yield context
        return
    # Both hold themselves open in this one context, whatever runs in copies of it.
    tracing = tracing_context(enabled=True, client=CLIENT)
    request = trace("request", client=CLIENT)
    context.run(tracing.__enter__)
    context.run(request.__enter__)
    assert context.run(get_current_run_tree) is not None
    try:
        yield context
        assert context.run(get_current_run_tree) is not None, "the run was lost"
    finally:
        context.run(request.__exit__, None, None, None)
        context.run(tracing.__exit__, None, None, None)
