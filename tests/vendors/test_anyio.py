"""Work that crosses from an async library into a thread may start that library itself."""

from __future__ import annotations

import contextvars
from typing import Any

import anyio
import pytest
import sniffio

import ctxtrace

BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])


async def answer() -> int:
    await anyio.sleep(0)
    return 42


def run_anyio() -> int:
    return anyio.run(answer)


@BACKENDS
def test_control_a_bare_copy_of_the_context_cannot_start_anyio_in_a_thread(backend: str) -> None:
    import concurrent.futures

    async def main() -> None:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            future = pool.submit(contextvars.copy_context().run, run_anyio)
            with pytest.raises(RuntimeError, match=f"Already running {backend} in this thread"):
                future.result()

    anyio.run(main, backend=backend)


def by_submit() -> int:
    with ctxtrace.ThreadPoolExecutor(1) as pool:
        return pool.submit(run_anyio).result()


def by_map() -> int:
    with ctxtrace.ThreadPoolExecutor(1) as pool:
        return next(pool.map(lambda _: run_anyio(), [None]))


def by_thread() -> int:
    results: list[int] = []
    thread = ctxtrace.Thread(target=lambda: results.append(run_anyio()))
    thread.start()
    thread.join()
    return results[0]


def by_wrap() -> int:
    import concurrent.futures

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(ctxtrace.wrap(run_anyio)).result()


@BACKENDS
@pytest.mark.parametrize("cross", [by_submit, by_map, by_thread, by_wrap])
def test_work_in_a_thread_may_start_anyio(cross: Any, backend: str) -> None:
    async def main() -> int:
        return cross()

    assert anyio.run(main, backend=backend) == 42


@BACKENDS
def test_a_snapshot_used_where_it_was_taken_knows_the_library_that_runs(backend: str) -> None:
    async def main() -> tuple[str, str]:
        snapshot = ctxtrace.capture()
        return snapshot.run(sniffio.current_async_library), await snapshot.run(answer_library)

    async def answer_library() -> str:
        await anyio.sleep(0)
        return sniffio.current_async_library()

    assert anyio.run(main, backend=backend) == (backend, backend)


@BACKENDS
def test_an_attached_snapshot_leaves_the_receivers_library_alone(backend: str) -> None:
    snapshot = ctxtrace.capture()  # outside of any library

    async def main() -> str:
        with snapshot.attach():
            await anyio.sleep(0)
            return sniffio.current_async_library()

    assert anyio.run(main, backend=backend) == backend


def test_a_snapshot_from_inside_a_run_that_ended_may_start_anyio() -> None:
    async def main() -> ctxtrace.Snapshot:
        return ctxtrace.capture()

    assert anyio.run(main).run(run_anyio) == 42
