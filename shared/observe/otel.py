"""OpenTelemetry as `tracing.py` uses it: spans in batches over OTLP/HTTP, from each process and each child."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_PATH = "/v1/traces"
_TIMEOUT_S = 5
_DELAY_MS = 1000
#: Names of ours begin with this.
_OURS = "mediscan."


class Tracing:
    """Where this process's spans go. After a fork the child's go on by themselves."""

    def __init__(self, endpoint: str, service: str) -> None:
        resource = Resource({"service.name": f"mediscan-{service}"})
        # Without limits from the environment: settings of ours are in one place.
        provider = TracerProvider(resource=resource)
        exporter = OTLPSpanExporter(endpoint=endpoint.rstrip("/") + _PATH, timeout=_TIMEOUT_S)
        provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=_DELAY_MS))
        self._tracer = provider.get_tracer("mediscan")
        self._context = TraceContextTextMapPropagator()

    @contextmanager
    def span(
        self, name: str, parent: str | None, attributes: Mapping[str, str | int | float]
    ) -> Iterator[None]:
        """Around a block; an error is told by its type alone."""
        # `tracestate` is not taken: it may hold anything.
        context = self._context.extract({"traceparent": parent}) if parent else None
        with self._tracer.start_as_current_span(
            name,
            context,
            attributes=_named(attributes),
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except BaseException as error:
                span.set_status(StatusCode.ERROR, type(error).__name__)
                raise

    def record(self, name: str, start_ns: int, end_ns: int) -> None:
        """One that is over."""
        self._tracer.start_span(name, start_time=start_ns).end(end_ns)

    def describe(self, name: str, attributes: Mapping[str, str | int | float]) -> None:
        """Rename the one around this, and add to it."""
        span = trace.get_current_span()
        span.update_name(name)
        span.set_attributes(_named(attributes))

    def carried(self) -> str | None:
        """The one around this."""
        carrier: dict[str, str] = {}
        self._context.inject(carrier)
        return carrier.get("traceparent")


def _named(attributes: Mapping[str, str | int | float]) -> dict[str, str | int | float]:
    return {f"{_OURS}{name}": value for name, value in attributes.items()}
