"""``edgeproxy demo``: the demo site and the proxy in front of it, started and stopped together."""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import shlex
import shutil
import signal
import socket
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from pathlib import Path

import aiohttp
import click
import jwt

from edgeproxy.config.load import load_file
from edgeproxy.config.schema import Config
from edgeproxy.config.units import AddressValue, parse_address

SECRET_VARIABLE = "EDGEPROXY_JWT_SECRET"  # noqa: S105 (the name of it, which config/edgeproxy.yaml reads)
_COMMAND_LINE = "from edgeproxy.cli import main; main()"
_READY_WITHIN = 20.0  # seconds
_TOKEN_LASTS = 24 * 3600  # seconds

_TEXT = """
edgeproxy runs in front of the demo site.

  the site, through the proxy   {site}/
  the site itself               {origin}/
  health and metrics            {admin}/metrics

Three commands to try:

  curl -sD- -o /dev/null {site}/api/stations      # twice: the second time cache-status says hit
  curl -s {admin}/metrics
  {command} explain -c {file} {site}/members/

{site}/members/ asks for a token. This one is good for a day, here and at {site}/sign-in/:

  {token}

Ctrl-C stops everything.
"""


class DemoError(Exception):
    """The demo cannot start or go on; the text says why and what to do."""


def run_demo(port_hint: int, config_path: Path) -> int:
    """Serve the demo until SIGINT, SIGTERM or SIGHUP; the exit code. Raises ConfigErrors.

    The origin takes port ``port_hint`` on loopback, or a free one where that is taken. The proxy takes its addresses
    from the configuration; where that reads ``EDGEPROXY_ORIGIN``, it is the demo's origin.
    """
    try:
        asyncio.run(_Demo(port_hint, config_path).serve())
    except DemoError as error:
        click.echo(f"edgeproxy demo: {error}", err=True)
        return 1
    return 0


class _Demo:
    """The two processes, each in a process group of its own, so that a terminal's Ctrl-C reaches only this one."""

    def __init__(self, port_hint: int, config_path: Path) -> None:
        self._listening = _loopback_socket(port_hint)
        self._origin_url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._environment = {SECRET_VARIABLE: secrets.token_urlsafe(32), **os.environ}
        self._environment["EDGEPROXY_ORIGIN"] = self._origin_url
        self._file = config_path
        self._processes: list[Process] = []
        self._signals = 0
        self._stopped = asyncio.Event()

    async def serve(self) -> None:
        """Start both, say so, wait for a signal, stop both. Raises DemoError and ConfigErrors."""
        with self._listening as listening:
            config = load_file(self._file, self._environment)
            address = _http_address(config)
            _check_free(address)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                asyncio.get_running_loop().add_signal_handler(number, self._signalled)
            fd = listening.fileno()
            origin = await self._start("-m", "edgeproxy.demo", "--fd", str(fd), fd=fd)
        try:
            proxy = await self._start("-c", _COMMAND_LINE, "run", "-c", str(self._file))
            await self._watch(origin, proxy, address, config)
        finally:
            await self._stop(config.drain.grace + config.drain.delay + 5)

    async def _watch(self, origin: Process, proxy: Process, address: AddressValue, config: Config) -> None:
        """Greet when the site answers; return at a signal. Raises DemoError when a process ends by itself."""
        stopping = asyncio.create_task(self._stopped.wait())
        ended = [asyncio.create_task(process.wait()) for process in (origin, proxy)]
        ready = asyncio.create_task(_answers(f"http://{_reachable(address)}/"))
        await asyncio.wait([ready, stopping, *ended], return_when=asyncio.FIRST_COMPLETED)
        if ready.done():
            ready.result()
            click.echo(self._text(address, config))
            await asyncio.wait([stopping, *ended], return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if not stopping.done():
            name, process = ("site", origin) if ended[0].done() else ("proxy", proxy)
            raise DemoError(f"the {name} ended by itself, with exit code {process.returncode}")

    async def _start(self, *arguments: str, fd: int | None = None) -> Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            stdin=DEVNULL,
            env=self._environment,
            pass_fds=() if fd is None else (fd,),
            process_group=0,
        )
        self._processes.append(process)
        return process

    def _signalled(self) -> None:
        """The first signal stops, the second does not wait for what is under way."""
        self._signals += 1
        self._stopped.set()
        if self._signals > 1:
            for process in self._processes:
                _send(process, signal.SIGKILL)

    async def _stop(self, patience: float) -> None:
        """The proxy first, which may still need its origin. ``patience`` in seconds."""
        for process in reversed(self._processes):
            _send(process, signal.SIGTERM)
            try:
                async with asyncio.timeout(patience):
                    await process.wait()
            except TimeoutError:
                _send(process, signal.SIGKILL)
                await process.wait()

    def _text(self, address: AddressValue, config: Config) -> str:
        claims = {"sub": "visitor", "iat": int(time.time()), "exp": int(time.time()) + _TOKEN_LASTS}
        return _TEXT.format(
            site=f"http://{_reachable(address)}",
            origin=self._origin_url,
            admin=f"http://{config.admin.address}" if config.admin else "(admin listener off)",
            file=shlex.quote(str(self._file)),
            command=_command(),
            token=jwt.encode(claims, self._environment[SECRET_VARIABLE], algorithm="HS256"),
        )


def _command() -> str:
    """How to type this program here: by its name where the shell finds it, else as it was started."""
    if shutil.which("edgeproxy"):
        return "edgeproxy"
    started = sys.argv[0]
    return shlex.quote(started) if os.access(started, os.X_OK) else f"{shlex.quote(sys.executable)} -m edgeproxy"


def _loopback_socket(port: int) -> socket.socket:
    """A listening socket; on a free port where ``port`` is taken."""
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError as error:
        if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
            raise DemoError(f"cannot listen on 127.0.0.1:{port}: {error.strerror}") from None
        return socket.create_server(("127.0.0.1", 0))


def _http_address(config: Config) -> AddressValue:
    """The first listener that speaks plain HTTP over TCP."""
    for listener in config.listeners:
        address = parse_address(listener.address)
        if not address.path and listener.tls is None:
            return address
    raise DemoError("the configuration has no plain TCP listener to show the site on")


def _reachable(address: AddressValue) -> AddressValue:
    """Where a client on this machine finds a listener: one on all addresses is on loopback too."""
    return address._replace(host={"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host))


def _check_free(address: AddressValue) -> None:
    """Say so early where somebody else listens; the proxy itself would share the port with one of its kind."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        socket.create_server((address.host, address.port), family=family).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise DemoError(
                f"{address} is in use by another program. Stop that one, or choose another address: "
                f"EDGEPROXY_LISTEN={address.host}:{address.port + 1} {_command()} demo"
            ) from None
        raise DemoError(f"cannot listen on {address}: {error.strerror}") from None


async def _answers(url: str) -> None:
    """Return when ``url`` answers 200. Raises DemoError when it does not in time."""
    deadline = time.monotonic() + _READY_WITHIN
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
        while time.monotonic() < deadline:
            try:
                async with session.get(url) as answer:
                    if answer.status == 200:
                        return
            except (aiohttp.ClientError, TimeoutError):
                pass
            await asyncio.sleep(0.05)
    raise DemoError(f"{url} did not answer within {_READY_WITHIN:g} s")


def _send(process: Process, number: signal.Signals) -> None:
    if process.returncode is None:
        process.send_signal(number)
