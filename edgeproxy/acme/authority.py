"""What is asked of an authority (RFC 8555): an account, orders, revocation, and when it would like a renewal."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any, Final, NamedTuple

from acme import challenges, client, errors, jws, messages
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from josepy.b64 import b64encode
from josepy.interfaces import JSONDeSerializable
from josepy.json_util import field
from josepy.jwa import ES256
from josepy.jwk import JWKEC

from edgeproxy.acme.failure import AcmeError
from edgeproxy.acme.network import Network, explained
from edgeproxy.clock import Clock
from edgeproxy.config.acme import AcmeConfig

POLL_FIRST, POLL_LONGEST = 0.2, 5.0  # seconds between looks at what the authority is doing
WISH_LONGEST = 30.0  # seconds between looks that it may want
TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{22,256}")  # 128 bits at least, base64url (RFC 8555 §8.3)

# What an order is refused with whose `replaces` is not to the authority's liking (RFC 9773 §5, §7.4; Boulder).
_NOT_REPLACED: Final = frozenset(("alreadyReplaced", "malformed", "unauthorized"))

_UNSPECIFIED = 0  # the reason of a revocation (RFC 5280 §5.3.1)


class Task(NamedTuple):
    """One challenge to be met: the name it is about, without a wildcard's star, its token, and what to answer with."""

    name: str
    token: str
    key_authorization: str


class Window(NamedTuple):
    """When the authority suggests to renew, in seconds since 1970, and when it may be asked again, in seconds from
    now."""

    start: float
    end: float
    again: float


Prove = Callable[[Task], AbstractContextManager[None]]


