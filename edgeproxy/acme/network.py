"""The way to the authority: certbot's ACME client over requests, with bounds on what an answer may be and how long it
may take, and errors that say what went wrong in a line."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from types import FrameType
from typing import Any

import requests
from acme import client, errors, messages
from josepy.errors import Error as JoseError
from josepy.jwa import ES256
from josepy.jwk import JWKEC
from requests.adapters import HTTPAdapter

from edgeproxy import __version__
from edgeproxy.acme.failure import AcmeError
from edgeproxy.clock import Clock

STEP = 20  # seconds without a byte
LARGEST = 1_000_000  # bytes of an answer
NONCES = 10  # times that a nonce may be refused in a row (RFC 8555 §6.5)
LONGEST_RETRY_AFTER = 7 * 86_400.0

# What is the account's or the authority's own fault; the next name would meet it too.
_WHOLE = frozenset(
    (
        *("accountDoesNotExist", "badNonce", "badPublicKey", "badSignatureAlgorithm", "externalAccountRequired"),
        *("invalidContact", "invalidEmail", "serverInternal", "unsupportedContact"),
    )
)


@contextmanager
def within(seconds: float, what: str) -> Iterator[None]:
    """Raise AcmeError in the block once it has taken so long, whatever it waits for. For the main thread."""

    def over(_number: int, _frame: FrameType | None) -> None:
        raise AcmeError(f"{what} within {seconds:g}s")

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class _Limited:
    """What an answer's content is read from, up to a length."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def stream(self, size: int | None, decode_content: bool | None = None) -> Iterator[bytes]:
        left = LARGEST
        for part in self._raw.stream(size, decode_content=decode_content):
            left -= len(part)
            if left < 0:
                raise requests.exceptions.ContentDecodingError(f"it answered more than {LARGEST // 1000} KB")
            yield part

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)


class _Adapter(HTTPAdapter):
    """Notes down how long the last answer wants to be left alone for."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.retry_after = 0.0
        self._clock = clock

    def send(self, *args: Any, **options: Any) -> requests.Response:
        self.retry_after = 0.0
        answer = super().send(*args, **options)
        self.retry_after = retry_after(answer.headers.get("retry-after", ""), self._clock.wall())
        answer.raw = _Limited(answer.raw)
        return answer


class Network(client.ClientNetwork):
    """Signs with an account's key. ``ca``: file of the authorities that the directory's certificate is checked
    against."""

    def __init__(self, key: JWKEC, ca: str | None, clock: Clock) -> None:
        agent = f"edgeproxy/{__version__}"
        super().__init__(key, alg=ES256, user_agent=agent, timeout=STEP)
        if ca is not None:
            self.session.verify = ca
            self.verify_ssl = ca  # type: ignore[assignment]  # requests takes a path there
        self._adapter = _Adapter(clock)
        self.session.mount("https://", self._adapter)
        self.session.max_redirects = 0

    @property
    def retry_after(self) -> float:
        """Seconds that the last answer wants to be left alone for, 0.0 if it did not say."""
        return self._adapter.retry_after

    def post(self, *args: Any, **options: Any) -> requests.Response:
        """As the base class's, which tries again once where the nonce was refused."""
        for _ in range(NONCES):
            try:
                return super().post(*args, **options)
            except messages.Error as error:
                if error.code != "badNonce":
                    raise
        return super().post(*args, **options)


@contextmanager
def explained(network: Network) -> Iterator[None]:
    """What the client raises, as AcmeError."""
    try:
        yield
    except messages.Error as error:
        code = error.code or str(error.typ)
        reason = f"{code}: {error.detail or error.description or 'refused'}"
        for one in error.subproblems or ():
            reason += f"; {one.identifier.value if one.identifier else ''} {one.detail or ''}"
        raise AcmeError(reason, network.retry_after, whole=code in _WHOLE, code=code) from None
    except errors.ConflictError:
        raise AcmeError("the authority says that this conflicts with what is there") from None
    except (errors.Error, JoseError) as error:
        raise AcmeError(_said(error), network.retry_after, whole=True) from None
    except requests.RequestException as error:
        raise AcmeError(f"the authority cannot be asked: {_cause(error)}", network.retry_after, whole=True) from None
    except (KeyError, AttributeError, ValueError, TypeError) as error:  # the library trusts what it is answered
        raise AcmeError(f"the authority's answer is of no known form ({type(error).__name__})", whole=True) from None


def retry_after(value: str, now: float) -> float:
    """Seconds that a Retry-After field asks for (RFC 9110 §10.2.3), a week at most; 0.0 for none that can be read."""
    try:
        wanted = float(value) if value.isascii() and value.isdigit() else parsedate_to_datetime(value).timestamp() - now
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return min(max(wanted, 0.0), LONGEST_RETRY_AFTER)


def _said(error: Exception) -> str:
    first = error.args[0] if error.args else None
    if isinstance(first, requests.Response):
        return f"the authority answered {first.status_code}"
    return f"the authority answered what it may not ({type(error).__name__})"


def _cause(error: BaseException) -> str:
    """The innermost reason: urllib3 wraps it three times."""
    reason = error
    for _ in range(5):
        inside = (getattr(reason, "reason", None), *reason.args)
        inner = next((one for one in inside if isinstance(one, Exception)), None)
        if inner is None:
            break
        reason = inner
    return str(reason) or type(reason).__name__
