"""Passwords: hashed slowly, so that a stolen file does not give them away, and verified.

Ours are scrypt (RFC 7914) in the PHC string format, ``$scrypt$ln=14,r=8,p=5$SALT$HASH``, at one of the settings of
OWASP's password storage cheat sheet: 16 MB and a quarter of a second each. bcrypt (``$2y$``, as ``htpasswd -B`` and
others write it) is verified too; Apache's MD5, SHA-1 and crypt are not, a stolen file of them is soon read.
"""

from __future__ import annotations

import re
import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterable
from hashlib import scrypt
from hmac import compare_digest
from typing import Final, NamedTuple
from unicodedata import normalize

LOG_N, BLOCK, LANES = 14, 8, 5
SALT, DIGEST = 16, 32  # bytes
MEMORY_MOST: Final = 128 * 1024 * 1024  # bytes one verification may take
WORK_MOST: Final = 2**23  # N x r x p: about 3 s
BCRYPT_MOST: Final = 14  # its cost: about 1 s
BCRYPT_LONGEST: Final = 72  # bytes of a password that bcrypt looks at, as every implementation does
LONGEST: Final = 512  # bytes of a password

_NAME: Final = re.compile(r"[^\s:\x00-\x1f\x7f](?:[^:\x00-\x1f\x7f]{0,62}[^\s:\x00-\x1f\x7f])?")
_SCRYPT: Final = re.compile(
    r"\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{22,86})\$([A-Za-z0-9+/]{43,86})"
)
# 16 bytes of salt in 22 characters: the last one has two bits.
_BCRYPT: Final = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")


class Hash(NamedTuple):
    """What is stored of a password. ``text``: bcrypt's own form, "" for scrypt; the rest is scrypt's."""

    text: str = ""
    log_n: int = LOG_N
    block: int = BLOCK
    lanes: int = LANES
    salt: bytes = b""
    digest: bytes = b""

    def __repr__(self) -> str:
        return f"<Hash {'bcrypt' if self.text else 'scrypt'}>"


def parse_hash(text: str) -> Hash:
    """Raises ValueError, whose text holds nothing of what was given: it might be a password."""
    if (found := _SCRYPT.fullmatch(text)) is not None:
        log_n, block, lanes = (int(number) for number in found.group(1, 2, 3))
        if not (1 <= log_n <= 20 and block and lanes and 128 * 2**log_n * block <= MEMORY_MOST):
            raise ValueError(f"its scrypt settings are none, or take more than {MEMORY_MOST // 2**20} MiB")
        if 2**log_n * block * lanes > WORK_MOST:
            raise ValueError("its scrypt settings take too long to verify")
        return Hash("", log_n, block, lanes, _unpadded(found[4]), _unpadded(found[5]))
    if (bcrypt := _BCRYPT.fullmatch(text)) is not None:
        if not 4 <= int(bcrypt[1]) <= BCRYPT_MOST:
            raise ValueError(f"its bcrypt cost is not from 4 to {BCRYPT_MOST}")
        return Hash(text)
    raise ValueError("it is neither scrypt, as `edgeproxy password hash` prints it, nor bcrypt ($2y$)")


def hash_password(password: str) -> str:
    """What is to be stored. Raises ValueError if a password cannot be this one. Takes a quarter of a second."""
    prepared = prepare(password.encode())
    if not prepared or len(prepared) > LONGEST or not password.isprintable():
        raise ValueError(f"a password has 1 to {LONGEST} bytes and no control characters")
    salt = secrets.token_bytes(SALT)
    digest = _scrypt(prepared, salt, LOG_N, BLOCK, LANES, DIGEST)
    return f"$scrypt$ln={LOG_N},r={BLOCK},p={LANES}${_packed(salt)}${_packed(digest)}"


def verify(stored: Hash, password: bytes) -> bool:
    """Whether this is the password, as it was sent. Takes long, outside the interpreter's lock: for a thread."""
    password = prepare(password)
    if stored.text:
        import bcrypt

        return bcrypt.checkpw(password[:BCRYPT_LONGEST], stored.text.encode())
    digest = _scrypt(password, stored.salt, stored.log_n, stored.block, stored.lanes, len(stored.digest))
    return compare_digest(digest, stored.digest)


def prepare(password: bytes) -> bytes:
    """One spelling for letters that have several (RFC 8265 §4.2: NFC), as keyboards differ in them."""
    if password.isascii():
        return password
    try:
        return normalize("NFC", password.decode()).encode()
    except UnicodeDecodeError:
        return password


def parse_name(name: str) -> str:
    """A user's name as a header and a field may carry it (RFC 7617 §2: no colon). Raises ValueError."""
    if not _NAME.fullmatch(name) or not name.isprintable() or len(name.encode()) > 128:
        raise ValueError("a user's name has 1 to 64 characters, no colon and no blanks around it")
    return name


def parse_users(lines: Iterable[str]) -> dict[bytes, Hash]:
    """Users of a file's lines, ``NAME:HASH`` as in htpasswd; empty lines and those that begin with # are none.

    Raises ValueError, whose text holds nothing of the lines.
    """
    users: dict[bytes, Hash] = {}
    for number, line in enumerate(lines, 1):
        line = line.strip()
        if line and not line.startswith("#"):
            name, colon, stored = line.partition(":")
            try:
                if not colon:
                    raise ValueError("it is not NAME:HASH")
                user = parse_name(name).encode()
                if user in users:
                    raise ValueError("a user who stands above already")
                users[user] = parse_hash(stored)
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from None
    return users


def _scrypt(password: bytes, salt: bytes, log_n: int, block: int, lanes: int, size: int) -> bytes:
    memory = 128 * block * (2**log_n + lanes + 2)
    return scrypt(password, salt=salt, n=2**log_n, r=block, p=lanes, maxmem=memory + 65536, dklen=size)


def _packed(value: bytes) -> str:
    return b64encode(value).decode().rstrip("=")


def _unpadded(text: str) -> bytes:
    return b64decode(text + "=" * (-len(text) % 4))
