# SPDX-License-Identifier: Apache-2.0
"""A bad way to a good server: MinIO behind a proxy that refuses, resets,
stalls, cuts short, corrupts and loses answers, as a seed says."""

import http.client
import http.server
import random
import socket
import struct
import threading
import time

from .gate import HOPS, forward

# What may happen to a request; see Faults.
KINDS = ("slowdown", "reset_request", "reset_response", "stall", "truncate",
         "corrupt", "lost")

# So often in a row the same request fails at the most: a client that tries
# six times gets through.
IN_A_ROW = 3


class Reset(Exception):
    """The connection is to be dropped, without a polite end."""


class Faults:
    """Passes requests on as they are (their signatures hold), but `rate` of
    them meets one of `kinds`:

    slowdown        503 SlowDown
    reset_request   reset in the middle of the request's body
    reset_response  reset in the middle of the answer
    stall           half of the answer, silence, then a reset
    truncate        half of the answer, and an end
    corrupt         one byte of an object's is another one
    lost            the server has done it; the answer never comes

    The n-th request always meets one or not, and the kinds take turns: the
    first one that can happen to it. `delay`: seconds that every request takes
    longer. Looks like a Minio to a Stack. Listings and errors are never
    corrupted: nothing in HTTP could tell."""

    def __init__(self, minio, seed=1, rate=0.2, kinds=KINDS, delay=0,
                 silence=0.2):
        self.access_key = minio.access_key
        self.secret_key = minio.secret_key
        self.minio = minio
        self.rate, self.delay, self.silence = rate, delay, silence
        self.delayed = ""  # only requests for paths with this are
        self.is_gone = False
        self.met = dict.fromkeys(KINDS, 0)
        self.requests = 0
        self.at_once = self.most_at_once = 0
        self._dice = random.Random(seed)
        self._turns = list(kinds)
        self._dice.shuffle(self._turns)
        self._in_a_row = {}
        self._lock = threading.Lock()
        self._server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._server.handle_error = lambda *ignored: None
        self.endpoint = "http://127.0.0.1:%d" % self._server.server_port
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,))

    def choose(self, method, path, ranges, has_object, has_body):
        """What happens to this request, or None."""
        what = (method, path, ranges)
        never = {"corrupt"} if not has_object else set()
        never |= {"reset_request"} if not has_body else set()
        with self._lock:
            self.requests += 1
            can_be = [kind for kind in self._turns if kind not in never]
            if (self._dice.random() >= self.rate or not can_be
                    or self._in_a_row.get(what, 0) == IN_A_ROW):
                self._in_a_row[what] = 0
                return None
            kind = can_be[0]
            self._turns.remove(kind)
            self._turns.append(kind)
            self._in_a_row[what] = self._in_a_row.get(what, 0) + 1
            self.met[kind] += 1
            return kind

    def enter(self, step):
        with self._lock:
            self.at_once += step
            self.most_at_once = max(self.most_at_once, self.at_once)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *ignored):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _flip(body):
    """One byte of it, somewhere in the middle, is another."""
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1:]


def _handler(faults):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one(self):
            faults.enter(1)
            try:
                self.serve()
            except (Reset, OSError, http.client.HTTPException):
                self.reset()
            finally:
                faults.enter(-1)

        def serve(self):
            if faults.is_gone:
                raise Reset
            if faults.delayed in self.path:
                time.sleep(faults.delay)
            length = int(self.headers.get("Content-Length") or 0)
            name = self.path.split("?")[0]
            is_object = name.count("/") > 1 and "?" not in self.path
            kind = faults.choose(
                self.command, self.path, self.headers.get("Range"),
                is_object and self.command in ("GET", "PUT"), length > 1)
            if kind == "reset_request":
                self.rfile.read(length // 2)
                raise Reset
            body = self.rfile.read(length)
            if kind == "slowdown":
                self.answer(503, [], b"<Error><Code>SlowDown</Code><Message>"
                            b"for a test</Message></Error>")
                return
            if kind == "corrupt" and self.command == "PUT" and body:
                body = _flip(body)
            status, headers, data = forward(
                self, faults.minio.port, body)
            if kind == "lost":
                raise Reset
            if (kind == "corrupt" and self.command == "GET" and data
                    and status < 300):
                data = _flip(data)
            self.answer(status, headers, data, kind)

        def answer(self, status, headers, data, kind=None):
            self.send_response_only(status)
            length = str(len(data))
            for name, value in headers:
                if name.lower() == "content-length":
                    length = value
                elif name.lower() not in HOPS:
                    self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", length)
            is_cut = kind in ("reset_response", "stall", "truncate")
            if is_cut and (not data or self.command == "HEAD"):
                raise Reset
            self.end_headers()
            if self.command == "HEAD":
                return
            self.wfile.write(data[:len(data) // 2] if is_cut else data)
            if kind == "stall":
                time.sleep(faults.silence)
            if kind == "truncate":
                self.close_connection = True
            elif is_cut:
                raise Reset

        def reset(self):
            self.close_connection = True
            try:
                self.connection.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER,
                    struct.pack("ii", 1, 0))
                self.rfile.close()
                self.wfile.close()
                self.connection.close()
            except OSError:
                pass

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_one

        def log_message(self, *arguments):
            pass

    return Handler
