"""Records to lines: JSON, and the combined format of Apache and nginx.

Whatever a client sent is escaped, so that no request can forge a line or a field, and cut, so that every line fits in
``LINE`` bytes: a write of that size to a pipe is atomic (pipe(7)), and workers may share one. Authorization and Cookie
are never looked at; sensitive query parameters are masked. Lines are ASCII.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Final, Literal

from edgeproxy.observe.analytics import cache_label
from edgeproxy.observe.metrics import Metrics
from edgeproxy.observe.redact import SENSITIVE, redactor
from edgeproxy.observe.sink import Sink
from edgeproxy.pipeline.memo import Memo

if TYPE_CHECKING:
    from edgeproxy.pipeline.exchange import Exchange

Lines = Callable[[Sequence["Exchange"], float], bytes]
Escape = Callable[[bytes], str]

LINE: Final = 4096

# Characters a field may take after escaping; together with what is the operator's own they stay under LINE.
_TARGET, _REFERER, _AGENT, _HOST, _NAME, _ID, _WORD = 1300, 570, 500, 260, 80, 64, 40
_OWN: Final = 160

_CUT: Final = "..."

_MEMO: Final = 4096
_MEMO_VALUE: Final = 512

# A look-up is a third of formatting.
_MILLISECONDS: Final[list[bytes]] = [b"%03d" % number for number in range(1000)]
_numbers: Final[dict[int, bytes]] = {}
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class AccessLog:
    """One format and one place to write to. Raises OSError if that cannot be opened."""

    def __init__(
        self,
        format: Literal["json", "combined"],  # noqa: A002
        target: str,
        metrics: Metrics,
        sensitive: Iterable[str] = SENSITIVE,
    ) -> None:
        self.sink = Sink(target, metrics)
        self._lines = formatter(format, sensitive)

    def write(self, records: Sequence[Exchange], offset: float) -> None:
        self.sink.write(self._lines(records, offset))

    def __repr__(self) -> str:
        return f"<AccessLog to {self.sink!r}>"


def formatter(format: Literal["json", "combined"], sensitive: Iterable[str] = SENSITIVE) -> Lines:  # noqa: A002
    """The function that writes records as lines; its second argument is wall time less monotonic time, in seconds."""
    return {"json": _json_lines, "combined": _combined_lines}[format](redactor(sensitive))


def _json_lines(redact: Callable[[bytes], bytes]) -> Lines:
    clients: Memo[str, bytes] = Memo(_json_quoted, _MEMO, longest=_MEMO_VALUE)
    targets = _Escaped(_json_text, _TARGET, redact)
    referers = _Escaped(_json_text, _REFERER, redact)
    agents = _Escaped(_json_text, _AGENT)
    hosts = _Escaped(_json_text, _HOST)
    names = _Escaped(_json_text, _NAME)
    words = _Escaped(_json_text, _WORD)

    def common(x: Exchange) -> tuple[bytes, bytes]:
        """The two pieces of a line that many exchanges of a batch share."""
        request = x.request
        before = b',"method":"%b","scheme":"%b"' % (words.of(request.method), words.of(request.scheme))
        after = b',"version":"%b","status":%b,"route":%b,"cache":"%b"' % (
            words.of(request.version),
            _number(x.status),
            _json_quoted(x.route.name[:_OWN]),
            cache_label(x.verdict).encode("ascii"),
        )
        told = ((b"endpoint", x.endpoint), (b"error", x.error), (b"grpc", x.grpc), (b"tags", ",".join(x.tags)))
        for name, value in told:
            if value:
                after += b',"%b":%b' % (name, _json_quoted(value[:_OWN]))
        for name, value in ((b"country", x.place.country), (b"agent", x.agent), (b"identity", x.identity)):
            if value:
                after += b',"%b":"%b"' % (name, names.of(_encoded(value)))
        if x.score:
            after += b',"score":%b' % _number(x.score)
        return before, after

    def lines(records: Sequence[Exchange], offset: float) -> bytes:
        out: list[bytes] = []
        shared: dict[tuple[object, ...], tuple[bytes, bytes]] = {}
        second, stamp = -1, b""
        for x in records:
            request, ended = x.request, x.ended
            wall = ended + offset
            if wall - second >= 1:  # records are in the order they ended in
                second = int(wall)
                stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode("ascii")
            key = (
                *(request.method, request.scheme, request.version),
                *(x.status, x.verdict, x.route.name, x.endpoint, x.error, x.grpc, x.tags),
                *(x.place.country, x.agent, x.identity, x.score),
            )
            pieces = shared.get(key)
            if pieces is None:
                pieces = shared[key] = common(x)
            fields = request.headers
            out.append(
                b'{"time":"%b.%bZ","client":%b%b,"host":"%b","target":"%b"%b,"bytes":%b,"duration":%b,"id":%b'
                b'%b,"referer":"%b","user_agent":"%b"}\n'
                % (
                    stamp,
                    _MILLISECONDS[int((wall - second) * 1000)],
                    clients[x.client],
                    pieces[0],
                    hosts.of(request.host),
                    targets.of(x.asked or request.target),
                    pieces[1],
                    _number(x.sent),
                    f"{ended - x.started:.6f}".encode("ascii"),
                    _json_quoted(x.id[:_ID].decode("latin-1")),
                    _choice(x.choice) if x.choice else b"",
                    referers.of(fields.get(b"referer", b"")),
                    agents.of(fields.get(b"user-agent", b"")),
                )
            )
        return b"".join(out)

    return lines


def _choice(numbers: tuple[float, ...]) -> bytes:
    """What an endpoint was chosen by and the seconds it took, in four digits each: 170 bytes of them at most."""
    return b',"choice":[%b]' % b",".join([b"%.4g" % number for number in numbers])


def _combined_lines(redact: Callable[[bytes], bytes]) -> Lines:
    clients: Memo[str, bytes] = Memo(_ascii, _MEMO, longest=_MEMO_VALUE)
    targets = _Escaped(_combined_text, _TARGET, redact)
    referers = _Escaped(_combined_text, _REFERER, redact)
    agents = _Escaped(_combined_text, _AGENT)
    users = _Escaped(_combined_user, _NAME)
    words = _Escaped(_combined_text, _WORD)

    def lines(records: Sequence[Exchange], offset: float) -> bytes:
        out: list[bytes] = []
        second, stamp = -1, b""
        status, told = 200, b"200"
        for x in records:
            wall = x.ended + offset
            if wall - second >= 1 or wall < second:
                second = int(wall)
                now = time.gmtime(second)
                stamp = time.strftime(f' [%d/{_MONTHS[now.tm_mon - 1]}/%Y:%H:%M:%S +0000] "', now).encode("ascii")
            if x.status != status:
                status, told = x.status, _number(x.status)
            request = x.request
            fields = request.headers
            out.append(
                b'%b - %b%b%b %b HTTP/%b" %b %b "%b" "%b"\n'
                % (
                    clients[x.client or "unix:"],
                    users.of(_encoded(x.identity)) if x.identity else b"-",
                    stamp,
                    b"GET" if request.method == b"GET" else words.of(request.method),
                    targets.of(x.asked or request.target),
                    b"1.1" if request.version == b"1.1" else words.of(request.version),
                    told,
                    _number(x.sent),
                    referers.of(fields.get(b"referer", b"-")),
                    agents.of(fields.get(b"user-agent", b"-")),
                )
            )
        return b"".join(out)

    return lines


def _json_text(value: bytes) -> str:
    return encode_basestring_ascii(value.decode("utf-8", "backslashreplace"))[1:-1]


def _combined_text(value: bytes) -> str:
    """Quotes, backslashes and what is not printable ASCII as \\xHH, as nginx writes them."""
    text = encode_basestring_ascii(value.decode("latin-1"))[1:-1]
    if "\\" not in text:  # JSON escapes all that must be escaped here, so this one is clean
        return text
    return "".join([chr(byte) if 0x20 <= byte < 0x7F and byte not in b'"\\' else f"\\x{byte:02X}" for byte in value])


def _combined_user(value: bytes) -> str:
    """One word: the field stands between blanks."""
    return _combined_text(value).replace(" ", "\\x20")


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def _json_quoted(text: str) -> bytes:
    return encode_basestring_ascii(text).encode("ascii")


def _ascii(text: str) -> bytes:
    return text.encode("ascii", "replace")


def _number(value: int) -> bytes:
    digits = _numbers.get(value)
    if digits is None:
        digits = b"%d" % value
        if len(_numbers) < _MEMO:
            _numbers[value] = digits
    return digits


class _Escaped:
    """From a value to ``text`` of it after ``redact``, in ASCII, cut so that it takes ``width`` bytes at most.

    Remembers the usual values, for agents, hosts and targets repeat; long ones are not kept and the number is bounded,
    so that the memory stays small whoever calls.
    """

    def __init__(self, text: Escape, width: int, redact: Callable[[bytes], bytes] | None = None) -> None:
        self._known: dict[bytes, bytes] = {}
        self._text = text
        self._width = width
        self._redact = redact

    def __len__(self) -> int:
        return len(self._known)

    def of(self, value: bytes) -> bytes:
        known = self._known.get(value)
        return self._learn(value) if known is None else known

    def _learn(self, value: bytes) -> bytes:
        escaped = self._escape(value if self._redact is None else self._redact(value)).encode("ascii")
        if escaped == value:
            escaped = value  # one object less to keep, and to fetch from memory at every line
        if len(value) <= _MEMO_VALUE:
            if len(self._known) >= _MEMO:
                self._known.clear()
            self._known[value] = escaped
        return escaped

    def _escape(self, value: bytes) -> str:
        room = width = self._width
        escaped = self._text(value[: room + 1])
        if len(escaped) <= width:
            return escaped
        while len(escaped) > width - len(_CUT):
            room = room * 7 // 8
            escaped = self._text(value[:room])
        return escaped + _CUT
