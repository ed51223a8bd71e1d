"""A Redis of our own on a free port, ended by its pid."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def free_port() -> int:
    """A TCP port that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


Server = tuple[int, "subprocess.Popen[bytes]"]


@contextmanager
def run_redis(folder: Path, *options: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """A running server's port and process; skips the test where Redis is not installed."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed")
    port = free_port()
    while port > 55_000:  # a cluster's bus listens 10,000 above
        port = free_port()
    process = subprocess.Popen(
        [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder), *options],
        stdout=subprocess.DEVNULL,
    )
    try:
        for _ in range(200):
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port, process
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def redis_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A server that several tests share, each under its own namespace."""
    with run_redis(tmp_path_factory.mktemp("redis")) as (port, _):
        yield port


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[Server]:
    """A server that a test may stop and kill."""
    with run_redis(tmp_path) as server:
        yield server


@pytest.fixture
def redis_cluster_port(tmp_path: Path) -> Iterator[int]:
    """A cluster of one node that owns every slot: it refuses scripts whose keys lie on several."""
    with run_redis(tmp_path, "--cluster-enabled", "yes") as (port, _):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"CLUSTER ADDSLOTSRANGE 0 16383\r\n")
            assert client.recv(100).startswith(b"+OK")
        for _ in range(100):
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(b"CLUSTER INFO\r\n")
                if b"cluster_state:ok" in client.recv(2000):
                    break
            time.sleep(0.1)
        yield port
