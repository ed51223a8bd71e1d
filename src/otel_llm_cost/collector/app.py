"""The collector put together: what is opened in which order, and how it all ends (design D8)."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from otel_llm_cost.collector import metrics_text, recognise
from otel_llm_cost.collector.bookkeeper import Bookkeeper
from otel_llm_cost.collector.counters import Counters
from otel_llm_cost.collector.grpc_server import start_grpc
from otel_llm_cost.collector.http_server import otlp_application
from otel_llm_cost.collector.intake import Intake
from otel_llm_cost.collector.listen import HttpServer, listen
from otel_llm_cost.collector.page import page_application
from otel_llm_cost.collector.places import spool_folder
from otel_llm_cost.collector.receive import Receiver
from otel_llm_cost.collector.spool import Spool
from otel_llm_cost.collector.writer import Writer
from otel_llm_cost.config import Settings
from otel_llm_cost.core.errors import ConfigError
from otel_llm_cost.normalise import Normaliser
from otel_llm_cost.pricing import PriceList, price
from otel_llm_cost.sinks import living
from otel_llm_cost.sinks.clickhouse import ClickHouseSink
from otel_llm_cost.sinks.dsn import Embedded, Location, parse
from otel_llm_cost.sinks.repricing import part_of, reprice_slice, to_json
from otel_llm_cost.sinks.wire import encode

log = logging.getLogger("otel_llm_cost.collector")

WAIT_FOR_STORE_S = 10.0
"""How long to wait for a short-lived reader, or a predecessor that drains, to let go of a ledger."""
DRAIN_S = 60.0
GRACE_S = 5.0


@dataclass(frozen=True, slots=True)
class Ready:
    """Where the collector listens, as host:port."""

    grpc: str
    http: str
    ui: str

    def __str__(self) -> str:
        return f"ready grpc={self.grpc} http={self.http} ui={self.ui}"


def run(settings: Settings, when_ready: Callable[[Ready], None]) -> None:
    """Run until SIGTERM or SIGINT, then drain. Raises StoreError or ConfigError when it cannot start."""
    # Millions of small objects that hold no cycles: looking for garbage less often is a tenth of the CPU.
    gc.set_threshold(200_000, 50, 100)
    location = parse(settings.store)
    sink = ClickHouseSink(location, wait_s=WAIT_FOR_STORE_S)
    try:
        sink.migrate()
        spool = Spool(
            spool_folder(settings.spool, location),
            sync=settings.spool_sync,
            max_bytes=settings.spool_max_bytes,
            schema=recognise.SCHEMA,
        )
        try:
            asyncio.run(_Collector(settings, location, sink, spool).serve(when_ready))
        finally:
            spool.close()
    finally:
        sink.close()


class _Collector:
    """The servers, the intake and the writer of one process."""

    def __init__(self, settings: Settings, location: Location, sink: ClickHouseSink, spool: Spool) -> None:
        self.settings = settings
        self.location = location
        self.sink = sink
        self.spool = spool
        self.counters = Counters()
        self.token = living.new_token()
        self.prices = prices = PriceList.of_settings(settings)
        bookkeeper = Bookkeeper(
            spool.reader,
            Normaliser(self_hosted=settings.self_hosted),
            lambda call: price(call, prices),
            sink,
        )
        self.writer = Writer(
            spool,
            sink,
            bookkeeper,
            self.counters,
            batch_rows=settings.batch_rows,
            batch_seconds=settings.batch_seconds,
            dedupe_days=settings.dedupe_days,
        )

    async def serve(self, when_ready: Callable[[Ready], None]) -> None:
        settings = self.settings
        http_socket = listen("http", settings.host, settings.http_port)
        ui_socket = listen("ui", settings.host, settings.ui_port)
        intake = Intake(self.spool, self.writer.wake)
        receiver = Receiver(intake, self.counters, settings.max_request_bytes)
        grpc_server, grpc_port = await start_grpc(
            receiver, settings.host, settings.grpc_port, settings.max_request_bytes
        )
        page = page_application(
            token=self.token,
            query=self._query,
            job=self._job,
            health=self._health,
            metrics=lambda: metrics_text.exposition(self.counters, self.spool),
        )
        servers = [
            HttpServer(otlp_application(receiver, self._health), http_socket),
            HttpServer(page, ui_socket),
        ]
        running = [asyncio.create_task(server.run_until_told()) for server in servers]
        told = _signals()
        self.writer.start()
        ready = Ready(
            _address(settings.host, grpc_port),
            *(_address(settings.host, sock.getsockname()[1]) for sock in (http_socket, ui_socket)),
        )
        for server in servers:
            await server.up.wait()
        folder = self.location.folder if isinstance(self.location, Embedded) else None
        if folder:
            living.announce(folder, f"http://{ready.ui}", self.token)
        when_ready(ready)
        try:
            await told.wait()
        finally:
            log.info("draining")
            for server in servers:
                server.should_exit = True
            await grpc_server.stop(GRACE_S)
            await asyncio.gather(*running)
            intake.close()
            await asyncio.to_thread(self.writer.stop, DRAIN_S)
            if folder:
                living.withdraw(folder)
            if self.spool.items:
                log.warning("%d spans stay in the spool for the next start", self.spool.items)

    def _query(self, name: str, params: Mapping[str, Any]) -> bytes:
        return encode(self.sink.query(name, params))

    def _job(self, name: str, params: Mapping[str, Any]) -> bytes:
        """One slice of a reprice. The writer waits meanwhile: what is judged must not change under it."""
        if name != "reprice":
            raise ConfigError(f"there is no job {name}; there is reprice")
        part, models, write = part_of(params)
        version = self.prices.version
        with self.writer.exclusive if write else contextlib.nullcontext():
            outcome = reprice_slice(
                self.sink,
                lambda call: price(call, self.prices),
                version,
                part,
                models=models,
                write=write,
            )
        return json.dumps(to_json(outcome, version)).encode()

    def _health(self) -> tuple[int, bytes]:
        return 200, json.dumps(metrics_text.health(self.counters, self.spool)).encode()


def _signals() -> asyncio.Event:
    """Set at the first SIGTERM or SIGINT."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    return told


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
