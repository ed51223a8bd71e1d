"""Sockets that the collector listens on, and the sentence for one that cannot be had."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterator

import uvicorn

from otel_llm_cost.collector.http_server import Application
from otel_llm_cost.core.errors import StoreError


def listen(name: str, host: str, port: int) -> socket.socket:
    """A listening socket; port 0 picks a free one. Raises StoreError with what to do."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    # A port in TIME_WAIT after a restart is free; a port that another program listens on is not.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(1024)
    except (OSError, OverflowError) as error:
        sock.close()
        raise StoreError(refusal(name, host, port, error)) from None
    sock.setblocking(False)
    return sock


def refusal(name: str, host: str, port: int, error: Exception) -> str:
    """Why a socket cannot be had, and what to do."""
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        why = "another program has that port; stop it, or choose another"
    elif number in (errno.EACCES, errno.EPERM):
        why = "this user may not use that port; choose another"
    else:
        return f"cannot listen on {host}:{port} ({error}); choose another address with --host"
    return f"cannot listen on {host}:{port}: {why} with --{name}-port (0 picks a free one)"


class HttpServer(uvicorn.Server):
    """uvicorn on a socket of ours, with signals left to the collector.

    uvicorn would otherwise take SIGTERM for itself and raise it again after `serve()`, so that what follows
    in the collector, the drain, would never run.
    """

    def __init__(self, application: Application, sock: socket.socket) -> None:
        super().__init__(
            uvicorn.Config(
                application,
                interface="asgi3",  # "auto" mistakes a bound method for ASGI 2
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=5,
            )
        )
        self.sock = sock
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self.up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield

    async def run_until_told(self) -> None:
        """Serve until `should_exit` is set, then finish the open requests."""
        await self.serve(sockets=[self.sock])
