"""A headless Chromium driven over the DevTools protocol: one page, with everything its console says."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

# The browser talks to nothing but the addresses it is given.
_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--no-first-run",
    "--no-default-browser-check",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    "--remote-debugging-port=0",
]
_PATIENCE = 30.0  # seconds for any one answer


def chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def trusting(certificate: Path) -> str:
    """The flag that has the browser take this certificate for a good one. What comes under it is kept in the browser's
    cache, as nothing is where all errors are ignored."""
    key = x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
    digest = hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    return f"--ignore-certificate-errors-spki-list={base64.b64encode(digest).decode()}"


class Page:
    """One tab. ``complaints`` collects what a developer would see in red or yellow: console, log, failed loads;
    ``transferred`` the bytes that came over the wire for a URL the first time it was asked for: of its body as it was
    coded, and heads included."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.complaints: list[str] = []
        self.responses: dict[str, dict[str, Any]] = {}
        self.transferred: dict[str, tuple[int, int]] = {}
        self._loading: dict[str, tuple[str, int]] = {}
        self._socket = socket
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._loaded = asyncio.Event()
        self._number = 0
        self._reader = asyncio.create_task(self._read())

    async def __aenter__(self) -> Self:
        for domain in ("Runtime", "Log", "Network", "Page"):
            await self.call(f"{domain}.enable")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of a DevTools method. Raises RuntimeError if the browser refuses it."""
        self._number += 1
        answer = self._answers[self._number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": self._number, "method": method, "params": params})
        message = await asyncio.wait_for(answer, _PATIENCE)
        if "error" in message:
            raise RuntimeError(f"{method}: {message['error']['message']}")
        return message.get("result", {})  # type: ignore[no-any-return]

    async def open(self, url: str) -> None:
        """Go to ``url`` and wait for its load event."""
        self._loaded.clear()
        result = await self.call("Page.navigate", url=url)
        if "errorText" in result:
            raise RuntimeError(f"{url}: {result['errorText']}")
        await asyncio.wait_for(self._loaded.wait(), _PATIENCE)

    async def run(self, script: str) -> Any:
        """The value of a JavaScript expression; promises are awaited."""
        result = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"]["exception"].get("description", "exception"))
        return result["result"].get("value")

    async def until(self, expression: str) -> Any:
        """Wait in the page, a frame at a time, until the expression is truthy."""
        check = f"""new Promise((done, failed) => {{
            const give_up = performance.now() + {_PATIENCE * 900};
            const look = () => {{
                const value = {expression};
                if (value) done(value);
                else if (performance.now() > give_up) failed(new Error("never true: " + {json.dumps(expression)}));
                else setTimeout(look, 20);
            }};
            look();
        }})"""
        return await self.run(check)

    async def size(self, width: int, height: int, *, dark: bool = False) -> None:
        """Show the page as a phone or a desktop of this size in CSS pixels would."""
        narrow = width < 600
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if narrow else 1,
            mobile=narrow,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])

    async def screenshot(self) -> bytes:
        """The whole page as a PNG."""
        shot = await self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return base64.b64decode(shot["data"])

    async def _read(self) -> None:
        async for frame in self._socket:
            message = json.loads(frame.data)
            if "id" in message:
                answer = self._answers.pop(message["id"], None)
                if answer is not None and not answer.done():
                    answer.set_result(message)
            else:
                self._note(message["method"], message["params"])

    def _note(self, method: str, params: dict[str, Any]) -> None:
        match method:
            case "Page.loadEventFired":
                self._loaded.set()
            case "Runtime.consoleAPICalled" if params["type"] in {"error", "warning", "assert"}:
                self.complaints.append(f"console.{params['type']}: {params['args']}")
            case "Runtime.exceptionThrown":
                self.complaints.append(f"exception: {params['exceptionDetails']}")
            case "Log.entryAdded" if params["entry"]["level"] in {"error", "warning"}:
                self.complaints.append(f"log: {params['entry']['text']} {params['entry'].get('url', '')}")
            case "Network.loadingFailed" if not params.get("canceled"):
                self.complaints.append(f"network: {params['errorText']} {params.get('type')}")
            case "Network.responseReceived":
                self.responses[params["response"]["url"]] = params["response"]
                heads = int(params["response"]["encodedDataLength"])
                self._loading[params["requestId"]] = params["response"]["url"], heads
            case "Network.loadingFinished" if params["requestId"] in self._loading:
                url, heads = self._loading.pop(params["requestId"])
                came = int(params["encodedDataLength"])
                self.transferred.setdefault(url, (came - heads, came))


@asynccontextmanager
async def browser_page(
    preferences: dict[str, Any] | None = None, flags: Sequence[str] = (), *, quic: bool = False
) -> AsyncIterator[Page]:
    """A new browser with a profile of its own, which may have ``preferences``, and one page open; both gone
    afterwards. ``flags`` stand behind ours: the last one of a name counts. ``quic``: it may speak HTTP/3."""
    program = chromium()
    if program is None:
        raise RuntimeError("chromium is not installed (Debian package: chromium)")
    profile = Path(tempfile.mkdtemp(prefix="edgeproxy-chromium-"))
    if preferences is not None:
        (profile / "Default").mkdir()
        (profile / "Default" / "Preferences").write_text(json.dumps(preferences))
    process = await asyncio.create_subprocess_exec(
        program,
        *[flag for flag in _FLAGS if not (quic and flag == "--disable-quic")],
        *flags,
        f"--user-data-dir={profile}",
        "about:blank",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    drain: asyncio.Task[None] | None = None
    try:
        assert process.stderr is not None
        port = await asyncio.wait_for(_debugging_port(process.stderr), _PATIENCE)
        drain = asyncio.create_task(_discard(process.stderr))
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                targets = await answer.json()
            address = next(target["webSocketDebuggerUrl"] for target in targets if target["type"] == "page")
            async with session.ws_connect(address, max_msg_size=0) as socket, Page(socket) as page:
                yield page
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)  # its helpers are in the session started for it
        await process.wait()
        if drain is not None:
            await drain
        shutil.rmtree(profile, ignore_errors=True)


async def _debugging_port(stderr: asyncio.StreamReader) -> int:
    async for line in stderr:
        if b"DevTools listening on " in line:
            return int(line.split(b"127.0.0.1:")[1].split(b"/")[0])
    raise RuntimeError("the browser ended before it could be reached")


async def _discard(stream: asyncio.StreamReader) -> None:
    while await stream.read(65536):
        pass
