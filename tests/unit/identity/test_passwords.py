"""Passwords: hashed, stored, verified."""

from __future__ import annotations

import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.identity.passwords import Hash, hash_password, parse_hash, parse_users, prepare, verify

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def ours() -> str:
    return hash_password(PASSWORD)


def test_what_is_hashed_here_is_verified(ours: str) -> None:
    assert ours.startswith("$scrypt$ln=14,r=8,p=5$")
    assert verify(parse_hash(ours), PASSWORD.encode())
    assert not verify(parse_hash(ours), PASSWORD.encode() + b"r")
    assert not verify(parse_hash(ours), b"")


def test_the_vector_of_rfc_7914() -> None:
    digest = bytes.fromhex("7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2")  # §12, its first half
    stored = Hash(log_n=14, block=8, lanes=1, salt=b"SodiumChloride", digest=digest)
    assert verify(stored, b"pleaseletmein")
    assert not verify(stored, b"pleaseletmeinn")


def test_the_same_password_is_stored_differently_each_time(ours: str) -> None:
    assert hash_password(PASSWORD) != ours


@pytest.mark.parametrize("prefix", [b"2a", b"2b", b"2y"])
def test_bcrypt_of_other_programs_is_verified(prefix: bytes) -> None:
    stored = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).replace(b"$2b$", b"$%b$" % prefix).decode()
    assert verify(parse_hash(stored), PASSWORD.encode())
    assert not verify(parse_hash(stored), PASSWORD.encode() + b"r")


def test_bcrypt_looks_at_72_bytes_as_htpasswd_does() -> None:
    stored = parse_hash(bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4)).decode())
    assert verify(stored, b"x" * 100)
    assert not verify(stored, b"x" * 71)


def test_letters_with_several_spellings_have_one() -> None:
    stored = parse_hash(hash_password("caf\u00e9"))
    assert verify(stored, "caf\u00e9".encode())
    assert verify(stored, "cafe\u0301".encode())
    assert prepare(b"caf\xe9") == b"caf\xe9"


SALT, DIGEST = "A" * 22, "A" * 43
REFUSED = [
    PASSWORD,
    "",
    "$apr1$abcdefgh$abcdefghijklmnopqrstuv",
    "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
    f"$scrypt$ln=0,r=8,p=1${SALT}${DIGEST}",
    f"$scrypt$ln=18,r=8,p=1${SALT}${DIGEST}",
    f"$scrypt$ln=14,r=0,p=1${SALT}${DIGEST}",
    f"$scrypt$ln=14,r=8,p=0${SALT}${DIGEST}",
    f"$scrypt$ln=14,r=99,p=1${SALT}${DIGEST}",
    f"$scrypt$ln=16,r=8,p=99${SALT}${DIGEST}",
    f"$scrypt$ln=14,r=8,p=1${SALT[1:]}${DIGEST}",
    f"$scrypt$ln=14,r=8,p=1${SALT}${DIGEST[1:]}",
    "$2y$15$" + "u" * 53,
    "$2y$03$" + "u" * 53,
    "$2y$10$" + "u" * 52,
    "$2x$10$" + "u" * 53,
    "$2y$10$" + "a" * 53,  # a salt that no 16 bytes have
]


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_hash_or_too_dear_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(ValueError) as raised:
        parse_hash(text)
    assert not text or text not in str(raised.value)


@pytest.mark.parametrize("password", ["", "a\nb", "\x00", "x" * 513])
def test_what_cannot_be_sent_as_a_password_is_not_hashed(password: str) -> None:
    with pytest.raises(ValueError, match="a password has"):
        hash_password(password)


def test_users_are_read_as_htpasswd_writes_them(ours: str) -> None:
    users = parse_users(["# people", "", f"alice:{ours}", f"  bob smith:{'$2y$10$' + 'u' * 53}  ", f"zoë:{ours}"])
    assert list(users) == [b"alice", b"bob smith", "zoë".encode()]
    assert PASSWORD not in repr(users)
    assert repr(users[b"bob smith"]) == "<Hash bcrypt>"


@pytest.mark.parametrize(
    "line", ["alice", ":x", "alice:secret", "a\x01b:$2y$10$" + "u" * 53, "x" * 65 + ":$2y$10$" + "u" * 53]
)
def test_broken_lines_are_refused_without_being_repeated(line: str) -> None:
    with pytest.raises(ValueError, match="line 1: ") as raised:
        parse_users([line])
    assert "secret" not in str(raised.value)


def test_a_user_stands_there_once() -> None:
    line = "a:$2y$10$" + "u" * 53
    with pytest.raises(ValueError, match="line 2: a user who stands above"):
        parse_users([line, line])


@given(st.text(max_size=120))
def test_any_text_is_a_hash_or_a_value_error(text: str) -> None:
    try:
        assert isinstance(parse_hash(text), Hash)
    except ValueError:
        return
