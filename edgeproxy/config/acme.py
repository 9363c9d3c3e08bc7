"""The section of certificates that renew themselves (ACME, RFC 8555)."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from edgeproxy.config.section import Section
from edgeproxy.config.units import Duration, Rate, RateValue, Share
from edgeproxy.config.values import File, FolderPath, Host, Many, Off, is_protected

DIRECTORIES = {
    "letsencrypt": "https://acme-v02.api.letsencrypt.org/directory",
    "letsencrypt-staging": "https://acme-staging-v02.api.letsencrypt.org/directory",
    "zerossl": "https://acme.zerossl.com/v2/DV90",
}
LARGEST_SECRET = 4_096  # bytes of a file that holds one
MOST_ORDERS = 1_000  # of a rate: what is remembered of orders has its bound


def _directory(text: str) -> str:
    if text in DIRECTORIES:
        return text
    if urlsplit(text).scheme != "https" or not urlsplit(text).hostname:
        raise ValueError(f"{text!r} is no authority: {', '.join(DIRECTORIES)}, or the https URL of another's directory")
    return text


def _email(text: str) -> str:
    name, at, host = text.rpartition("@")
    if not at or not name or not host or any(character in text for character in " ,?:<>\t\r\n"):
        raise ValueError(f"{text!r} is no address of mail")
    return text


def _question(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not is_protected(text) or parts.fragment:
        raise ValueError(f"{text!r} is no address to ask: https://…, or http:// on this machine")
    return text


def _hmac(text: str) -> str:
    """What an authority gives out is base64url, without padding as a rule (RFC 8555 §7.3.4)."""
    try:
        if len(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)) < 16:
            raise ValueError
    except (ValueError, binascii.Error):
        raise ValueError("the HMAC key is base64url of 16 bytes or more, as the authority gave it") from None
    return text


def _read(path: str, name: str) -> str:
    try:
        with Path(path).open(encoding="utf-8") as file:
            text = file.read(LARGEST_SECRET + 1).strip()
    except (OSError, ValueError) as error:
        raise ValueError(f"{name}: {path} cannot be used: {error}") from None
    if not text or len(text) > LARGEST_SECRET:
        raise ValueError(f"{name}: {path} holds no secret of 1 to {LARGEST_SECRET} characters")
    return text


def _few(rate: RateValue) -> RateValue:
    if not 1 <= rate.count <= MOST_ORDERS:
        raise ValueError(f"a rate of orders is 1 to {MOST_ORDERS} in its period, like 30/h")
    return rate


OrderRate = Annotated[Rate, AfterValidator(_few)]


class ExternalAccountConfig(Section):
    """The account at the authority that orders are bound to (external account binding, RFC 8555 §7.3.4)."""

    kid: str = Field(min_length=1, max_length=512)
    """The key's identifier, as the authority gave it."""
    hmac: SecretStr | None = None
    """The key, base64url, as the authority gave it. Write it as `${NAME}`."""
    hmac_file: File | None = None
    """File with the key instead."""

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if (self.hmac is None) == (self.hmac_file is None):
            raise ValueError("give one of hmac and hmac_file")
        if self.hmac_file is None or Path(self.hmac_file).is_absolute():
            self.secret()
        return self

    def secret(self) -> str:
        """The key. Raises ValueError if it is none, or its file holds none."""
        if self.hmac is not None:
            return _hmac(self.hmac.get_secret_value())
        return _hmac(_read(self.hmac_file or "", "hmac_file"))


class OnDemandConfig(Section):
    """Certificates for names that nobody has listed, got when a client first asks for one. Whoever points a name at
    this node can cause an order, so a rule says which names that may be."""

    allow: Annotated[tuple[Host, ...], Many] = Field((), max_length=1_000)
    """Names that may be: `shop.example`, `*.customers.example` for every name below it; 1000 at most."""
    ask: Annotated[str, AfterValidator(_question)] | None = None
    """A URL that is asked `?name=…` for names that `allow` has not: 200 allows one, anything else does not. https, or
    on this machine."""
    rate: OrderRate = RateValue(10, 3_600.0)
    """Most orders for names without a certificate: `10/h` by default, up to 1000 in the period; beside `orders`."""
    most: int = Field(1_000, ge=1, le=100_000)
    """Most certificates there may be in all: 1 to 100000; past that, no new name is ordered."""

    @model_validator(mode="after")
    def _has_rule(self) -> Self:
        if not self.allow and self.ask is None:
            raise ValueError("says no name that is allowed: give allow or ask")
        return self

    def listed(self, name: str) -> bool:
        """Whether ``allow`` has this name, which is in lower case."""
        return any(name == one or (one.startswith("*.") and name.endswith(one[1:])) for one in self.allow)

    def permits(self, name: str) -> bool:
        """Whether there is any reason to order it: with ``ask``, that is to be found out."""
        return self.ask is not None or self.listed(name)


