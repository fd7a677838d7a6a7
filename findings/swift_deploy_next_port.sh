#!/usr/bin/env bash
# swift deploy serves at the next port without a word where --port was used within the last minute, although it could be bound
#
# Versions    ms-swift 4.6.0, transformers 5.19.0, torch 2.14.1
# Input       `find_free_port`, by which `swift deploy` and `swift app` replace --port: a port whose server answered a client, closed that
#             connection first, as HTTP/1.0 does, and ended; then a port that another program listens on
# Expected    the port that was asked for, which asyncio, and so uvicorn under `swift deploy`, binds; an error where it is in use
# Behaviour   the port is tried without SO_REUSEADDR, so connections that the system keeps for a minute (TIME_WAIT) count as in use. In both
#             cases the next port is taken, and whoever asks the old one, such as a health check, waits in vain
source "$(dirname "$0")/_run.sh"
packages ms-swift==4.6.0 transformers==5.19.0 torch==2.14.1 torchvision==0.29.1 peft==0.20.0 pillow==12.3.0
seen=$(observe <<'PYTHON'
import asyncio
import socket

from swift.utils import find_free_port


def used_port():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        port, (connection, _) = server.getsockname()[1], server.accept()
        connection.close()
        client.recv(1)
        return port


async def can_serve(port):
    async with await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", port) as server:
        return server.sockets[0].getsockname()[1] == port


port = used_port()
print("used before: asyncio serves there again", asyncio.run(can_serve(port)))
print("used before: swift takes the port plus", find_free_port(port) - port)
with socket.create_server(("127.0.0.1", 0)) as other:
    port = other.getsockname()[1]
    print("in use: swift takes the port plus", find_free_port(port) - port)
PYTHON
)
verdict "used before: asyncio serves there again True
used before: swift takes the port plus 1
in use: swift takes the port plus 1" "$seen"
