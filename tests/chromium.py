"""A headless Chromium without a network, driven by its DevTools protocol over two pipes."""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")

ON_3_AND_4 = (  # where Chromium reads and writes; not every shell moves descriptors of two digits
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)


def found() -> str | None:
    """The browser of this machine."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Chromium:
    """One browser with one page. `errors` and `requests` (addresses) are collected from when it begins."""

    def __init__(self, binary: str, profile: Path, limit: float = 60.0) -> None:
        self.limit, self.errors, self.requests, self.loaded = limit, [], [], 0
        self.rest, self.number, self.session = b"", 0, ""
        commands, self.write = os.pipe()
        self.read, answers = os.pipe()
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (commands, answers)]  # not 3 or 4, where they go
        arguments = [
            binary, "--headless=new", "--no-sandbox", "--remote-debugging-pipe", f"--user-data-dir={profile}",
            "--host-resolver-rules=MAP * ~NOTFOUND", "--no-first-run", "--disable-background-networking",
            "--disable-gpu", "--disable-dev-shm-usage", "--force-device-scale-factor=1", "about:blank",
        ]  # fmt: skip
        self.process = subprocess.Popen(
            [sys.executable, "-c", ON_3_AND_4, *map(str, ends), *arguments],
            pass_fds=ends, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for end in (commands, answers, *ends):
            os.close(end)
        try:
            target = self.call("Target.createTarget", url="about:blank")["targetId"]
            self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                self.call(f"{domain}.enable")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Chromium":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.write)
        os.close(self.read)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of a command; events that come before it are kept."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        content = json.dumps(message).encode() + b"\0"
        while content:
            content = content[os.write(self.write, content) :]
        while (answer := self.next()).get("id") != self.number:
            self.note(answer)
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def next(self) -> dict[str, Any]:
        """The next message."""
        until = time.monotonic() + self.limit
        pieces = [self.rest]
        while b"\0" not in pieces[-1]:
            ready, _, _ = select.select([self.read], [], [], max(0.0, until - time.monotonic()))
            assert ready, f"the browser said nothing for {self.limit:g} s"
            piece = os.read(self.read, 1 << 20)
            assert piece, "the browser has ended"
            pieces.append(piece)
        message, _, self.rest = b"".join(pieces).partition(b"\0")
        return json.loads(message)

    def note(self, event: dict[str, Any]) -> None:
        given = event.get("params", {})
        match event.get("method"):
            case "Runtime.exceptionThrown":
                self.errors.append(str(given["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if given["type"] in ("error", "warning", "assert"):
                self.errors.append(str([each.get("value", each.get("description")) for each in given["args"]]))
            case "Log.entryAdded" if given["entry"]["level"] in ("error", "warning") and "Canvas2D" not in str(given):
                self.errors.append(given["entry"]["text"])
            case "Network.requestWillBeSent":
                self.requests.append(given["request"]["url"])
            case "Page.loadEventFired":
                self.loaded += 1

    def open(self, address: str) -> None:
        """Goes there and waits until everything is loaded."""
        before = self.loaded
        answer = self.call("Page.navigate", url=address)
        assert not answer.get("errorText"), answer
        while answer.get("loaderId") and self.loaded == before:  # none where only the fragment changes
            self.note(self.next())

    def evaluate(self, expression: str) -> Any:
        """The value of JavaScript in the page; of a promise, what it resolves to."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, expression: str) -> Any:
        """The value of an expression as soon as it is true."""
        until = time.monotonic() + self.limit
        while not (value := self.evaluate(expression)):
            assert time.monotonic() < until, f"never true: {expression}"
            time.sleep(0.05)
        return value

    def look(self, width: int, height: int, scheme: str) -> None:
        """The size of the page and its colours, light or dark."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def screenshot(self, path: Path) -> None:
        """All of the page as a PNG."""
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(answer["data"]))
