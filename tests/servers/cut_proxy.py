"""A TCP proxy that is cut, resets or is slow on demand: what becomes of a network between a client and its server."""

import contextlib
import socket
import struct
import threading
import time
from typing import Self

_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with no time left: close sends RST."""


class CutProxy:
    """Forwards to a server on loopback. `black_hole`: nothing gets through either way, and nobody is told; connections
    are neither accepted nor ended. `reset` ends those there are by RST. `delay` is waited for with each piece of data.
    """

    def __init__(self, target: int, port: int = 0) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self._open = threading.Event()
        self._open.set()
        self.delay = 0.0
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._ended = False
        threading.Thread(target=self._accept, daemon=True).start()

    def black_hole(self) -> None:
        """From now on nothing gets through."""
        self._open.clear()

    def heal(self) -> None:
        """What was held back gets through, and everything after it."""
        self.delay = 0.0
        self._open.set()

    def reset(self) -> None:
        """End every connection as if the other side had been restarted."""
        with self._lock:
            sockets, self._sockets = self._sockets, set()
        for each in sockets:
            with contextlib.suppress(OSError):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                each.shutdown(socket.SHUT_RDWR)
                each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        self._open.wait()
        try:
            server = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            client.close()
            return
        for each in (client, server):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._sockets |= {client, server}
        for there, here in ((client, server), (server, client)):
            threading.Thread(target=self._forward, args=(there, here), daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if self.delay:
                    time.sleep(self.delay)
                self._open.wait()
                if self._ended:
                    return
                sink.sendall(data)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._sockets -= {source, sink}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        self._open.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.reset()
