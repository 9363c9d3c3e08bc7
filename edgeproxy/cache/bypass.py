"""Requests that the cache lets pass: their answers are neither looked up nor kept."""

from __future__ import annotations

from collections.abc import Callable

from edgeproxy.cache.recipe import COOKIES_LONGEST, PARAMETERS_MOST, names, parameter_name
from edgeproxy.http.message import Request

Bypass = Callable[[Request], bool]
Matcher = Callable[[bytes], object]

# With these an origin may take a GET for another method, and answer what the GET's key must never hold.
OTHER_METHOD = frozenset((b"x-http-method", b"x-http-method-override", b"x-method-override"))


def bypass(
    *,
    cookies: tuple[str, ...] = (),
    headers: tuple[tuple[bytes, bytes | bool], ...] = (),
    parameters: tuple[str, ...] = (),
    paths: tuple[bytes, ...] = (),
) -> Bypass | None:
    """Whether a request passes: one reason is enough. None if there can be none. Where there are too many cookies or
    parameters to look through, it passes.

    ``cookies`` and query ``parameters`` by name, ``*`` at the end for any rest; ``headers`` (lower case) with their
    whole value, True for any, False for a field that is not there; ``paths`` by what they begin with.
    """
    reasons: list[Bypass] = []
    if paths:
        reasons.append(lambda request: request.path.startswith(paths))
    if headers:
        reasons.append(lambda request: any(_stands(request.headers.get(name), value) for name, value in headers))
    if cookies:
        cookie = names(cookies).fullmatch
        reasons.append(lambda request: _has_cookie(request.headers.get(b"cookie"), cookie))
    if parameters:
        parameter = names(parameters).fullmatch
        reasons.append(lambda request: _has_parameter(request.query, parameter))
    if len(reasons) < 2:
        return reasons[0] if reasons else None
    return lambda request: any(reason(request) for reason in reasons)


def _stands(value: bytes | None, wanted: bytes | bool) -> bool:
    return (value is not None) is wanted if isinstance(wanted, bool) else value == wanted


def _has_cookie(field: bytes | None, is_meant: Matcher) -> bool:
    if field is None:
        return False
    if len(field) > COOKIES_LONGEST:
        return True
    return any(is_meant(pair.partition(b"=")[0].strip(b" \t")) for pair in field.split(b";"))


def _has_parameter(query: bytes, is_meant: Matcher) -> bool:
    if query.count(b"&") >= PARAMETERS_MOST:
        return True
    return any(is_meant(parameter_name(parameter)) for parameter in query.split(b"&") if parameter)
