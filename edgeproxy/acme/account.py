"""The account at an authority: its key and its URL, made once and kept."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from typing import Any

from edgeproxy.acme.authority import Authority
from edgeproxy.acme.failure import AcmeError
from edgeproxy.acme.material import dump_key, load_account_key, new_key
from edgeproxy.acme.storage import Storage
from edgeproxy.clock import Clock
from edgeproxy.config.acme import AcmeConfig

KEY = "ecdsa-p256"


class Account:
    """Of one authority, and one external account there if it is bound to one."""

    def __init__(
        self, config: AcmeConfig, storage: Storage, clock: Clock, pause: Callable[[float], None] = time.sleep
    ) -> None:
        external = "" if config.external_account is None else config.external_account.kid
        base = f"accounts/{hashlib.sha256(f'{config.url} {external}'.encode()).hexdigest()[:16]}"
        self._key_path, self._about_path = f"{base}.pem", f"{base}.json"
        self._config = config
        self._storage = storage
        self._clock = clock
        self._pause = pause

    def open(self) -> Authority:
        """A conversation with the authority, by the account; the first time it is made. Raises AcmeError, and OSError
        of the folder."""
        pem = self._storage.read(self._key_path)
        if pem is None:
            pem = dump_key(new_key(KEY))
            self._storage.write(self._key_path, pem)
        try:
            key = load_account_key(pem)
        except ValueError:
            raise AcmeError(f"{self._key_path} holds no key of an account", whole=True) from None
        authority = Authority(self._config, key, self._clock, self._pause)
        about = self._about()
        if about is None:
            self._remember(authority.register())
            return authority
        authority.use(about["url"])
        if about.get("email") != self._config.email:
            authority.contact()
            self._remember(about["url"])
        return authority

    def change_key(self) -> None:
        """Have the account go by a new key. Raises as :meth:`open`."""
        authority = self.open()
        key = load_account_key(dump_key(new_key(KEY)))
        authority.change_key(key)
        self._storage.write(self._key_path, dump_key(key))

    def forget(self) -> None:
        """The authority does not know it: make it anew next time."""
        self._storage.drop(self._about_path)

    def _about(self) -> dict[str, Any] | None:
        try:
            told = json.loads(self._storage.read(self._about_path) or b"")
        except ValueError:
            return None
        return told if isinstance(told, dict) and isinstance(told.get("url"), str) else None

    def _remember(self, url: str) -> None:
        about = {"url": url, "directory": self._config.url, "email": self._config.email}
        self._storage.write(self._about_path, json.dumps(about).encode())
