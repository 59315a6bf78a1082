"""A LangSmith client that sends nothing, so that what is measured is what happens before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langsmith import Client, tracing_context

if TYPE_CHECKING:
    from collections.abc import Callable


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


def with_tracing(measure: Callable[[], float]) -> float:
    """Measure with LangSmith on."""
    before = CLIENT.posted
    with tracing_context(enabled=True, client=CLIENT):
        taken = measure()
    assert CLIENT.posted > before, "LangSmith recorded nothing"
    return taken
