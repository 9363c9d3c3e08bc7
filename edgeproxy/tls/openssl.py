"""What Python's ssl cannot set on a context: groups, keys of session tickets, stapled OCSP answers.

The same libssl is called that ``_ssl`` is linked with, through its own handle. The ``SSL_CTX`` of a context is the
first field of CPython's object (``PySSLContext`` in Modules/_ssl.c, from 3.11 to 3.13). Where interpreter, library or
that field is not what is known, :data:`MISSING` says why, and every function here leaves the context as it is.
"""

from __future__ import annotations

import _ssl
import ctypes
import itertools
import logging
import os
import ssl
import sys
import weakref
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

logger = logging.getLogger("edgeproxy.tls")

GROUPS: Final = (b"X25519MLKEM768:X25519:P-256:P-384", b"X25519:P-256:P-384")  # the first only from OpenSSL 3.5 on
NAME_BYTES, KEY_BYTES, IV_BYTES = 16, 32, 16

_KNOWN: Final = ((3, 11), (3, 12), (3, 13))
_KEYS_MOST: Final = 8
_TICKET_KEYS_BYTES: Final = NAME_BYTES + 2 * KEY_BYTES

# openssl/ssl.h and openssl/tls1.h of OpenSSL 3
_CTRL_MODE, _CTRL_SESSION_CACHE, _CTRL_SET_TICKET_KEYS, _CTRL_SET_GROUPS_LIST = 33, 44, 59, 92
_CTRL_SET_STATUS_CB, _CTRL_SET_STATUS_ARGUMENT, _CTRL_SET_STATUS_RESPONSE = 63, 64, 71
_MODE_NO_AUTO_CHAIN, _MODE_RELEASE_BUFFERS = 0x8, 0x10
_SESSION_CACHE_OFF = 0
_EXT_OK, _EXT_NOACK = 0, 3
_TICKET_FAILED, _TICKET_NONE, _TICKET_OK, _TICKET_RENEW = -1, 0, 1, 2
_PARAM_UTF8, _PARAM_OCTETS = 4, 5
_POINTER_BYTES: Final = ctypes.sizeof(ctypes.c_void_p)

_Number = ctypes.c_int
_Pointer = ctypes.c_void_p

_TICKET = ctypes.CFUNCTYPE(_Number, _Pointer, _Pointer, _Pointer, _Pointer, _Pointer, _Number)
_STATUS = ctypes.CFUNCTYPE(_Number, _Pointer, _Pointer)


class Key(NamedTuple):
    """One key of session tickets (RFC 5077 §4): its name on the wire, for AES-256-CBC and for HMAC-SHA-256."""

    name: bytes
    cipher: bytes
    mac: bytes


class Keys(Protocol):
    """Where a listener's keys come from."""

    def current(self) -> Key:
        """The one new tickets are sealed with."""

    def find(self, name: bytes) -> Key | None:
        """The one of that name, if its tickets are still taken."""


class _Parameter(ctypes.Structure):
    """OSSL_PARAM(3)."""

    _fields_ = (
        ("key", ctypes.c_char_p),
        ("data_type", ctypes.c_uint),
        ("data", _Pointer),
        ("data_size", ctypes.c_size_t),
        ("return_size", ctypes.c_size_t),
    )


def _load() -> ctypes.PyDLL:
    """The library, its functions declared. Raises AttributeError or OSError where something is not there."""
    library = ctypes.PyDLL(getattr(_ssl, "__file__", None))
    declared: dict[str, tuple[Any, tuple[Any, ...]]] = {
        "OpenSSL_version_num": (ctypes.c_ulong, ()),
        "SSL_CTX_get_options": (ctypes.c_uint64, (_Pointer,)),
        "SSL_CTX_get0_certificate": (_Pointer, (_Pointer,)),
        "SSL_get_certificate": (_Pointer, (_Pointer,)),
        "SSL_CTX_ctrl": (ctypes.c_long, (_Pointer, _Number, ctypes.c_long, _Pointer)),
        "SSL_ctrl": (ctypes.c_long, (_Pointer, _Number, ctypes.c_long, _Pointer)),
        "SSL_CTX_callback_ctrl": (ctypes.c_long, (_Pointer, _Number, _STATUS)),
        "SSL_CTX_set_tlsext_ticket_key_evp_cb": (_Number, (_Pointer, _TICKET)),
        "EVP_CIPHER_fetch": (_Pointer, (_Pointer, ctypes.c_char_p, ctypes.c_char_p)),
        "EVP_EncryptInit_ex": (_Number, (_Pointer, _Pointer, _Pointer, ctypes.c_char_p, ctypes.c_char_p)),
        "EVP_DecryptInit_ex": (_Number, (_Pointer, _Pointer, _Pointer, ctypes.c_char_p, _Pointer)),
        "EVP_MAC_CTX_set_params": (_Number, (_Pointer, _Pointer)),
        "CRYPTO_malloc": (_Pointer, (ctypes.c_size_t, ctypes.c_char_p, _Number)),
    }
    for name, (result, arguments) in declared.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def _pointer(context: ssl.SSLContext) -> int:
    return _Pointer.from_address(id(context) + object.__basicsize__).value or 0


