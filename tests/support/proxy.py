"""A TCP proxy that can lose replies: what a network does at the worst moment."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Proxy:
    """Passes bytes on, until a request with the trigger in it: its reply is never delivered.

    The server has got the request and does what it says; both connections are cut when its
    answer has come back here.
    """

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        """Where connections lead that are made from now on."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._trigger: bytes | None = None
        self.lost = threading.Event()
        """A reply has been lost."""
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        self._spawn(self._accept)

    def lose_reply_to(self, trigger: bytes) -> None:
        """Lose the reply to the next request that has these bytes in it."""
        self.lost.clear()
        self._trigger = trigger

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in self._sockets:
            _shut(end)
        for thread in self._threads:
            thread.join(20)
        for end in self._sockets:
            end.close()

    def _spawn(self, work: object, *args: object) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self.target)
            self._sockets += [client, server]
            cut = threading.Event()
            self._spawn(self._requests, client, server, cut)
            self._spawn(self._replies, server, client, cut)

    def _requests(self, client: socket.socket, server: socket.socket, cut: threading.Event) -> None:
        while data := _receive(client):
            if self._trigger is not None and self._trigger in data:
                self._trigger = None
                cut.set()
            if not _send(server, data):
                break
        _shut(server)

    def _replies(self, server: socket.socket, client: socket.socket, cut: threading.Event) -> None:
        while data := _receive(server):
            if cut.is_set():
                _shut(client)
                _shut(server)
                self.lost.set()
                return
            if not _send(client, data):
                break
        _shut(client)


@contextmanager
def proxying(host: str | None, port: int | None) -> Iterator[Proxy]:
    """A proxy before that server, during the block."""
    assert host is not None and port is not None
    proxy = Proxy(host, port)
    try:
        yield proxy
    finally:
        proxy.close()


def _receive(end: socket.socket) -> bytes:
    try:
        return end.recv(65536)
    except OSError:
        return b""


def _send(end: socket.socket, data: bytes) -> bool:
    try:
        end.sendall(data)
        return True
    except OSError:
        return False


def _shut(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it was shut before
