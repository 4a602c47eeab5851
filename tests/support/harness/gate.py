# SPDX-License-Identifier: Apache-2.0
"""An S3 server with moods: MinIO, but for what a test answers by itself."""

import email.utils
import http.client
import http.server
import threading
import time

# What is of one connection only, and is not passed on.
HOPS = {"connection", "keep-alive", "transfer-encoding", "expect"}


def forward(handler, port, body):
    """Sends what a handler was asked on to that port; status, headers and
    body of the answer."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    link.putrequest(handler.command, handler.path, skip_host=True,
                    skip_accept_encoding=True)
    for name, value in handler.headers.items():
        if name.lower() not in HOPS:
            link.putheader(name, value)
    link.endheaders(body or None)
    came = link.getresponse()
    data = came.read()
    link.close()
    return came.status, came.getheaders(), data


class Gate:
    """Passes every request on as it is (the signature holds, for the Host
    header is passed on too), unless `answer(method, path)` gives a status and
    an error code, which are then the answer. Headers that are `hidden` are
    left out of answers; their Date is as many seconds `late`. Looks like a
    Minio to a Stack."""

    def __init__(self, minio, answer, hidden=(), late=0):
        self.access_key = minio.access_key
        self.secret_key = minio.secret_key
        self.requests = []
        gate = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                gate.requests.append((self.command, self.path))
                refusal = answer(self.command, self.path)
                if refusal is None:
                    self.reply(*forward(self, minio.port, body))
                    return
                status, code = refusal
                self.reply(status, [], (
                    "<Error><Code>%s</Code><Message>for a test</Message>"
                    "</Error>" % code).encode())

            def reply(self, status, headers, body):
                self.send_response_only(status)
                for name, value in headers:
                    if late and name.lower() == "date":
                        value = email.utils.formatdate(
                            time.time() - late, usegmt=True)
                    if name.lower() not in HOPS | {"content-length", *hidden}:
                        self.send_header(name, value)
                length = dict((name.lower(), value)
                              for name, value in headers).get("content-length")
                if self.command != "HEAD" or length is None:
                    length = str(len(body))
                if status != 204:
                    self.send_header("Content-Length", length)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_one

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.endpoint = "http://127.0.0.1:%d" % self.server.server_port
        self.thread = threading.Thread(
            target=self.server.serve_forever, args=(0.01,))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *ignored):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