def _missing() -> str:
    """Why nothing can be set here; "" if it can."""
    if sys.implementation.name != "cpython" or sys.version_info[:2] not in _KNOWN:
        return f"not known of {sys.implementation.name} {sys.version_info[0]}.{sys.version_info[1]}"
    if hasattr(sys, "gettotalrefcount"):
        return "a debug build of Python"
    if not ssl.OPENSSL_VERSION.startswith("OpenSSL 3."):
        return f"not known of {ssl.OPENSSL_VERSION}"
    try:
        library = _load()
    except (AttributeError, OSError) as error:
        return str(error)
    if library.OpenSSL_version_num() != ssl.OPENSSL_VERSION_NUMBER:
        return "another library than Python's was found"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for option in (ssl.OP_NO_TICKET, ssl.OP_NO_RENEGOTIATION):
        context.options ^= option
        if library.SSL_CTX_get_options(_pointer(context)) != context.options & 0xFFFFFFFFFFFFFFFF:
            return "a context's pointer is not where it was"
    return ""


MISSING: Final = _missing()
_library: Final = None if MISSING else _load()

# What libssl calls back must outlive every connection, which may outlive its context: nothing of it is ever freed.
# There is one for each listener's keys, one for all staples.
_kept: Final[dict[Any, Any]] = {}
_staples: Final[dict[int, dict[int, Callable[[], bytes]]]] = {}  # by a context's number, by certificate
_numbered: Final[weakref.WeakKeyDictionary[ssl.SSLContext, int]] = weakref.WeakKeyDictionary()
_numbers: Final = itertools.count(1)


def report() -> None:
    """Say in the log what is left off, if anything is."""
    if MISSING:
        logger.warning("tls: without shared session tickets, stapling and a choice of groups: %s", MISSING)


def tune(context: ssl.SSLContext) -> None:
    """Offer quick, safe groups alone (ffdhe8192 costs a server a hundred times what it costs a client), never guess at
    a chain that is not in the file, keep no sessions here, which have their tickets, and no buffers while nothing is
    read or written."""
    if _library is None:
        return
    pointer = _pointer(context)
    for groups in GROUPS:
        if _library.SSL_CTX_ctrl(pointer, _CTRL_SET_GROUPS_LIST, 0, groups):
            break
    _library.SSL_CTX_ctrl(pointer, _CTRL_MODE, _MODE_NO_AUTO_CHAIN | _MODE_RELEASE_BUFFERS, None)
    _library.SSL_CTX_ctrl(pointer, _CTRL_SESSION_CACHE, _SESSION_CACHE_OFF, None)


def seal_tickets(context: ssl.SSLContext, key: Key, keys: Keys | None) -> None:
    """Seal and open this context's session tickets with ``key``; as long as ``keys`` are given, open what their earlier
    ones have sealed too, which costs each handshake a call from libssl."""
    if _library is None:
        return
    pointer = _pointer(context)
    _library.SSL_CTX_ctrl(pointer, _CTRL_SET_TICKET_KEYS, _TICKET_KEYS_BYTES, key.name + key.mac + key.cipher)
    if keys is None:
        _library.SSL_CTX_set_tlsext_ticket_key_evp_cb(pointer, _TICKET())
        return
    if keys not in _kept:
        _kept[keys] = _TICKET(_Sealing(_library, keys).callback)
    _library.SSL_CTX_set_tlsext_ticket_key_evp_cb(pointer, _kept[keys])


