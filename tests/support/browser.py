"""A headless Chromium, driven over its pipe by the DevTools protocol: no driver, no library of a driver.

It is Debian's `chromium`. It speaks to loopback alone: every name resolves to nothing.
"""

import asyncio
import base64
import contextlib
import fcntl
import json
import os
import shutil
from pathlib import Path

from tests.support.requirements import need

WITHIN_SECONDS = 30.0
_OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # tests are run by root, as in CI
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--font-render-hinting=none",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--remote-debugging-pipe",
)


class Browser:
    """One tab."""

    def __init__(self, process, reader, writer):
        self._process = process
        self._reader = reader
        self._writer = writer
        self._number = 0
        self._session = None
        self._answers = {}
        self.messages = []
        """What pages wrote into the console, and errors of their scripts and policies."""
        self.requests = []
        """The addresses that pages asked for."""

    async def open(self):
        self._reading = asyncio.ensure_future(self._read())
        target = await self.ask("Target.createTarget", url="about:blank")
        attached = await self.ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.ask(f"{domain}.enable")

    async def ask(self, method, **parameters):
        """What a command of the protocol answers."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        answer = self._answers[self._number] = asyncio.get_running_loop().create_future()
        self._writer.write(json.dumps(message).encode() + b"\0")
        async with asyncio.timeout(WITHIN_SECONDS):
            return await answer

    async def look_like(self, *, width, height=900, scheme="light", scripts=True):
        """The screen, the colours that its person likes, and whether scripts run."""
        await self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        await self.ask("Emulation.setEmulatedMedia", features=features)
        await self.ask("Emulation.setScriptExecutionDisabled", value=not scripts)

    async def go(self, url):
        """Until the page is complete."""
        await self.ask("Page.navigate", url=url)
        async with asyncio.timeout(WITHIN_SECONDS):
            while (
                await self.evaluate("document.readyState + location.href.startsWith('about:')")
                != "completefalse"
            ):
                await asyncio.sleep(0.05)

    async def evaluate(self, expression):
        """The value of an expression, awaited if it is a promise; raises AssertionError where it fails."""
        answer = await self.ask(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def press(self, key, code=None):
        for kind in ("keyDown", "keyUp"):
            await self.ask(
                "Input.dispatchKeyEvent", type=kind, key=key, code=code or key, **_TEXTS.get(key, {})
            )

    async def screenshot(self, *, height=None):
        """The page as PNG, from its top; without `height` all of it."""
        size = (await self.ask("Page.getLayoutMetrics"))["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": height or size["height"], "scale": 1}
        answer = await self.ask("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        return base64.b64decode(answer["data"])

    async def close(self):
        with contextlib.suppress(Exception):
            self._session = None
            await asyncio.wait_for(self.ask("Browser.close"), 5)
        self._reading.cancel()
        self._writer.close()
        try:
            await asyncio.wait_for(self._process.wait(), 10)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def _read(self):
        while message := await self._reader.readuntil(b"\0"):
            told = json.loads(message[:-1])
            if "id" in told and (answer := self._answers.pop(told["id"], None)):
                if "error" in told:
                    answer.set_exception(AssertionError(told["error"]))
                else:
                    answer.set_result(told["result"])
            elif told.get("method") in (
                "Log.entryAdded",
                "Runtime.consoleAPICalled",
                "Runtime.exceptionThrown",
            ):
                self.messages.append(told["params"])
            elif told.get("method") == "Network.requestWillBeSent":
                self.requests.append(told["params"]["request"]["url"])


_TEXTS = {
    "Enter": {"text": "\r", "windowsVirtualKeyCode": 13},
    "Tab": {"windowsVirtualKeyCode": 9},
}


@contextlib.asynccontextmanager
async def browser(folder: Path):
    """A browser with a profile in that folder, closed at the end."""
    need("chromium")
    loop = asyncio.get_running_loop()
    their_input, our_output = map(_far_away, os.pipe())
    our_input, their_output = map(_far_away, os.pipe())

    def arrange():
        os.dup2(their_input, 3)
        os.dup2(their_output, 4)

    process = await asyncio.create_subprocess_exec(
        shutil.which("chromium"),
        *_OPTIONS,
        f"--user-data-dir={folder}",
        f"--crash-dumps-dir={folder}",
        preexec_fn=arrange,
        pass_fds=(3, 4),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env=os.environ | {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder)},
    )
    os.close(their_input)
    os.close(their_output)
    reader = asyncio.StreamReader(limit=256 * 1024 * 1024)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(our_input, "rb"))
    transport, protocol = await loop.connect_write_pipe(
        asyncio.streams.FlowControlMixin, os.fdopen(our_output, "wb")
    )
    driven = Browser(process, reader, asyncio.StreamWriter(transport, protocol, None, loop))
    await driven.open()
    try:
        yield driven
    finally:
        await driven.close()


def _far_away(descriptor):
    """The same under a number that is not one of those that the browser wants."""
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(descriptor)
    return moved
