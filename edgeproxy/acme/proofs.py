"""How a name is proved to be this node's: what a challenge asks for is put where it is looked for, then taken away."""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from edgeproxy.acme import hook
from edgeproxy.acme.authority import Task
from edgeproxy.acme.failure import AcmeError
from edgeproxy.acme.material import alpn_certificate
from edgeproxy.acme.storage import Storage
from edgeproxy.config.acme import AcmeConfig

logger = logging.getLogger("edgeproxy.acme")

HTTP = "challenges/http/"


class Proofs:
    """By the challenge that is configured. A block's proof lasts as long as the block."""

    def __init__(self, config: AcmeConfig, storage: Storage) -> None:
        self._config = config
        self._storage = storage
        self._ways: dict[str, Callable[[Task], AbstractContextManager[None]]] = {
            "http-01": self._over_http,
            "tls-alpn-01": self._over_tls,
            "dns-01": self._over_dns,
        }

    def prove(self, task: Task) -> AbstractContextManager[None]:
        """Raises AcmeError, and OSError of the folder."""
        return self._ways[self._config.challenge](task)

    @contextmanager
    def _over_http(self, task: Task) -> Iterator[None]:
        """RFC 8555 §8.3."""
        with self._file(f"{HTTP}{task.token}", task.key_authorization.encode()):
            yield

    @contextmanager
    def _over_tls(self, task: Task) -> Iterator[None]:
        """RFC 8737."""
        files = self._storage.files
        path = files.store.challenge(task.name).relative_to(files.folder).as_posix()
        with self._file(path, alpn_certificate(task.name, task.key_authorization)):
            yield

    @contextmanager
    def _over_dns(self, task: Task) -> Iterator[None]:
        """RFC 8555 §8.4."""
        name = f"_acme-challenge.{task.name}"
        digest = hashlib.sha256(task.key_authorization.encode()).digest()
        value = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        command, timeout = self._config.dns_hook, self._config.dns_timeout
        try:
            hook.run(command, "present", name, value, timeout=timeout)
            yield
        finally:
            try:
                hook.run(command, "cleanup", name, value, timeout=timeout)
            except AcmeError as error:  # the order is as good as it was
                logger.warning("%s: %s", task.name, error)

    @contextmanager
    def _file(self, path: str, content: bytes) -> Iterator[None]:
        self._storage.write(path, content)
        try:
            self._storage.settle()
            yield
        finally:
            self._storage.drop(path)
