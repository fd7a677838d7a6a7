#!/usr/bin/env bash
# fsspec 2026.2.0: filecache with check_files=True never sees that a file on a web server has changed
#
# Versions    fsspec 2026.2.0, aiohttp 3.14.5
# Input       a file on a web server that sends Content-Length and ETag, replaced by one with other bytes, then by one of another length
# Expected    check_files=True is documented to look for a change of the remote file, so the new bytes come
# Behaviour   the first bytes come from the cache each time: HTTPFileSystem.ukey is made from the URL alone, and ETag and length are not asked
source "$(dirname "$0")/_run.sh"
packages fsspec==2026.2.0 aiohttp==3.14.5
seen=$(observe <<'PYTHON'
import hashlib, http.server, threading

import fsspec

content = b"first"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/file"


def read():
    with fsspec.open(f"filecache::{url}", filecache={"cache_storage": "cache", "check_files": True}) as file:
        return file.read().decode()


print(read())
content = b"other"
print(read(), "after a change of the same size")
content = b"longer one"
print(read(), "after a change of size")
PYTHON
)
verdict "first
first after a change of the same size
first after a change of size" "$seen"
