"""The other end of $NOTIFY_SOCKET: a real datagram socket, read all the time as systemd does.

A kernel keeps few datagrams for a reader that is busy elsewhere (net.unix.max_dgram_qlen is 10 on some).
"""

import queue
import socket
import threading

WITHIN_SECONDS = 30.0
_MARK, _END = b"MARK=", b"END="


class Listener:
    def __init__(self, address: str) -> None:
        self.address = address
        self.told = []
        self._name = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self._name)
        self._marks = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, name="systemd", daemon=True)
        self._reader.start()

    def _read(self):
        while (message := self._socket.recv(65536)) != _END:
            if message == _MARK:
                self._marks.put(None)
            else:
                self.told.append(dict(line.split("=", 1) for line in message.decode().split("\n")))

    def _send(self, message):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
            ours.sendto(message, self._name)

    def heard(self):
        """All messages that were sent so far, each as its lines by name."""
        self._send(_MARK)
        self._marks.get(timeout=WITHIN_SECONDS)
        return self.told

    def all(self, name):
        return [message[name] for message in self.heard() if name in message]

    def close(self):
        self._send(_END)
        self._reader.join(WITHIN_SECONDS)
        self._socket.close()
