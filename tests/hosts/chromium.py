"""Drive a headless Chromium over its DevTools pipe: real clicks, the real file chooser, real downloads."""

from __future__ import annotations

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SIZE = (1280, 800)
FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", f"--window-size={SIZE[0]},{SIZE[1]}", "--remote-debugging-pipe",
]  # fmt: skip


def find_chromium() -> str | None:
    """Path of a Chromium, None where there is none."""
    return next((p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None)


class Chromium:
    """One browser with one page; a context manager.

    Protocol: JSON messages ended by a zero byte, commands into its descriptor 3, answers and events out of its 4.
    """

    def __init__(self, profile: Path, downloads: Path) -> None:
        theirs_in, self._to = os.pipe()
        self._from, theirs_out = os.pipe()
        # a shell moves the pipes to the descriptors that Chromium expects
        script = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
        arguments = [find_chromium() or "chromium", *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        self._process = subprocess.Popen(
            ["bash", "-c", script, "chromium", *arguments],
            pass_fds=(theirs_in, theirs_out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        self._ids, self._buffer, self._session = itertools.count(1), b"", ""
        self.downloads, self.events = downloads, list[dict[str, Any]]()
        try:
            self._open_page()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Chromium:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the browser."""
        for pipe in (self._to, self._from):
            os.close(pipe)
        self._process.terminate()
        self._process.wait(20)

    def _open_page(self) -> None:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "DOM", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.call("Page.setInterceptFileChooserDialog", enabled=True)
        self.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(self.downloads), eventsEnabled=True)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command; returns its result."""
        number = next(self._ids)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session and not method.startswith(("Target.", "Browser.")):
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return dict(answer["result"])
            self.events.append(answer)

    def _read(self, timeout_s: float = 60) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._from], [], [], timeout_s)
            chunk = os.read(self._from, 1 << 16) if ready else b""
            assert chunk, f"Chromium says nothing (exit status {self._process.poll()})"
            self._buffer += chunk
        message, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(message))

    def event(self, method: str) -> dict[str, Any]:
        """The next event of that name, awaited."""
        while True:
            for index, event in enumerate(self.events):
                if event.get("method") == method:
                    return dict(self.events.pop(index)["params"])
            self.events.append(self._read())

    def open(self, address: str) -> None:
        """Go to a page; what was seen of the last one is forgotten."""
        self.events.clear()
        self.call("Page.navigate", url=address)

    def text(self) -> str:
        """What the page says."""
        return str(self.js("document.body.innerText"))

    def shown_colors(self, canvas: str) -> int:
        """How many different pixels a canvas has."""
        pixels = (
            f"(c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data)(document.getElementById('{canvas}'))"
        )
        return int(self.js(f"new Set(new Uint32Array({pixels}.buffer)).size"))

    def requested(self) -> set[str]:
        """Origins that the page asked for anything, each with a slash at its end."""
        urls = (
            urlsplit(e["params"]["request"]["url"]) for e in self.events if e["method"] == "Network.requestWillBeSent"
        )
        return {f"{u.scheme}://{u.netloc}/" for u in urls if u.scheme not in ("blob", "data")}

    def complaints(self) -> list[str]:
        """What the console shows in red."""
        entries = (e["params"]["entry"] for e in self.events if e["method"] == "Log.entryAdded")
        return [e["text"] for e in entries if e["level"] == "error"]

    def js(self, expression: str) -> Any:
        """Value of a JavaScript expression; a promise is awaited."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, expression: str, timeout_s: float = 60) -> None:
        """Until an expression is true."""
        end = time.monotonic() + timeout_s
        while not self.js(expression):
            assert time.monotonic() < end, f"{expression} stays false; the page says: {self.text()}"
            time.sleep(0.02)

    def click(self, selector: str) -> None:
        """A mouse click on the middle of an element."""
        box = f"(r => [r.x + r.width / 2, r.y + r.height / 2])(document.querySelector('{selector}').getBoundingClientRect())"
        x, y = self.js(box)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def choose_file(self, selector: str, file: Path) -> None:
        """Click what opens a file chooser, and choose a file in it."""
        self.click(selector)
        node = self.event("Page.fileChooserOpened")["backendNodeId"]
        self.call("DOM.setFileInputFiles", files=[str(file)], backendNodeId=node)

    def screenshot(self, target: Path) -> None:
        """The page as PNG."""
        target.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))
