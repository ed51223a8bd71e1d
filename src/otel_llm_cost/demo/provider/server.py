"""The provider as an HTTP server on this machine: keep-alive, one thread per connection."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from socketserver import ThreadingTCPServer
from types import TracebackType
from typing import Any

from .bill import Bill
from .cache import PromptCache
from .connection import Connection
from .script import Script, Step
from .seen import Seen


class Provider:
    """A provider; as a context manager it starts and stops, as `start` and `stop` do.

    requests: every attempt that arrived, in order. bill: what was charged.
    steps and cache: what its connections share.
    """

    def __init__(self, port: int = 0) -> None:
        """port: on 127.0.0.1; 0 picks a free one."""
        self.requests: list[Seen] = []
        self.bill = Bill()
        self.steps = Script()
        self.cache = PromptCache()
        self._server = Server(("127.0.0.1", port), self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    @property
    def openai_url(self) -> str:
        """Base URL for an OpenAI client."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def anthropic_url(self) -> str:
        """Base URL for an Anthropic client."""
        return f"http://127.0.0.1:{self.port}"

    def script(self, *steps: Step | str, model: str = "") -> None:
        """Queue steps for the next requests, or the next ones that name `model`."""
        self.steps.add(steps, model)

    def reset(self) -> None:
        """Forget requests, bill, script and cached prompts."""
        self.requests = []
        self.bill.clear()
        self.steps.clear()
        self.cache.clear()

    def start(self) -> Provider:
        """Serve from a thread of this process."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop serving; connections that are open are dropped."""
        self._server.shutdown()
        self._server.server_close()
        self._server.drop_connections()
        self._thread.join()

    def __enter__(self) -> Provider:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class Server(ThreadingTCPServer):
    """Knows the provider it serves, and its open connections."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], provider: Provider) -> None:
        super().__init__(address, Connection)
        self.provider = provider
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def drop_connections(self) -> None:
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is not our fault; anything else is shown."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)
