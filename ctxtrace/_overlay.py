"""Set variables of the current context for a block, and put them back: `attach`, `detached`.

Not an isolation: the block runs in the context it stands in. What a private copy of a context
would do without a trace, this does variable by variable.
"""

from __future__ import annotations

from contextvars import Context, ContextVar, Token, copy_context
from typing import TYPE_CHECKING, Any

from ._errors import guard
from .carriers import active, called, variables_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Never

_MISSING: Any = object()


class Overlay:
    """Sets variables for a block and puts back what it set: `attach` and `detached`."""

    __slots__ = ("_pins", "_tokens", "_values")

    def __init__(
        self, values: Callable[[], dict[ContextVar[Any], Any]] | None, pins: object
    ) -> None:
        self._values = values
        self._pins = pins
        self._tokens: list[Token[Any]] = []

    def __enter__(self) -> None:
        values, self._values = self._values, None
        if values is None:
            raise RuntimeError(
                "this attach() or detached() was entered before: call it anew for each with block"
            )
        for variable, value in values().items():
            # Also where it has that value now: the block may set it to another.
            self._tokens.append(variable.set(value))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        tokens, self._tokens = self._tokens, []
        self._pins = None
        for token in reversed(tokens):
            try:
                token.var.reset(token)
            except ValueError:
                # Python's word for "this is another context". What was set was set there,
                # and is gone with it.
                return

    def __call__(self, function: object) -> Never:
        raise TypeError(
            f"attach() and detached() are context managers, not decorators: a decorator on "
            f"{function!r} would act once, where the function is defined. Write "
            "'with ...:' inside the function, around the code that it is for."
        )


def values_of(context: Context) -> dict[ContextVar[Any], Any]:
    """Return the variables of a context, and the carriers' other ones as empty."""
    return {**traces_of(context), **dict(context.items())}


def traces_of(context: Context) -> dict[ContextVar[Any], Any]:
    """Return the carriers' variables alone, as they are in a context or as empty."""
    values: dict[ContextVar[Any], Any] = {}
    for carrier in active():
        for variable in variables_of(carrier):
            value = context[variable] if variable in context else _default(variable)
            if value is not _MISSING:
                values[variable] = value
    return values


def values_without_runs() -> dict[ContextVar[Any], Any]:
    """Return what the carriers' variables are to be where no run is current."""
    context = copy_context()
    variables: list[ContextVar[Any]] = []
    for carrier in active():
        context.run(guard, called(carrier), carrier.clear)
        variables.extend(variables_of(carrier))
    return {variable: context[variable] for variable in variables if variable in context}


def _default(variable: ContextVar[Any]) -> Any:
    # Python has no other way to ask for it.
    try:
        return Context().run(variable.get)
    except LookupError:
        return _MISSING
