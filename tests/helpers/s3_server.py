"""A real S3 server (moto) in a process of its own on loopback, and a proxy before it that fails as servers and networks do."""

from __future__ import annotations

import os
import socket
import socketserver
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from web_site import free_port

KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing-secret", "AWS_DEFAULT_REGION": "us-east-1"}
NOBODY = {  # no credentials anywhere, and no asking for them
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_CONFIG_FILE": os.devnull,
    "NO_PROXY": "127.0.0.1",
}
BUSY_BODY = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/xml\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(
    BUSY_BODY
)
BUSY += BUSY_BODY  # an answer for `failing_proxy`
Failure = Callable[[str, str, int], "int | bytes | None"]


def environment(endpoint: str, cache: object) -> dict[str, str]:
    """What a process needs in its environment to read from a server, with a cache of its own."""
    return {**KEYS, **NOBODY, "AWS_ENDPOINT_URL": endpoint, "GROUNDSWIFT_CACHE": str(cache)}


@contextmanager
def s3_server() -> Iterator[str]:
    """The URL of an empty S3 server that ends with the block."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **KEYS, **NOBODY})
    try:
        _wait_for(f"http://127.0.0.1:{port}/moto-api/data.json", server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


def _wait_for(address: str, server: subprocess.Popen, seconds: int = 120) -> None:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(10 * seconds):
        assert server.poll() is None, "the S3 server ended"
        try:
            direct.open(address, timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"no answer from {address}")


class Bucket:
    """A bucket of the server, filled and changed behind the back of what is tested."""

    def __init__(self, endpoint: str, name: str) -> None:
        import boto3

        self.name = name
        self.client = boto3.client(
            "s3", endpoint_url=endpoint, aws_access_key_id="testing", aws_secret_access_key="testing-secret", region_name="us-east-1"
        )
        self.client.create_bucket(Bucket=name)

    def put(self, key: str, data: bytes) -> str:
        """Store bytes and return their URL."""
        self.client.put_object(Bucket=self.name, Key=key, Body=data)
        return f"s3://{self.name}/{key}"


@contextmanager
def failing_proxy(endpoint: str, failure: Failure) -> Iterator[tuple[str, list[str]]]:
    """(the URL of a proxy before a server, the requests that came so far as `GET /bucket/key`).

    `failure(method, path, count)` is asked for each request, which is the `count`th of its method and path, from 1, and says what
    becomes of it: None passes on; a number cuts the connection after so many bytes of the answer's body; bytes are the answer (to a HEAD
    without its body).
    """
    requests: list[str] = []
    upstream = endpoint.removeprefix("http://").split(":")

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            head = _until_blank_line(self.request)
            if not head:
                return
            method, path, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
            requests.append(f"{method} {path}")
            verdict = failure(method, path, requests.count(f"{method} {path}"))
            if isinstance(verdict, bytes):
                self.request.sendall(verdict if method != "HEAD" else verdict.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
                return
            with socket.create_connection((upstream[0], int(upstream[1]))) as server:
                server.sendall(head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
                answer = b"".join(iter(lambda: server.recv(65536), b""))
            shown, _, body = answer.partition(b"\r\n\r\n")
            status, _, fields = shown.partition(b"\r\n")
            kept = [field for field in fields.split(b"\r\n") if not field.lower().startswith(b"connection:")]
            self.request.sendall(b"\r\n".join([status, *kept, b"Connection: close"]) + b"\r\n\r\n" + body[:verdict])

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads, allow_reuse_address = True, True

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that went away is no matter."""

    with Server(("127.0.0.1", 0), Handler) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{proxy.server_address[1]}", requests
        proxy.shutdown()


def _until_blank_line(connection: socket.socket) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        more = connection.recv(65536)
        if not more:
            return b""
        head += more
    return head
