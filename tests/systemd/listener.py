"""The other end of $NOTIFY_SOCKET: a real datagram socket, read whenever a test wants to know."""

import socket


class Listener:
    def __init__(self, address: str) -> None:
        self.address = address
        self.told = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)

    def heard(self):
        """All messages so far, each as its lines by name."""
        while True:
            try:
                message = self._socket.recv(65536).decode()
            except BlockingIOError:
                return self.told
            self.told.append(dict(line.split("=", 1) for line in message.split("\n")))

    def all(self, name):
        return [message[name] for message in self.heard() if name in message]

    def close(self):
        self._socket.close()
