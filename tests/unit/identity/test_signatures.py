"""What requests say is signed, and the bytes that were: RFC 9421's own examples, and all that is odd."""

from __future__ import annotations

from base64 import b64decode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.http.headers import Headers
from edgeproxy.http.message import Request
from edgeproxy.identity.signatures import SignatureError, Signed, UnsupportedError, signature_base, signatures

# RFC 9421 appendix B.2, the test request; appendix B.1.4, test-key-ed25519.
HEADERS: Headers = {
    b"host": b"example.com",
    b"date": b"Tue, 20 Apr 2021 02:07:55 GMT",
    b"content-type": b"application/json",
    b"content-length": b"18",
    b"x-dict": b'a=1, b=2;x="y" , c=(a   b),d',
    b"set-cookie": b"a=1\nb=2",
}
KEY = Ed25519PublicKey.from_public_bytes(b64decode("JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs="))
COVERED = b'("date" "@method" "@path" "@authority" "content-type" "content-length")'
B_2_6 = (
    b'sig-b26=%b;created=1618884473;keyid="test-key-ed25519"' % COVERED,
    b"sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:",
)


def requested(**fields: bytes) -> Request:
    headers = HEADERS | {name.replace("_", "-").encode(): value for name, value in fields.items()}
    target = b"/foo?param=Value&Pet=dog"
    return Request(b"POST", target, headers, b"https", b"example.com", b"example.com", b"/foo", b"param=Value&Pet=dog")


def only(request: Request, tag: str = "t") -> Signed:
    (signed,) = signatures(request.headers, tag)
    return signed


def base_of(covered: str, **parameters: str) -> str:
    told = "".join(f";{name}={value}" for name, value in parameters.items())
    request = requested(signature_input=f'a=({covered});tag="t"{told}'.encode(), signature=b"a=:AAAA:")
    return signature_base(request, only(request)).decode()


def test_the_rfcs_own_example_is_verified() -> None:
    request = requested(signature_input=B_2_6[0] + b';tag="t"', signature=B_2_6[1])
    base = signature_base(request, only(request)).removesuffix(b';tag="t"')  # the example has none
    assert base.decode() == (
        '"date": Tue, 20 Apr 2021 02:07:55 GMT\n'
        '"@method": POST\n'
        '"@path": /foo\n'
        '"@authority": example.com\n'
        '"content-type": application/json\n'
        '"content-length": 18\n'
        '"@signature-params": ("date" "@method" "@path" "@authority" "content-type" "content-length")'
        ';created=1618884473;keyid="test-key-ed25519"'
    )
    KEY.verify(only(request).signature, base)


@pytest.mark.parametrize(
    ("component", "line"),
    [
        ('"@method"', '"@method": POST'),
        ('"@target-uri"', '"@target-uri": https://example.com/foo?param=Value&Pet=dog'),
        ('"@authority"', '"@authority": example.com'),
        ('"@scheme"', '"@scheme": https'),
        ('"@request-target"', '"@request-target": /foo?param=Value&Pet=dog'),
        ('"@path"', '"@path": /foo'),
        ('"@query"', '"@query": ?param=Value&Pet=dog'),
        ('"x-dict"', '"x-dict": a=1, b=2;x="y" , c=(a   b),d'),
        ('"x-dict";key="a"', '"x-dict";key="a": 1'),
        ('"x-dict";key="b"', '"x-dict";key="b": 2;x="y"'),
        ('"x-dict";key="c"', '"x-dict";key="c": (a b)'),
        ('"x-dict";key="d"', '"x-dict";key="d": ?1'),
    ],
)
def test_components_stand_in_the_base_as_the_rfc_has_them(component: str, line: str) -> None:
    assert base_of(component) == f'{line}\n"@signature-params": ({component});tag="t"'


def test_parameters_stand_in_the_base_in_their_one_form_and_their_order() -> None:
    assert base_of("", created="1", x="1.50", alg='"a"') == '"@signature-params": ();tag="t";created=1;x=1.5;alg="a"'


UNSUPPORTED = ['"@query-param";name="a"', '"@status"', '"@unknown"', '"@method";req', '"@path";key="a"', '"date";sf']


@pytest.mark.parametrize("component", [*UNSUPPORTED, '"date";bs', '"date";tr', '"date";req', '"set-cookie"'])
def test_what_cannot_be_built_is_said_to_be_unsupported(component: str) -> None:
    with pytest.raises(UnsupportedError):
        base_of(component)


@pytest.mark.parametrize(
    "component", ['"x-none"', '"Date"', '"x-dict";key="e"', '"date";key="a"', '"date"', "1", "date"]
)
def test_what_is_not_there_cannot_have_been_signed(component: str) -> None:
    if component == '"date"':
        assert base_of(component)
        return
    with pytest.raises(SignatureError) as caught:
        base_of(component)
    assert not isinstance(caught.value, UnsupportedError)