class Authority:
    """One conversation, with an account's key. Every method raises AcmeError. ``pause`` waits for so many seconds."""

    def __init__(
        self,
        config: AcmeConfig,
        key: ec.EllipticCurvePrivateKey,
        clock: Clock,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._config = config
        self._key = JWKEC(key=key)
        self._network = Network(self._key, config.ca, clock)
        self._pause = pause
        with explained(self._network):
            directory = client.ClientV2.get_directory(config.url, self._network)
            if not directory.newAccount.startswith("https:"):
                raise AcmeError("the authority's directory names an address without TLS", whole=True)
        self._client = client.ClientV2(directory, self._network)

    def register(self) -> str:
        """Make an account for the key, or find the one there is; returns its URL."""
        external = self._config.external_account
        if external is None and self._client.external_account_required():
            raise AcmeError("the authority wants an external_account", whole=True)
        with explained(self._network):
            bound = None
            if external is not None:
                bound = messages.ExternalAccountBinding.from_data(
                    self._key.public_key(), external.kid, external.secret(), self._client.directory
                )
            asked = messages.NewRegistration.from_data(
                email=self._config.email, external_account_binding=bound, terms_of_service_agreed=True
            )
            try:
                made = self._client.new_account(asked)
            except errors.ConflictError as there:  # RFC 8555 §7.3.1
                made = messages.RegistrationResource(body=messages.Registration(), uri=there.location)
        self.use(made.uri)
        return str(made.uri)

    def use(self, account: str) -> None:
        """Speak for the account of this URL, which is this key's."""
        self._network.account = messages.RegistrationResource(body=messages.Registration(), uri=account)

    def contact(self) -> None:
        """Tell the account the address of mail there is now."""
        contact = () if self._config.email is None else (f"mailto:{self._config.email}",)
        with explained(self._network):
            self._ask(self._account, messages.UpdateRegistration(contact=contact))

    def order(
        self, names: Sequence[str], request: bytes, prove: Prove, replaced: x509.Certificate | None = None
    ) -> str:
        """The certificate and its chain, PEM, for a request (PEM) with these names. ``prove`` has a challenge met for
        as long as its block lasts. ``replaced``: the certificate that this one comes after."""
        with explained(self._network):
            order = self._begin_order(names, request, replaced)
            with ExitStack() as proofs:
                begun = [self._begin(one, prove, proofs) for one in order.authorizations]
                for authorization in filter(None, begun):
                    self._await_valid(authorization)
            return self._finish(order)

    def revoke(self, certificate: x509.Certificate) -> None:
        """Have a certificate revoked that was ordered by this account."""
        with explained(self._network):
            self._client.revoke(certificate, _UNSPECIFIED)

    def change_key(self, key: ec.EllipticCurvePrivateKey) -> None:
        """Have the account belong to another key from now on (RFC 8555 §7.3.5)."""
        new = JWKEC(key=key)
        with explained(self._network):
            url = self._client.directory["keyChange"]
            payload = _Json({"account": self._account, "oldKey": self._key.public_key().to_json()})
            inner = jws.JWS.sign(payload.json_dumps().encode(), new, ES256, None, url)
            self._ask(url, inner)
        self._key = self._network.key = new

    def window(self, certificate: x509.Certificate) -> Window | None:
        """When it would like to renew a certificate (ARI, RFC 9773); None where it does not say."""
        if not self._renewals:
            return None
        with explained(self._network):
            told = self._network.get(f"{self._renewals}/{renewal_id(certificate)}").json()
            window = messages.RenewalInfo.from_json(told).suggested_window
            return Window(window.start.timestamp(), window.end.timestamp(), self._network.retry_after)

    @property
    def _renewals(self) -> str:
        """Where certificates are asked about; "" if it does not say."""
        try:
            return str(self._client.directory["renewalInfo"])
        except KeyError:
            return ""

    @property
    def _account(self) -> str:
        return str(self._network.account.uri) if self._network.account is not None else ""

    def _begin_order(
        self, names: Sequence[str], request: bytes, replaced: x509.Certificate | None
    ) -> messages.OrderResource:
        """An order that says which certificate it replaces (RFC 9773 §5), or else one that does not: it may be of
        another authority or account, or be replaced already."""
        replaces = "" if replaced is None or not self._renewals else _known_as(replaced)
        if replaces:
            try:
                return self._new_order(names, request, replaces)
            except errors.ConflictError:  # alreadyReplaced comes with 409 (RFC 9773 §7.4)
                pass
            except messages.Error as error:
                if error.code not in _NOT_REPLACED:
                    raise
        return self._new_order(names, request, "")

    def _new_order(self, names: Sequence[str], request: bytes, replaces: str) -> messages.OrderResource:
        wanted = [messages.Identifier(typ=messages.IDENTIFIER_FQDN, value=name) for name in names]
        answer = self._ask(self._client.directory["newOrder"], _NewOrder(identifiers=wanted, replaces=replaces or None))
        body = messages.Order.from_json(answer.json())
        return messages.OrderResource(
            body=body,
            uri=answer.headers.get("location"),
            authorizations=[self._authorization(url) for url in body.authorizations],
            csr_pem=request,
        )

    def _authorization(self, url: str) -> messages.AuthorizationResource:
        said = self._ask(url, None).json()
        return messages.AuthorizationResource(body=messages.Authorization.from_json(said), uri=url)

    def _begin(
        self, authorization: messages.AuthorizationResource, prove: Prove, proofs: ExitStack
    ) -> messages.AuthorizationResource | None:
        """Meet the configured challenge of an authorization, unless it is valid already (RFC 8555 §7.5)."""
        if authorization.body.status == messages.STATUS_VALID:
            return None
        name = str(authorization.body.identifier.value)
        for offered in authorization.body.challenges:
            told = offered.chall.to_partial_json()
            if told.get("type") == self._config.challenge:
                break
        else:
            raise AcmeError(f"the authority offers no {self._config.challenge} for {name}")
        token = told.get("token")
        if not isinstance(token, str) or not TOKEN.fullmatch(token):
            raise AcmeError("the authority gave a token that is none")
        said = f"{token}.{b64encode(self._key.thumbprint()).decode()}"
        proofs.enter_context(prove(Task(name.removeprefix("*."), token, said)))
        self._client.answer_challenge(offered, challenges.HTTP01Response(key_authorization=said))
        return authorization

    def _await_valid(self, authorization: messages.AuthorizationResource) -> None:
        pause = POLL_FIRST
        while True:
            now, _ = self._client.poll(authorization)
            if now.body.status == messages.STATUS_VALID:
                return
            if now.body.status not in {messages.STATUS_PENDING, messages.STATUS_PROCESSING}:
                raise AcmeError(_refusal(now.body), self._network.retry_after)
            pause = self._wait(pause)

    def _finish(self, order: messages.OrderResource) -> str:
        """Have the certificate made (RFC 8555 §7.4)."""
        body, pause, asked = order.body, POLL_FIRST, False
        while body.status != messages.STATUS_VALID:
            if body.status == messages.STATUS_INVALID:
                why = body.error.detail if body.error is not None else "it did not say why"
                raise AcmeError(f"the authority gave no certificate: {why}", self._network.retry_after)
            if body.status == messages.STATUS_READY and not asked:
                body, asked = self._client.begin_finalization(order).body, True
                continue
            pause = self._wait(pause)
            body = messages.Order.from_json(self._ask(order.uri, None).json())
        if body.certificate is None:
            raise AcmeError("the authority gave no certificate, and says that it did", whole=True)
        return str(self._ask(body.certificate, None).text)

    def _wait(self, pause: float) -> float:
        """Wait, for longer if the authority wants that; returns the next pause."""
        self._pause(max(pause, min(self._network.retry_after, WISH_LONGEST)))
        return min(2 * pause, POLL_LONGEST)

    def _ask(self, url: str, said: JSONDeSerializable | None) -> Any:
        """A POST, or with nothing said a POST-as-GET (RFC 8555 §6.3)."""
        return self._network.post(url, said, new_nonce_url=self._client.directory.newNonce)


class _NewOrder(messages.NewOrder):
    """With what RFC 9773 §5 adds."""

    replaces: str | None = field("replaces", omitempty=True)


class _Json(JSONDeSerializable):
    """An object that stands for itself."""

    def __init__(self, said: dict[str, Any]) -> None:
        self._said = said

    def to_partial_json(self) -> dict[str, Any]:
        return self._said

    @classmethod
    def from_json(cls, jobj: Any) -> _Json:
        return cls(jobj)


def renewal_id(certificate: x509.Certificate) -> str:
    """What a certificate is called when it is asked for (RFC 9773 §4.1): its authority's key and its serial number, as
    DER has them. Raises ValueError if it does not name that key."""
    try:
        authority = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    except x509.ExtensionNotFound:
        raise ValueError("no authority key identifier") from None
    number = certificate.serial_number
    serial = number.to_bytes(number.bit_length() // 8 + 1)  # room for the sign bit
    return ".".join(b64encode(part).decode() for part in (authority.key_identifier or b"", serial))


def _known_as(certificate: x509.Certificate) -> str:
    """The same, "" for one that is not called anything."""
    try:
        return renewal_id(certificate)
    except ValueError:
        return ""


def _refusal(body: messages.Authorization) -> str:
    reasons = [one.error.detail or one.error.typ for one in body.challenges if one.error is not None]
    return f"{body.identifier.value} is not proved: {'; '.join(map(str, reasons)) or body.status.name}"
