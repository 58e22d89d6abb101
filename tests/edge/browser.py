"""A headless Chromium for tests, spoken to in its DevTools protocol over aiohttp's websocket; nothing is installed."""

from __future__ import annotations

import asyncio
import base64
import itertools
import shutil
import subprocess
from contextlib import asynccontextmanager

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome")
START_S = 40


def binary():
    """Where the browser is; None = there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Page:
    """One tab. `complaints` are errors that the browser has logged: broken scripts, refused styles, failed loads."""

    def __init__(self, socket):
        self._socket = socket
        self._ids = itertools.count(1)
        self._waiting = {}
        self.session = None
        self.complaints = []

    async def listen(self):
        async for message in self._socket:
            told = message.json()
            if (waiting := self._waiting.pop(told.get("id"), None)) is not None:
                if not waiting.done():
                    waiting.set_result(told)
            elif told.get("method") == "Runtime.exceptionThrown":
                self.complaints.append(str(told["params"]["exceptionDetails"]))
            elif told.get("method") == "Log.entryAdded" and told["params"]["entry"]["level"] == "error":
                self.complaints.append(told["params"]["entry"]["text"])

    async def send(self, method, **params):
        number = next(self._ids)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        message = {"id": number, "method": method, "params": params}
        await self._socket.send_json(message | ({"sessionId": self.session} if self.session else {}))
        told = await asyncio.wait_for(self._waiting[number], 30)
        assert "error" not in told, told
        return told["result"]

    async def run(self, script):
        """The value of an expression on the page."""
        told = await self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    async def until(self, script, seconds=90):
        """Wait until an expression is true."""
        async with asyncio.timeout(seconds):
            while not await self.run(f"Boolean({script})"):  # noqa: ASYNC110 - the event is in another process
                await asyncio.sleep(0.05)

    async def open(self, url, *, dark=False, width=1280, height=1000):
        await self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.send("Emulation.setEmulatedMedia", features=[scheme])
        await self.send("Page.navigate", url=url)
        await self.until("document.readyState === 'complete'")

    async def screenshot(self, path):
        told = await self.send("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(told["data"]))


def start(command):
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@asynccontextmanager
async def page(folder):
    """A tab of a fresh browser whose profile is in `folder`."""
    flags = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run")
    quiet = ("--disable-background-networking", "--disable-component-update", "--hide-scrollbars")
    command = [binary(), *flags, *quiet, "--remote-debugging-port=0", f"--user-data-dir={folder}", "about:blank"]
    process = start(command)
    try:
        port, path = await _address(folder, process)
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(f"ws://127.0.0.1:{port}{path}", max_msg_size=0) as ws,
        ):
            tab = Page(ws)
            listening = asyncio.create_task(tab.listen())
            target = await tab.send("Target.createTarget", url="about:blank")
            told = await tab.send("Target.attachToTarget", targetId=target["targetId"], flatten=True)
            tab.session = told["sessionId"]
            for domain in ("Page", "Runtime", "Log"):
                await tab.send(f"{domain}.enable")
            yield tab
            listening.cancel()
    finally:
        process.terminate()
        process.wait(20)


async def _address(folder, process):
    file = folder / "DevToolsActivePort"
    async with asyncio.timeout(START_S):
        while not (file.exists() and len(lines := file.read_text().split("\n")) > 1):
            assert process.poll() is None, "the browser did not start"
            await asyncio.sleep(0.05)
    return lines[0], lines[1]
