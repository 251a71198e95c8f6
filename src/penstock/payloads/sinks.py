"""From the settings to the sinks that they name. What a sink needs of an extra is imported where it is asked for."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

from penstock.domain.start import StartError, missing_extra
from penstock.payloads.claim import Claim
from penstock.payloads.file_set import try_directory
from penstock.payloads.jsonl_sink import JsonLinesSink
from penstock.payloads.layout import host
from penstock.payloads.options import PayloadOptions
from penstock.payloads.remote import Destination, RemoteSink
from penstock.payloads.sink import Sink
from penstock.payloads.waiting import Limits

_EXTRAS: Final = {"cloudevents": "events", "kafka": "kafka", "object_store": "s3", "parquet": "parquet"}


class Sinks:
    """Makes sinks by their names."""

    def __init__(self, options: PayloadOptions, state_dir: Path) -> None:
        self._options = options
        self._directory: Final = options.directory(state_dir)

    def check(self, names: Iterable[str]) -> None:
        """Try what these sinks need: directory, extra and address. Raises `StartError`."""
        for name in sorted(names):
            with self._told(name):
                try_directory(self._directory)
                self._try(name)

    def made(self, name: str) -> Sink:
        """Return a new sink; what an earlier process has left for it comes with it. Blocks; raises `StartError`."""
        with self._told(name):
            if name == "jsonl":
                return JsonLinesSink(self._directory, self._options)
            return self._parquet() if name == "parquet" else self._elsewhere(name)

    def _try(self, name: str) -> None:
        if name == "parquet":
            self._parquet()
        elif name == "object_store":
            self._into_bucket()
        elif name != "jsonl":
            self._connect(name)().close()

    def _parquet(self) -> Sink:
        from penstock.payloads.parquet_sink import ParquetSink  # noqa: PLC0415 - an extra

        return ParquetSink(self._directory, self._options)

    def _elsewhere(self, name: str) -> Sink:
        make = self._into_bucket() if name == "object_store" else self._sent(name)
        claim = Claim(self._directory / "buffer" / name)
        try:
            return make(claim)
        except BaseException:
            claim.release()
            raise

    def _sent(self, name: str) -> Callable[[Claim], Sink]:
        return lambda claim: RemoteSink(name, claim, Limits.of(self._options), self._connect(name), listed=self._directory)

    def _into_bucket(self) -> Callable[[Claim], Sink]:
        from penstock.payloads.bucket import put_into  # noqa: PLC0415 - an extra
        from penstock.payloads.object_store_sink import ObjectStoreSink  # noqa: PLC0415 - may import an extra

        bucket = self._options.object_store
        put = put_into(bucket.url, self._options.timeout_s)
        if bucket.format == "parquet":
            from penstock.payloads.parquet_sink import ParquetSink  # noqa: PLC0415 - an extra

            files: Callable[..., Sink] = ParquetSink
        else:
            files = JsonLinesSink
        return lambda claim: ObjectStoreSink(claim, put, files, self._options, kept=self._directory)

    def _connect(self, name: str) -> Callable[[], Destination]:
        options, timeout_s = self._options, self._options.timeout_s
        if name == "kafka":
            from penstock.payloads.kafka import KafkaDestination  # noqa: PLC0415 - an extra

            return partial(KafkaDestination, options.kafka.url, options.kafka.options, timeout_s)
        from penstock.payloads.cloudevents import EventsDestination  # noqa: PLC0415 - an extra
        from penstock.payloads.events import EventNames  # noqa: PLC0415 - beside it

        events = options.cloudevents
        names = EventNames(events.source or f"//{host()}/penstock", events.namespace, events.mode)
        return partial(EventsDestination, events.url, names, timeout_s)

    @contextlib.contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """Turn what goes wrong into what is wrong and what to do."""
        try:
            yield
        except OSError as error:
            raise StartError(f"payloads cannot be recorded in {self._directory}: {error.strerror}; set payloads.dir") from error
        except ImportError as error:
            raise missing_extra(f'the sink "{name}" of payloads', _extra_of(name, error)) from error
        except ValueError as error:
            raise StartError(f'the sink "{name}" of payloads cannot work: {error}; see payloads.{name}') from error


def _extra_of(name: str, error: ImportError) -> str:
    return "parquet" if str(error.name).startswith("pyarrow") else _EXTRAS[name]
