"""Fields that every answer bears, put into kept answers once: a seal tells which ones have them."""

from __future__ import annotations

from typing import Final

from edgeproxy.http.message import NO_FIELDS, Response
from edgeproxy.pipeline.exchange import Exchange

_HSTS: Final = b"strict-transport-security"


class Seal:
    """``values`` are the fields, None for one that is not set; all are of the type ``ours``, which no origin's own is.
    The first of them is the seal: an answer that holds that very object has been through :meth:`apply`, in this worker
    and with this configuration. ``hsts`` is what https answers bear besides (RFC 6797 §7.2: no others). Both stand in
    place of the origin's if ``override``. ``remove`` is taken away, also from a 304, which gets nothing: a block of a
    304's stored fields without them is sealed with the Seal itself."""

    def __init__(
        self,
        remove: tuple[bytes, ...],
        values: tuple[tuple[bytes, bytes | None], ...],
        ours: type[bytes],
        hsts: bytes | None,
        *,
        override: bool,
    ) -> None:
        self._remove = remove
        self._values = values
        self._ours = ours
        self._probe = b""
        self._seal: bytes | None = None
        for name, value in values:
            if value is not None:
                self._probe, self._seal = name, value
                break
        self._hsts = hsts
        self._override = override

    def apply(self, response: Response, *, keep: bool = False) -> None:
        """Idempotent: an answer that has been through it is gone through once more, and changed where it needs it.
        ``keep``: it is to be kept."""
        for name in self._remove:
            if response.get(name) is not None:
                response.drop(name)
        if response.status == 304:
            return  # the browser has these fields already (RFC 9110 §15.4.5)
        for name, value in self._values:
            present = response.get(name)
            if value is None:
                if present is not None and type(present) is self._ours:
                    response.drop(name)
            elif present is None or (keep if present == value else self._override or type(present) is self._ours):
                response.set(name, value)

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
                self.apply(response)
            return
        trial = Response(response.status, shared=shared)
        self.apply(trial)
        if trial.shared is shared and not trial.own:
            shared.seal = self._seal
        else:
            self.apply(response)
