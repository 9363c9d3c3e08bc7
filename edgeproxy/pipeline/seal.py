"""Fields that every answer bears, put into kept answers once: a seal tells which ones have them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from edgeproxy.http.message import NO_FIELDS, Response
from edgeproxy.pipeline.exchange import Exchange

_HSTS: Final = b"strict-transport-security"


class Seal:
    """``seal`` is the very object that ``apply`` sets as the value of the field ``probe``: an answer that holds it has
    been through ``apply``, in this worker and with this configuration. None: there is no such field. ``hsts`` is what
    https answers bear besides (RFC 6797 §7.2: no others), in place of the origin's if ``override``; ``remove`` what
    ``apply`` takes away, and what a 304, which it does not see, must not bear either: a block of a 304's stored fields
    without them is sealed with the Seal itself."""

    def __init__(
        self,
        remove: tuple[bytes, ...],
        probe: bytes,
        seal: bytes | None,
        apply: Callable[[Response], None],
        hsts: bytes | None,
        *,
        override: bool,
    ) -> None:
        self._remove = remove
        self._probe = probe
        self._seal = seal
        self._apply = apply
        self._hsts = hsts
        self._override = override

    def check(self, x: Exchange, response: Response) -> None:
        """Give an answer on its way out the fields it still lacks."""
        if response.status == 304:  # the browser has the other fields already (RFC 9110 §15.4.5)
            self._strip(response)
        elif self._seal is None or response.shared.seal is not self._seal:
            self._complete(response)
        hsts = self._hsts
        if hsts is not None and x.request.scheme == b"https" and (self._override or response.get(_HSTS) is None):
            response.set(_HSTS, hsts)

    def _strip(self, response: Response) -> None:
        """Take what is to be removed from a 304; a block of stored fields that has none of it is remembered by itself,
        as beside it stand the same names each time."""
        shared = response.shared
        if shared.seal is self and not response.own:
            return
        for name in self._remove:
            response.drop(name)
        if shared is response.shared and shared is not NO_FIELDS:
            shared.seal = self

    def _complete(self, response: Response) -> None:
        """Apply what is lacking; a block of stored fields that lacks nothing is remembered by itself."""
        shared = response.shared
        if shared is NO_FIELDS:
            if self._seal is None or response.own.get(self._probe) is not self._seal:
                self._apply(response)
            return
        trial = Response(response.status, shared=shared)
        self._apply(trial)
        if trial.shared is shared and not trial.own:
            shared.seal = self._seal
        else:
            self._apply(response)
