"""Programs around threads and timers that somebody starts."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
from collections import Counter

import langsmith
from langsmith import traceable
from opentelemetry.trace import get_tracer
from vendors.corpus import WEAK, loses, sound, tracing

import ctxtrace


# After opentelemetry-python-contrib issue 737: no span of a thread is below its starter's.
@loses("notify subscriber")
def subscribers_notified_by_a_thread_each() -> None:
    def notify(name: str) -> None:
        with get_tracer("news").start_as_current_span("notify subscriber"):
            sent.append(name)

    sent: list[str] = []
    with get_tracer("news").start_as_current_span("publish"):
        threads = [threading.Thread(target=notify, args=(name,)) for name in ("ada", "grace")]
        for thread in threads:
            thread.start()  # lost: notify subscriber
        for thread in threads:
            thread.join()
    assert len(sent) == 2


@loses("crawl_page")
def crawler_that_is_a_subclass_of_thread() -> None:
    @traceable
    def crawl_page(url: str) -> int:
        return len(url)

    class Crawler(threading.Thread):
        def __init__(self, url: str) -> None:
            super().__init__(name=f"crawler of {url}")
            self.url = url
            self.size = 0

        def run(self) -> None:
            self.size = crawl_page(self.url)

    with langsmith.trace("crawl"):
        crawler = Crawler("/about")
        crawler.start()  # lost: crawl_page
        crawler.join()
    assert crawler.size == 6


@loses("send_reminder")
def reminder_sent_by_a_timer() -> None:
    @traceable
    def send_reminder() -> None:
        pass

    @traceable
    def book() -> threading.Timer:
        timer = threading.Timer(0.0, send_reminder)
        timer.start()  # lost: send_reminder
        return timer

    book().join()


@loses("on download")
def thread_that_reports_to_the_loop() -> None:
    """The loop is told from a thread that had no span: it was lost when that was started."""

    async def download() -> None:
        loop = asyncio.get_running_loop()
        done = asyncio.Event()

        def finish() -> None:
            with get_tracer("files").start_as_current_span("on download"):
                done.set()

        with get_tracer("files").start_as_current_span("download"):
            thread = threading.Thread(target=loop.call_soon_threadsafe, args=(finish,))
            thread.start()  # lost: on download
            await done.wait()
            thread.join()

    asyncio.run(download())


@loses("summarize")
def loop_of_its_own_in_a_thread() -> None:
    """How a sync tool of an agent calls a coroutine while a loop is running."""

    @traceable
    async def summarize(text: str) -> str:
        await asyncio.sleep(0)
        return text[:3]

    @traceable
    def tool(text: str) -> str:
        results: list[str] = []
        thread = threading.Thread(target=lambda: results.append(asyncio.run(summarize(text))))
        thread.start()  # lost: summarize
        thread.join()
        return results[0]

    async def agent() -> None:
        assert tool("a long text") == "a l"

    asyncio.run(agent())


@loses("flush_metrics", when=WEAK)
def thread_with_a_copied_context_that_outlives_its_request() -> None:
    answered = threading.Event()

    @traceable
    def flush_metrics() -> None:
        pass

    def in_the_background() -> None:
        answered.wait()
        flush_metrics()

    @traceable
    def request() -> threading.Thread:
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(in_the_background,))
        thread.start()  # lost: flush_metrics
        return thread

    thread = request()
    gc.collect()
    answered.set()
    thread.join()


@loses("score", how="missing")
def tracing_turned_on_for_one_request_lost_in_a_thread() -> None:
    @traceable
    def score() -> None:
        pass

    @traceable
    def evaluate() -> None:
        thread = threading.Thread(target=score)
        thread.start()  # lost: score
        thread.join()

    with tracing():
        evaluate()


# Sound: the twins, repaired.


@sound
def subscribers_notified_by_threads_that_carry() -> None:
    def notify(name: str) -> None:
        with get_tracer("news").start_as_current_span(f"notify {name}"):
            pass

    with get_tracer("news").start_as_current_span("publish"):
        threads = [ctxtrace.Thread(target=notify, args=(name,)) for name in ("ada", "grace")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


@sound
def crawler_that_is_a_subclass_of_ours() -> None:
    @traceable
    def crawl_page() -> None:
        pass

    class Crawler(ctxtrace.Thread):
        def run(self) -> None:
            crawl_page()

    with langsmith.trace("crawl"):
        crawler = Crawler()
        crawler.start()
        crawler.join()


@sound
def reminder_sent_by_a_timer_that_carries() -> None:
    @traceable
    def send_reminder() -> None:
        pass

    @traceable
    def book() -> threading.Timer:
        timer = ctxtrace.Timer(0.0, send_reminder)
        timer.start()
        return timer

    timer = book()
    gc.collect()
    timer.join()


@sound
def standard_threads_and_timers_under_install() -> None:
    @traceable
    def part() -> None:
        pass

    @traceable
    def whole() -> None:
        for thread in (threading.Thread(target=part), threading.Timer(0.0, part)):
            thread.start()
            thread.join()

    with ctxtrace.install():
        whole()


@sound
def target_wrapped_where_the_thread_is_made() -> None:
    def work() -> None:
        with get_tracer("jobs").start_as_current_span("work"):
            pass

    with get_tracer("jobs").start_as_current_span("job"):
        thread = threading.Thread(target=ctxtrace.wrap(work))
        thread.start()
        thread.join()


# Sound: what only looks like a loss.


@sound(roots=2)
def timer_outside_of_any_run() -> None:
    def rotate() -> None:
        with get_tracer("logs").start_as_current_span("rotate"):
            pass

    timer = threading.Timer(0.0, rotate)
    timer.start()
    timer.join()
    with get_tracer("logs").start_as_current_span("compress"):
        pass


@sound
def thread_that_counts_and_traces_nothing() -> None:
    words: Counter[str] = Counter()
    with langsmith.trace("count words"):
        thread = threading.Thread(target=words.update, args=(["a", "b", "a"],))
        thread.start()
        thread.join()
    assert words["a"] == 2


@sound
def timer_that_is_cancelled() -> None:
    @traceable
    def give_up() -> None:
        raise AssertionError("it was cancelled")

    with langsmith.trace("request"):
        timer = threading.Timer(3600.0, give_up)
        timer.start()
        timer.cancel()
        timer.join()


@sound(roots=2)
def housekeeping_started_to_stand_alone() -> None:
    @traceable
    def housekeeping() -> None:
        pass

    with langsmith.trace("request"), ctxtrace.detached():
        thread = threading.Thread(target=housekeeping)
        thread.start()
        thread.join()


@sound
def thread_that_opens_the_trace_of_the_program_itself() -> None:
    def serve() -> None:
        with langsmith.trace("GET /"), langsmith.trace("render"):
            pass

    thread = threading.Thread(target=serve)
    thread.start()
    thread.join()


@sound
def parent_handed_over_by_hand() -> None:
    """As one did before: the run is an argument, and the thread says whose child it is."""

    @traceable
    def fetch() -> None:
        pass

    with langsmith.trace("request") as run:
        thread = threading.Thread(target=fetch, kwargs={"langsmith_extra": {"parent": run}})
        thread.start()
        thread.join()
