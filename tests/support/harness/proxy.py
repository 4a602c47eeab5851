# SPDX-License-Identifier: Apache-2.0
"""Networks that misbehave: proxies on a free local port, one thread each."""

import select
import socket
import struct
import threading


class Proxy:
    """Passes bytes between clients and a local port. With `cut_after`, it
    drops the connection that has brought so many bytes from the server, and
    refuses all others from then on: the server is gone."""

    def __init__(self, port, cut_after=None, host="127.0.0.1"):
        self._target = port
        self._left = cut_after
        self.was_cut = False
        self.connections = 0
        self._sockets = []
        self._lock = threading.Lock()
        self._listener = socket.create_server((host, 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(
                target=self.serve, args=(client,), daemon=True).start()

    def connect(self):
        server = socket.create_connection(("127.0.0.1", self._target))
        with self._lock:
            self._sockets.append(server)
        return server

    def serve(self, client):
        with self._lock:
            self._sockets.append(client)
        try:
            self._pass(client, self.connect())
        except OSError:
            pass

    def _pass(self, client, server):
        while True:
            for ready in select.select([client, server], [], [])[0]:
                data = ready.recv(65536)
                if not data:
                    client.close()
                    server.close()
                    return
                if ready is client:
                    server.sendall(data)
                elif self._may_pass(len(data)):
                    client.sendall(self.answer(data))
                else:
                    self.close()
                    return

    def answer(self, data):
        """What the client gets for what the server said."""
        return data

    def _may_pass(self, count):
        if self._left is None:
            return True
        with self._lock:
            self._left -= count
            self.was_cut = self._left < 0
        return not self.was_cut

    def close(self):
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        with self._lock:
            for one in self._sockets:
                try:
                    # A reset, not a polite end.
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                   struct.pack("ii", 1, 0))
                    one.shutdown(socket.SHUT_RDWR)
                    one.close()
                except OSError:
                    pass

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


class Stall(Proxy):
    """Lets so many bytes of the server pass, then nothing more: whoever waits
    for them is in the middle of his work."""

    def __init__(self, port, after):
        self._after = after
        self.has_stalled = threading.Event()
        self._never = threading.Event()
        super().__init__(port)

    def _may_pass(self, count):
        with self._lock:
            self._after -= count
            stalls = self._after < 0
        if stalls:
            self.has_stalled.set()
            self._never.wait()
        return not stalls

    def close(self):
        self._never.set()
        super().close()


def _exactly(sock, count):
    data = b""
    while len(data) < count:
        piece = sock.recv(count - len(data))
        if not piece:
            raise OSError("closed")
        data += piece
    return data


def _message(sock):
    """One message of PostgreSQL's protocol: its type, and all its bytes."""
    head = _exactly(sock, 5)
    return head[:1], head + _exactly(sock, struct.unpack("!I", head[1:])[0] - 4)


class TransactionPooler(Proxy):
    """What a pooler in transaction mode does to a session: each transaction
    may run on another connection to the server. Passwords pass through the
    first one; the server must trust the second (`trusted_socket`)."""

    def __init__(self, port, trusted_socket):
        self._trusted = trusted_socket
        super().__init__(port)

    def serve(self, client):
        try:
            self._serve(client)
        except OSError:
            client.close()

    def _startup(self, client):
        while True:
            size = _exactly(client, 4)
            body = _exactly(client, struct.unpack("!I", size)[0] - 4)
            if struct.unpack("!I", body[:4])[0] in (80877103, 80877104):
                client.sendall(b"N")  # neither TLS nor GSS
                continue
            return size + body

    def _second(self, startup):
        server = socket.socket(socket.AF_UNIX)
        server.connect(self._trusted)
        with self._lock:
            self._sockets.append(server)
        server.sendall(startup)
        kind = b""
        while kind != b"Z":
            kind, _ = _message(server)
            if kind == b"E":
                raise OSError("refused")
        return server

    def _serve(self, client):
        with self._lock:
            self._sockets.append(client)
        startup = self._startup(client)
        servers = [self.connect()]
        servers[0].sendall(startup)
        current = 0
        while True:
            ready = select.select([client, servers[current]], [], [])[0]
            if servers[current] in ready:
                kind, message = _message(servers[current])
                client.sendall(message)
                if kind == b"Z" and message[5:6] == b"I":
                    if len(servers) == 1:
                        servers.append(self._second(startup))
                    current = 1 - current
            elif client in ready:
                data = client.recv(65536)
                if not data:
                    raise OSError("closed")
                servers[current].sendall(data)
