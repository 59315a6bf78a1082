"""What the libraries have in common in the child of a fork."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_left_alone: list[Any] = []


def leave_alone(thing: Any) -> None:
    """Keep what a child must not use, and must not free either: for ever.

    To let go of a pool of connections is to close them under a lock, which a thread of the parent
    may have held; to let go of a compressor may be to wait for a thread that is not there. The
    interpreter lets go of all that Python code holds when it ends; so nobody's reference is added.
    """
    _left_alone.append(thing)
    with suppress(ImportError):  # Python without ctypes: only an end of the interpreter may hang
        import ctypes

        ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def renew_connections(session: Any) -> None:
    """Give a requests session of a forked child connections of its own.

    Parent and child would write into the same socket, and each read the other's answers.
    """
    for adapter in session.adapters.values():
        leave_alone((adapter.poolmanager, adapter.proxy_manager))
        adapter.proxy_manager = {}
        adapter.init_poolmanager(
            adapter._pool_connections, adapter._pool_maxsize, block=adapter._pool_block
        )


def replaced(kind: type, **methods: Callable[..., Any]) -> Callable[[], None]:
    """Put methods in the place of a class's own; return what puts those back."""
    originals = {name: vars(kind)[name] for name in methods}
    for name, method in methods.items():
        setattr(kind, name, method)
    return partial(_put_back, kind, methods, originals)


def _put_back(kind: type, methods: dict[str, Any], originals: dict[str, Any]) -> None:
    for name, method in methods.items():
        if vars(kind).get(name) is method:  # and not somebody's who came after
            setattr(kind, name, originals[name])
