"""Whatever provider of OpenTelemetry's a program sets, or none: its spans are recorded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import set_tracer_provider  # as a program imports it that is recorded
from vendors.spans import nested, no_provider_set, processors, tracer

from ctxtrace.testing import _otel, record

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _no_provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with no_provider_set(monkeypatch):
        yield


def test_no_provider_is_set_unless_opentelemetry_is_asked_for() -> None:
    with record() as recording, record("langsmith"):
        nested()
    assert trace._TRACER_PROVIDER is None
    assert recording.forest().nodes == []


def test_a_provider_without_an_exporter_is_set_where_opentelemetry_is_asked_for() -> None:
    with record("otel") as recording:
        nested()
    assert isinstance(trace._TRACER_PROVIDER, TracerProvider)
    assert processors() == 1
    assert recording.forest().shape == [("outer", [("inner", [])])]


def test_a_provider_that_is_set_in_the_recording_is_recorded() -> None:
    set_before = trace._set_tracer_provider
    with record() as recording:
        early = tracer()
        nested()
        set_tracer_provider(TracerProvider(shutdown_on_exit=False))
        nested()
        early.start_span("early").end()
    assert recording.forest().shape == [("early", []), ("outer", [("inner", [])])]
    assert trace._set_tracer_provider is set_before


def test_what_hears_of_providers_is_idle_after_a_patch_has_put_it_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_before = trace._set_tracer_provider
    monkeypatch.setattr(trace, "_set_tracer_provider", set_before)  # to have it back at the end
    with record():
        patch = mock.patch.object(trace, "_set_tracer_provider", trace._set_tracer_provider)
        patch.start()
    patch.stop()
    assert trace._set_tracer_provider is not set_before
    set_tracer_provider(TracerProvider(shutdown_on_exit=False))
    assert processors() == 0


def test_a_provider_that_is_set_between_recordings_is_recorded_in_the_next() -> None:
    with record():
        pass
    set_tracer_provider(TracerProvider(shutdown_on_exit=False))
    with record() as recording:
        nested()
    assert recording.forest().shape == [("outer", [("inner", [])])]


def test_a_provider_that_the_environment_names_is_not_made_by_looking(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_PYTHON_TRACER_PROVIDER", "sdk_tracer_provider")
    with record():
        assert trace._TRACER_PROVIDER is None
    assert trace._TRACER_PROVIDER is None


def test_a_provider_that_the_environment_names_goes_before_one_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[Any] = []

    def load(*_: Any) -> Any:
        made.append(TracerProvider(shutdown_on_exit=False))
        return made[0]

    monkeypatch.setenv("OTEL_PYTHON_TRACER_PROVIDER", "mine")
    monkeypatch.setattr(trace, "_load_provider", load)
    with record("otel") as recording:
        nested()
    assert made == [trace._TRACER_PROVIDER]
    assert recording.forest().shape == [("outer", [("inner", [])])]


class Handing:
    """A user's provider, which hands on to one of the SDK's."""

    __slots__ = ("inner",)

    def __init__(self) -> None:
        self.inner = TracerProvider(shutdown_on_exit=False)

    def get_tracer(self, *args: Any, **kwargs: Any) -> trace.Tracer:
        return self.inner.get_tracer(*args, **kwargs)

    def add_span_processor(self, processor: Any) -> None:
        self.inner.add_span_processor(processor)


@dataclass
class Unhashable(trace.TracerProvider):
    inner: TracerProvider = field(default_factory=lambda: TracerProvider(shutdown_on_exit=False))

    get_tracer = Handing.get_tracer
    add_span_processor = Handing.add_span_processor


@pytest.mark.parametrize("kind", [Handing, Unhashable], ids=["no-weak-reference", "unhashable"])
def test_a_users_provider_is_recorded_and_given_one_processor(
    kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_otel, "_met", {})
    provider = kind()
    set_tracer_provider(provider)
    for _ in range(2):
        with record() as recording:
            nested()
        assert recording.forest().shape == [("outer", [("inner", [])])]
    assert processors(provider.inner) == 1


class Exchanged(trace.TracerProvider):
    """A proxy that stays, of a provider that is exchanged; logfire sets one."""

    def __init__(self) -> None:
        self.provider = TracerProvider(shutdown_on_exit=False)

    def get_tracer(self, *args: Any, **kwargs: Any) -> trace.Tracer:
        return self.provider.get_tracer(*args, **kwargs)

    def add_span_processor(self, processor: Any) -> None:
        self.provider.add_span_processor(processor)


def test_a_provider_that_is_exchanged_behind_its_proxy_is_recorded_again() -> None:
    proxy = Exchanged()
    set_tracer_provider(proxy)
    for _ in range(2):
        proxy.provider = TracerProvider(shutdown_on_exit=False)
        for _ in range(2):
            with record("otel") as recording:
                nested()
            assert recording.forest().shape == [("outer", [("inner", [])])]
        assert processors(proxy.provider) == 1


def test_a_provider_of_another_make_is_left_alone() -> None:
    set_tracer_provider(trace.NoOpTracerProvider())
    with record("otel") as recording:
        nested()
    assert recording.forest().nodes == []


def test_what_the_environment_says_of_sampling_does_not_hold_for_a_provider_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    with record("otel") as recording:
        nested()
    assert recording.forest().shape == [("outer", [("inner", [])])]


def test_control_what_the_environment_says_of_sampling_holds_for_the_programs_own_provider(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    set_tracer_provider(TracerProvider(shutdown_on_exit=False))
    with record("otel") as recording:
        nested()
    assert recording.forest().nodes == []


@pytest.mark.parametrize("disabled", ["true", "false"])
def test_that_no_span_came_is_told_with_the_variable_that_kept_them_away(
    disabled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", disabled)
    with record("otel") as recording:
        if disabled == "true":
            nested()
    with pytest.raises(AssertionError, match="otel: none came") as failed:
        recording.assert_single_trace()
    assert ("OTEL_SDK_DISABLED is set" in str(failed.value)) is (disabled == "true")