@pytest.mark.parametrize(
    ("told", "value", "said"),
    [
        (b'a=1;tag="t"', b"a=:AAAA:", "malformed"),
        (b'a=();tag="t"', b"b=:AAAA:", "malformed"),
        (b'a=();tag="t"', b"a=AAAA", "malformed"),
        (b'a=();tag="t"', b"a=(:AAAA:)", "malformed"),
        (b'a=();tag="t"', b"", "malformed"),
        (b'a=();tag="t"', b"no dictionary!", "malformed"),
        (b'a=();tag="t";created="1"', b"a=:AAAA:", "malformed"),
        (b'a=();tag="t";created=1.5', b"a=:AAAA:", "malformed"),
        (b'a=();tag="t";created', b"a=:AAAA:", "malformed"),
        (b'a=();tag="t";expires=?1', b"a=:AAAA:", "malformed"),
        (b'a=();tag="t";keyid=7', b"a=:AAAA:", "malformed"),
        (b'a=();tag="t";nonce=:AAAA:', b"a=:AAAA:", "malformed"),
        (b'a=();tag="t";alg=ed25519', b"a=:AAAA:", "malformed"),
        (b'a=("b" "b");tag="t"', b"a=:AAAA:", "twice"),
        (b'a=("b";key="x" "b";key="x");tag="t"', b"a=:AAAA:", "twice"),
        (b'a=(%b);tag="t"' % b" ".join(b'"f%d"' % number for number in range(65)), b"a=:AAAA:", "too much"),
        (b", ".join(b'a%d=();tag="t"' % number for number in range(9)), b"a0=:AAAA:", "too many"),
        (b'a=(%"d%c3%bc");tag="t"', b"a=:AAAA:", "malformed"),
    ],
)
def test_what_is_tagged_and_malformed_is_an_error(told: bytes, value: bytes, said: str) -> None:
    with pytest.raises(SignatureError, match=said):
        signatures({b"signature-input": told, b"signature": value}, "t")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {b"signature-input": b"no dictionary!", b"signature": b"a=:AAAA:"},
        {b"signature-input": b'a=();tag="other"', b"signature": b"a=:AAAA:"},
        {b"signature-input": b"a=();tag=t", b"signature": b"a=:AAAA:"},
        {b"signature-input": b"a=()", b"signature": b"a=:AAAA:"},
        {b"signature": b'keyId="https://a.example/#key",signature="AAAA"'},
    ],
)
def test_signatures_for_other_uses_are_none_of_ours(headers: Headers) -> None:
    assert signatures(headers, "t") == []


def test_of_several_those_with_the_tag_are_taken_in_order() -> None:
    told = b'a=("@path");tag="t";created=1;expires=2;nonce="n";alg="x";keyid="k", b=();tag="u", c=();tag="t"'
    found = signatures({b"signature-input": told, b"signature": b"c=:Yw==:, b=:Yg==:, a=:YQ==:"}, "t")
    assert [(one.label, one.signature) for one in found] == [("a", b"a"), ("c", b"c")]
    assert found[0][3:] == (b"a", 1, 2, "n", "x", "k")
    assert found[0].covered == ('"@path"',)
    assert found[1][4:] == (None,) * 5


@given(st.binary(max_size=200), st.binary(max_size=80), st.binary(max_size=80))
def test_no_fields_raise_anything_but_the_error_for_it(told: bytes, value: bytes, other: bytes) -> None:
    for given_input in (told, b'a=(%b);tag="t"' % told, b'a=("x" "x-dict";key="%b");tag="t"%b' % (told, other)):
        request = requested(signature_input=given_input, signature=b"a=:AAAA:", x=value)
        try:
            for signed in signatures(request.headers, "t"):
                signature_base(request, signed)
        except SignatureError:
            continue


ITEMS = st.sampled_from(
    ['"@method"', '"@query"', '"x"', '"x";key="a"', '"@authority"', "1", "?1", ":YQ==:", "(", '"', "%"]
)
TOLD = st.sampled_from([';tag="t"', ";created=1", ";created=-1", ";expires=x", ';nonce="a"', ";keyid", ";alg=@1", ";;"])


@given(st.lists(ITEMS, max_size=6), st.lists(TOLD, max_size=6), st.binary(max_size=30))
def test_nor_do_fields_that_are_nearly_right(items: list[str], told: list[str], value: bytes) -> None:
    written = f'a=({" ".join(items)}){"".join(told)};tag="t"'.encode()
    request = requested(signature_input=written, signature=b"a=:AAAA:", x=value)
    try:
        for signed in signatures(request.headers, "t"):
            assert signature_base(request, signed).count(b"\n") == len(signed.covered)
    except SignatureError:
        pass