class AcmeConfig(Section):
    """Certificates that renew themselves: the authority, the account, how names are proved to be this node's, and where
    certificates are kept. Which names: `tls.acme` of the listeners."""

    directory: Annotated[str, AfterValidator(_directory)] = "letsencrypt"
    """The authority: `letsencrypt`, `letsencrypt-staging` (to try with; its certificates are trusted by nobody),
    `zerossl`, or the https URL of another one's directory."""
    agree_to_terms: bool = False
    """Whether you agree to the authority's terms of service. Without it no account can be made: it must be `true`."""
    email: Annotated[str, AfterValidator(_email)] | None = None
    """Where the authority may write to; not every one does."""
    ca: File | None = None
    """File with the authorities that the directory's own certificate is checked against, PEM, for an authority of your
    own; by default those of Mozilla (certifi)."""
    external_account: ExternalAccountConfig | None = None
    """The account to bind orders to, for authorities that want one (ZeroSSL, Google, most commercial ones)."""
    key: Literal["ecdsa-p256", "ecdsa-p384", "rsa-2048"] = "ecdsa-p256"
    """What keys certificates are for; each certificate has a new one."""
    challenge: Literal["http-01", "tls-alpn-01", "dns-01"] = "http-01"
    """How a name is proved to be this node's: `http-01`, a request on port 80 that any plain listener answers;
    `tls-alpn-01`, a handshake on port 443; `dns-01`, a record that `dns_hook` writes, which wildcards need."""
    dns_hook: Annotated[tuple[str, ...], Many] = Field((), max_length=64)
    """The command for `dns-01`, with its first arguments: `/usr/local/bin/dns-hook`, or a list. It is run without a
    shell, with `present NAME VALUE` and later `cleanup NAME VALUE` behind them: NAME is `_acme-challenge.example.com`,
    VALUE that of its TXT record. It ends with 0 once all name servers have the record. Of the environment it has
    `PATH`, `HOME`, `LANG` and what begins with `DNS_`."""
    dns_timeout: Duration = Field(120, ge=1, le=900)
    """Time for one run of the hook: 1s to 15m."""
    renew_before: Share = Field(1 / 3, ge=0.01, le=0.9)
    """The last part of a certificate's lifetime, in which it is renewed: 1% to 90%. Where the authority says when it
    would like that (ARI, RFC 9773), that counts."""
    spread: Share = Field(0.05, ge=0, le=0.5)
    """A part of the lifetime over which names are renewed earlier still, each at its own time, so that many do not come
    due together: 0% to 50%."""
    groups: tuple[tuple[Host, ...], ...] = Field((), max_length=1_000)
    """Names that share one certificate: `[[example.com, www.example.com]]`. Each other name has its own."""
    orders: OrderRate = RateValue(30, 3_600.0)
    """Most certificates ordered: `30/h` by default, up to 1000 in the period, over all nodes that share the storage.
    Let's Encrypt takes 300 new orders of an account in three hours, and 50 certificates of a registered domain in a
    week."""
    timeout: Duration = Field(300, ge=10, le=3_600)
    """Time for one order, from start to certificate: 10s to 1h."""
    folder: FolderPath = "/var/lib/edgeproxy/acme"
    """The folder for accounts, keys and certificates, absolute; made if it is not there, for this user alone. Keep it:
    what is lost is ordered anew, and authorities limit that."""
    storage: Literal["folder", "redis"] = "folder"
    """`folder`: this node's own. `redis`: nodes with the same `cache.redis` share account, certificates and challenges;
    one of them renews, each keeps a copy in its folder."""
    storage_key: File | None = None
    """File with the secret, 32 bytes or more, that keys are encrypted with in Redis (AES-256-GCM); the same on all
    nodes. `openssl rand -hex 32` makes one. Without it they lie there as they are."""
    on_demand: Annotated[OnDemandConfig | None, Off] = None
    """Certificates for names that are asked for, on listeners with `tls.on_demand`; `off` by default."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.agree_to_terms:
            raise ValueError(
                "agree_to_terms: must be true; the authority makes no account for who has not agreed to its terms"
            )
        if (self.challenge == "dns-01") != bool(self.dns_hook):
            raise ValueError("dns_hook: is needed for challenge: dns-01, and for no other")
        if self.dns_hook and not Path(self.dns_hook[0]).is_absolute():
            raise ValueError(f"dns_hook: {self.dns_hook[0]!r} is not an absolute path")
        if self.storage_key is not None and self.storage != "redis":
            raise ValueError("storage_key: is for storage: redis")
        if self.storage_key is not None and Path(self.storage_key).is_absolute():
            self.sealing()
        if self.challenge != "dns-01" and (wild := [name for group in self.groups for name in group if "*" in name]):
            raise ValueError(f"groups: {wild[0]} can be proved by challenge: dns-01 alone")
        if self.renew_before + self.spread > 0.95:
            raise ValueError("renew_before and spread: together they leave less than 5% of the lifetime")
        taken: set[str] = set()
        for group in self.groups:
            if not group or len(group) > 100 or taken & set(group) or len(set(group)) < len(group):
                raise ValueError("groups: each has 1 to 100 names, and a name is in one of them")
            taken |= set(group)
        return self

    @property
    def url(self) -> str:
        """The directory's URL."""
        return DIRECTORIES.get(self.directory, self.directory)

    def group_of(self, name: str) -> tuple[str, ...]:
        """The names of the certificate that ``name`` is in."""
        return next((group for group in self.groups if name in group), (name,))

    def sealing(self) -> bytes | None:
        """The secret that keys are encrypted with in Redis, None for none. Raises ValueError if its file holds none."""
        if self.storage_key is None:
            return None
        secret = _read(self.storage_key, "storage_key").encode()
        if len(secret) < 32:
            raise ValueError("storage_key: the secret has at least 32 bytes; `openssl rand -hex 32` makes one")
        return secret