def staple(context: ssl.SSLContext, response: Callable[[], bytes]) -> None:
    """Show the certificate that this context has loaded last with this OCSP response, DER; b"": none is there."""
    if _library is None:
        return
    pointer = _pointer(context)
    number = _numbered.get(context)
    if number is None:
        number = _numbered[context] = next(_numbers)
        _staples[number] = {}
        weakref.finalize(context, _staples.pop, number, None)
        if _staple not in _kept:
            _kept[_staple] = _STATUS(_staple)
        _library.SSL_CTX_callback_ctrl(pointer, _CTRL_SET_STATUS_CB, _kept[_staple])
        _library.SSL_CTX_ctrl(pointer, _CTRL_SET_STATUS_ARGUMENT, 0, number)
    _staples[number][_library.SSL_CTX_get0_certificate(pointer)] = response


def _staple(connection: int, number: int | None) -> int:
    """SSL_CTX_set_tlsext_status_cb(3)."""
    if _library is None:
        return _EXT_NOACK
    try:
        find = _staples.get(number or 0, {}).get(_library.SSL_get_certificate(connection))
        response = b"" if find is None else find()
        memory = _library.CRYPTO_malloc(len(response), None, 0) if response else None  # the connection frees it
        if not memory:
            return _EXT_NOACK
        ctypes.memmove(memory, response, len(response))
        _library.SSL_ctrl(connection, _CTRL_SET_STATUS_RESPONSE, len(response), memory)
    except Exception:
        logger.exception("tls: no OCSP response could be shown")
        return _EXT_NOACK
    return _EXT_OK


class _Armed:
    """A key as libssl takes it."""

    def __init__(self, key: Key) -> None:
        self.key = key
        self._mac = ctypes.create_string_buffer(key.mac, KEY_BYTES)
        self._digest = ctypes.create_string_buffer(b"SHA256")
        self._parameters = (_Parameter * 3)(
            _Parameter(b"key", _PARAM_OCTETS, ctypes.addressof(self._mac), KEY_BYTES, 0),
            _Parameter(b"digest", _PARAM_UTF8, ctypes.addressof(self._digest), len(b"SHA256"), 0),
            _Parameter(None, 0, None, 0, 0),
        )
        self.parameters = ctypes.addressof(self._parameters)


class _Sealing:
    """SSL_CTX_set_tlsext_ticket_key_evp_cb(3). A failure costs a full handshake, nothing else."""

    def __init__(self, library: Any, keys: Keys) -> None:
        self._library = library
        self._keys = keys
        self._cipher = library.EVP_CIPHER_fetch(None, b"AES-256-CBC", None)
        self._armed: dict[bytes, _Armed] = {}

    def callback(self, _: int, name: int, iv: int, cipher: int, mac: int, sealing: int) -> int:
        try:
            return self._seal(name, iv, cipher, mac) if sealing else self._open(name, iv, cipher, mac)
        except Exception:
            logger.exception("tls: a session ticket could not be made or read")
            return _TICKET_NONE

    def _seal(self, name: int, iv: int, cipher: int, mac: int) -> int:
        armed = self._arm(self._keys.current())
        vector = os.urandom(IV_BYTES)
        ctypes.memmove(name, armed.key.name, NAME_BYTES)
        ctypes.memmove(iv, vector, IV_BYTES)
        library = self._library
        if not library.EVP_EncryptInit_ex(cipher, self._cipher, None, armed.key.cipher, vector):
            return _TICKET_FAILED
        return _TICKET_OK if library.EVP_MAC_CTX_set_params(mac, armed.parameters) else _TICKET_FAILED

    def _open(self, name: int, iv: int, cipher: int, mac: int) -> int:
        found = self._keys.find(ctypes.string_at(name, NAME_BYTES))
        if found is None:
            return _TICKET_NONE
        armed = self._arm(found)
        library = self._library
        if not library.EVP_MAC_CTX_set_params(mac, armed.parameters):
            return _TICKET_FAILED
        if not library.EVP_DecryptInit_ex(cipher, self._cipher, None, armed.key.cipher, iv):
            return _TICKET_FAILED
        return _TICKET_OK if found.name == self._keys.current().name else _TICKET_RENEW

    def _arm(self, key: Key) -> _Armed:
        armed = self._armed.get(key.name)
        if armed is None:
            if len(self._armed) >= _KEYS_MOST:
                self._armed.clear()
            armed = self._armed[key.name] = _Armed(key)
        return armed
