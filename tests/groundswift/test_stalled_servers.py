"""Servers that take a connection and then say nothing, or stop half way, are given up in words; one that recovers is waited for."""

import os
import socket
import subprocess
import sys
import threading
import time

import pytest
from s3_server import environment

from groundswift import storage
from groundswift.errors import GroundswiftError

pytestmark = pytest.mark.process


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nETag: x\r\nConnection: close\r\n\r\n"


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Serve connections on loopback, each with the next of some answers, the last again and again -> the port."""
    monkeypatch.setenv("GROUNDSWIFT_TIMEOUT", "1")
    monkeypatch.setenv("GROUNDSWIFT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(storage, "WAITS_S", (0.1, 0.1))
    open_sockets = [socket.create_server(("127.0.0.1", 0))]

    def start(answers):
        def serve():
            while True:
                try:
                    open_sockets.append(open_sockets[0].accept()[0])
                    asked = open_sockets[-1].recv(4096)
                    answer = answers.pop(0) if len(answers) > 1 else answers[0]
                    open_sockets[-1].sendall(HEAD if asked.startswith(b"HEAD") and answer else answer)
                    if asked.startswith(b"HEAD") or answer.endswith(b"12345678"):
                        open_sockets.pop().close()
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        return open_sockets[0].getsockname()[1]

    yield start
    for each in open_sockets:
        each.close()


@pytest.mark.parametrize("answers", [[b""], [HEAD + b"123"]], ids=["nothing", "half a body"])
def test_a_stalled_web_server_is_given_up(server, capsys, answers):
    began, url = time.monotonic(), f"http://127.0.0.1:{server(answers)}/a.json?sig=SECRET"
    with pytest.raises(GroundswiftError, match="cannot be read, tried 3 times") as raised:
        storage.local_copy(url)
    assert time.monotonic() - began < 30
    printed = capsys.readouterr().err
    assert ("try 2 of 3" in printed, "SECRET" in printed + str(raised.value)) == (True, False)


def test_a_server_that_recovers_is_waited_for(server):
    url = f"http://127.0.0.1:{server([HEAD + b'123', HEAD + b'123', HEAD + b'12345678'])}/a.json"
    assert storage.local_copy(url).read_bytes() == b"12345678"


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "soon", "9" * 5000])
def test_an_invalid_time_limit_is_refused(monkeypatch, text):
    monkeypatch.setenv("GROUNDSWIFT_TIMEOUT", text)
    with pytest.raises(GroundswiftError, match="^GROUNDSWIFT_TIMEOUT: .*expected whole seconds above 0"):
        storage.store_of("http://127.0.0.1/a")


FETCH = """
import sys
from groundswift import storage
from groundswift.errors import GroundswiftError
storage.WAITS_S = (0.1, 0.1)
try:
    storage.local_copy("s3://bucket/a.json")
except GroundswiftError as error:
    sys.exit(f"error: {error}")
"""


@pytest.mark.parametrize("answers", [[b""], [HEAD + b"123"]], ids=["nothing", "half a body"])
@pytest.mark.long
def test_a_stalled_s3_server_is_given_up(server, tmp_path, answers):
    began = time.monotonic()
    more = environment(f"http://127.0.0.1:{server(answers)}", tmp_path / "s3") | {"GROUNDSWIFT_TIMEOUT": "1"}
    done = subprocess.run([sys.executable, "-c", FETCH], env={**os.environ, **more}, capture_output=True, text=True, timeout=100)
    assert done.returncode == 1
    assert "try 2 of 3" in done.stderr
    assert "error: s3://bucket/a.json: cannot be read, tried 3 times" in done.stderr
    assert "Traceback" not in done.stderr
    assert time.monotonic() - began < 60
