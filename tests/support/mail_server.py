"""A mail server on loopback: it speaks enough SMTP to be logged in at, and keeps what it gets."""

import asyncio
import base64
import contextlib
import email
import ssl
from collections.abc import AsyncIterator
from email.message import Message

import attrs


@attrs.define
class MailServer:
    """`refuses` is answered to the next mails instead of taking them; `hangs` keeps it from answering."""

    port: int = 0
    tls: ssl.SSLContext | None = None
    login: tuple[str, str] | None = None
    refuses: list[str] = attrs.field(factory=list)
    hangs: bool = False
    mails: list[Message] = attrs.field(factory=list)
    recipients: list[list[str]] = attrs.field(factory=list)
    logins: list[str] = attrs.field(factory=list)
    was_encrypted: list[bool] = attrs.field(factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            await self._serve(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()

    async def _serve(  # noqa: PLR0912 - a branch for each word of the protocol
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        async def say(text: str) -> None:
            writer.write(f"{text}\r\n".encode())
            await writer.drain()

        if self.hangs:
            await reader.read()
            return
        encrypted, logged_in, to = writer.get_extra_info("ssl_object") is not None, False, []
        await say("220 here")
        while line := (await reader.readline()).decode().strip():
            verb = line.split(" ")[0].upper()
            if verb == "EHLO":
                offers = ["here"] + (["STARTTLS"] if self.tls and not encrypted else [])
                offers += ["AUTH PLAIN"] if self.login else []
                for each in offers[:-1]:
                    await say(f"250-{each}")
                await say(f"250 {offers[-1]}")
            elif verb == "STARTTLS" and self.tls:
                await say("220 go on")
                await writer.start_tls(self.tls)
                encrypted = True
            elif verb == "AUTH":
                given = base64.b64decode(line.split(" ")[2]).decode().split("\0")[1:]
                self.logins.append(given[0])
                logged_in = tuple(given) == self.login
                await say("235 welcome" if logged_in else f"535 not you, {given[1]}")
            elif verb == "RCPT":
                to.append(line.partition("<")[2].rstrip(">"))
                await say("250 ok")
            elif verb == "DATA":
                if self.login and not logged_in:
                    await say("530 log in")
                    continue
                if self.refuses:
                    await say(self.refuses.pop(0))
                    continue
                await say("354 go on")
                data = b""
                while (piece := await reader.readline()) != b".\r\n":
                    data += piece
                self.mails.append(email.message_from_bytes(data))
                self.recipients.append(to)
                self.was_encrypted.append(encrypted)
                await say("250 taken")
            elif verb == "QUIT":
                await say("221 bye")
                return
            else:
                await say("250 ok")


@contextlib.asynccontextmanager
async def mail_server(*, from_the_beginning: bool = False, **how: object) -> AsyncIterator[MailServer]:
    """Until the end of the block; `from_the_beginning` it is encrypted without a greeting."""
    found = MailServer(**how)  # type: ignore[arg-type]
    context = found.tls if from_the_beginning else None
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0, ssl=context)
    async with server:
        found.port = server.sockets[0].getsockname()[1]
        yield found
        await asyncio.sleep(0.02)  # the other side of a connection learns of its end
