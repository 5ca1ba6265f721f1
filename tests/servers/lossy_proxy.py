"""A TCP proxy that loses replies: the server has done what it was asked, and the client does not learn of it."""

import contextlib
import socket
import threading
from typing import Self


class LossyProxy:
    """Forwards to a server on loopback. After `lose_next` the next reply is dropped, and its connection with it."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._pattern: bytes | None = None
        self._armed = threading.Event()
        self.lost = 0
        self._sockets: list[socket.socket] = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def lose_next(self, pattern: bytes) -> None:
        """Lose the reply to the next request in which these bytes occur."""
        self._pattern = pattern

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                self._sockets += [client, server]
                lose = threading.Event()
                threading.Thread(target=self._requests, args=(client, server, lose), daemon=True).start()
                threading.Thread(target=self._replies, args=(server, client, lose), daemon=True).start()

    def _requests(self, client: socket.socket, server: socket.socket, lose: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(1 << 16):
                if self._pattern is not None and self._pattern in data:
                    self._pattern = None
                    lose.set()
                server.sendall(data)
        self._shut(client, server)

    def _replies(self, server: socket.socket, client: socket.socket, lose: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(1 << 16):
                if lose.is_set():
                    self.lost += 1
                    break
                client.sendall(data)
        self._shut(client, server)

    @staticmethod
    def _shut(*sockets: socket.socket) -> None:
        for each in sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._sockets:
            self._shut(each)
            each.close()
