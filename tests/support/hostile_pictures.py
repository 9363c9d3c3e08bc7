"""Pictures made to hurt whoever decodes them, each with a name that says how; most are drawn byte by byte.

Sizes are those of files as they come over the wire: kilobytes that claim or become gigabytes.
"""

from __future__ import annotations

import base64
import functools
import io
import itertools
import random
import struct
import zlib
from collections.abc import Iterator
from typing import Final, NamedTuple

from PIL import Image

from tests.support import pictures

JPEG, PNG, WEBP, AVIF, GIF = "image/jpeg", "image/png", "image/webp", "image/avif", "image/gif"
TYPES: Final = {"jpg": JPEG, "png": PNG, "webp": WEBP, "avif": AVIF, "gif": GIF}

# 8000 x 8000 pixels of grey, AVIF by libavif 1.4.2 at speed 10, made for this project.
_AVIF_64_MPX: Final = (
    "0000SW^{RQVRmU|00000VRmU|ZE0pPZE0a<0002#ZDn*}000000000XXk=`10000000000aA{+7000000000000000000004sdC7"
    "Z2$lO000310016oY;R)#0000)000310RR910RR924FCWE(f|MeC~0YKW&i*H00031000_kZf0cy000000RRADb}%tRZ)|UJ00000"
    "XlZbAZ~y=RNojCnZvX%Q6lrsCWdHyG0000VKmY(AKmY&$4sdCBX#fBK009U9000bOb}>VN9~=Mx000wXZ)|dIV{CW;0RRmE27mwn"
    "02gU+ZD9Za00000009621OWnr1ONa5+HGWEbP@mx3Lo=6fAjX32xv7j!2=i#g`M1REUW-F&&oQY?uIxWua_F5+7k}op=Q!Yd$S_R"
    "T%kLp&H~W<F_?e!j_^5$!1{Uhmld&1P-rSgDw1F}&&oQY?uIxWua_F5+7k}op=Q!Yd$S_RT%kLp&H~W<F_?e!j_^5$!1{Uhmld&1"
    "P-rSgDw1F}&&oQY?uIxWua_F5+7k}op=Q!Yd$S_RT%kLp&H~W<F_?e!j_^5$!1{Uhmld&1P-rSgDw1F{&&oQY?uIxWua_F5+7k}o"
    "p=Q!Yd$T4+rvU{OLu!3s1Av#DKcW^WnC4Vj0lKp1aodx2U^UOmI->4|I32H-8l&114&b3?(nou<BFS8#JEYD6(EKr&fAo&<Ifuad"
    "dG(hSu}x5DDn}}lHP6aAqV9$`9j})fquLV=;Gt&HM|-m($y}j3q|O4+{4tn+^p5a3hrs%I^_LZ~O;BhmM=Fyw&&oQY?uIxWua_F5"
    "+7k}op=Q!Yd$S_RT%kLp&H~W<F_?e!j_^5$!1{Uhmld&1P-rSgDwEI3I->4|I32H-8l&114&b3?(nou<CPt?L1r<YTeP9ECmz+PM"
    "7ATnJR9OMKvgdKzlXZX"
)


class Hostile(NamedTuple):
    """A file and the type its origin gives it. ``hopeless``: no variant can come of it, only the file or a refusal."""

    body: bytes
    content_type: str
    hopeless: bool = True


@functools.cache
def bombs() -> dict[str, Hostile]:
    """Small files of very many pixels, or of very much beside them."""
    return {
        "png of 400 megapixels": Hostile(huge_png(20_000, 20_000), PNG),
        "png that claims 2^31 squared": Hostile(pictures.png(2**31 - 1, 2**31 - 1, b""), PNG),
        "png of no width": Hostile(pictures.png(0, 100, zlib.compress(bytes(400))), PNG),
        "png with more data than pixels": Hostile(pictures.png(2, 2, _zeros(200_000_000)), PNG, hopeless=False),
        "png whose text unpacks to 200 MB": Hostile(
            _with_chunk(b"zTXt", b"Comment\0\0" + _zeros(200_000_000)), PNG, False
        ),
        "png whose profile unpacks to 200 MB": Hostile(
            _with_chunk(b"iCCP", b"icc\0\0" + _zeros(200_000_000)), PNG, False
        ),
        "png whose international text unpacks to 200 MB": Hostile(
            _with_chunk(b"iTXt", b"Comment\0\1\0\0\0" + _zeros(200_000_000)), PNG, False
        ),
        "png with a chunk of 2 GB that is not there": Hostile(
            pictures.png(8, 8, b"")[:33] + struct.pack(">I", 2**31 - 1) + b"IDAT" + b"x" * 100, PNG
        ),
        "png of 100,000 text chunks": Hostile(
            pictures.png(8, 8, zlib.compress(bytes(200)), more=[pictures.png_chunk(b"tEXt", b"k\0v")] * 100_000),
            PNG,
            False,
        ),
        "jpeg that claims 65500 squared": Hostile(resized_jpeg(65_500, 65_500), JPEG),
        "jpeg with 30 MB behind its end": Hostile(pictures.encode(Image.new("RGB", (9, 9))) + bytes(30_000_000), JPEG),
        "jpeg of no height": Hostile(resized_jpeg(100, 0), JPEG),
        "progressive jpeg that claims 65500 squared": Hostile(resized_jpeg(65_500, 65_500, progressive=True), JPEG),
        "webp of 268 megapixels in 40 bytes": Hostile(flat_webp(16_383, 16_383), WEBP),
        "webp whose canvas is 2^24 wide": Hostile(_extended_webp(2**24, 1, 0), WEBP),
        "avif of 64 megapixels in a kilobyte": Hostile(base64.b85decode(_AVIF_64_MPX), AVIF),
        "avif that claims 65536 squared": Hostile(_resized_avif(65_536, 65_536), AVIF),
        "gif whose screen is 65535 squared": Hostile(gif([(0, 0, 1, 1)], screen=(65_535, 65_535)), GIF),
        "gif whose frame is 65535 squared": Hostile(gif([(0, 0, 65_535, 65_535)], screen=(1, 1)), GIF),
    }


@functools.cache
def long_animations(frames: int = 10_000) -> dict[str, Hostile]:
    """Animations of very many frames."""
    return {
        f"gif of {frames} frames": Hostile(gif([(0, 0, 16, 16)] * frames, screen=(16, 16)), GIF),
        f"gif of {frames} frames off the screen": Hostile(
            gif([(60_000, 60_000, 16, 16)] * frames, screen=(16, 16)), GIF
        ),
        f"webp of {frames} frames": Hostile(_animated_webp(frames), WEBP),
        f"apng of {frames} frames": Hostile(_animated_png(frames), PNG, hopeless=False),
        "gif of 300 frames of 4 megapixels": Hostile(gif([(0, 0, 2000, 2000)] * 300, screen=(2000, 2000)), GIF),
        "webp of 300 frames of 16 megapixels": Hostile(_animated_webp(300, 4000, 4000), WEBP),
    }


@functools.cache
def truncated() -> dict[str, Hostile]:
    """Every kind of picture, cut off: in the magic, the header, the middle, before the last byte."""
    found = {}
    for name, body in pictures.kinds(60, 40).items():
        for where, end in (
            ("in its magic", 3),
            ("in its header", 40),
            ("in the middle", len(body) // 2),
            ("at its end", -1),
        ):
            kind = TYPES[name.rpartition(".")[2]]
            found[f"{name} cut {where}"] = Hostile(body[:end], kind, hopeless=end != -1)
    return found


@functools.cache
def mislabelled() -> dict[str, Hostile]:
    """What is not what its type says."""
    seen = pictures.photo(60, 40)
    return {
        "png called jpeg": Hostile(pictures.encode(seen, "PNG"), JPEG, hopeless=False),
        "jpeg called webp": Hostile(pictures.encode(seen), WEBP, hopeless=False),
        "gif called avif": Hostile(pictures.encode(seen, "GIF"), AVIF, hopeless=False),
        "page called png": Hostile(b"<!doctype html><script>alert(1)</script>", PNG),
        "script after a gif's magic": Hostile(b"GIF89a=1;alert(1)//" + bytes(40), GIF),
        "jpeg called a page": Hostile(pictures.encode(seen), "text/html", hopeless=False),
        "nothing at all": Hostile(b"", JPEG),
        "one byte": Hostile(b"\xff", JPEG),
        "zeros": Hostile(bytes(100_000), PNG),
        "zip": Hostile(b"PK\x03\x04" + bytes(200), PNG),
        "gzip": Hostile(b"\x1f\x8b\x08\x00" + bytes(200), JPEG),
        "program": Hostile(b"\x7fELF\x02\x01\x01" + bytes(200), PNG),
    }


@functools.cache
def profiles_and_exif() -> dict[str, Hostile]:
    """Pictures as good as any, with something beside the pixels that is not."""
    seen, profile = pictures.photo(60, 40), pictures.display_p3()
    noise = random.Random(5).randbytes(3000)
    far = profile[:132] + b"".join(
        profile[at : at + 4] + struct.pack(">II", 2**31, 2**31) for at in range(132, 132 + 9 * 12, 12)
    )
    facts = {
        "loop of directories": _tiff(b"\0\1" + _entry(0x0112, 3, 1, 6 << 16), following=8),
        "loop through a subdirectory": _tiff(b"\0\1" + _entry(0x8769, 4, 1, 8)),
        "orientation 99": _tiff(b"\0\1" + _entry(0x0112, 3, 1, 99 << 16)),
        "orientation of 2^31 numbers": _tiff(b"\0\1" + _entry(0x0112, 3, 2**31 - 1, 8)),
        "orientation that is text": _tiff(b"\0\1" + _entry(0x0112, 2, 4, 0x41424300)),
        "5,000 entries of 60 kB": _tiff(struct.pack(">H", 5000) + _entry(0x8298, 2, 60_000, 8) * 5000),
        "noise": b"Exif\0\0" + noise,
        "half a head": b"Exif\0\0MM\0",
    }
    icc = {
        "noise": noise,
        "of 4 MB": profile + bytes(4_000_000),
        "cut off": profile[:200],
        "whose tags point far away": far + profile[132 + 9 * 12 :],
        "for grey": profile.replace(b"mntrRGB ", b"mntrGRAY"),
        "for ink": profile.replace(b"mntrRGB ", b"mntrCMYK"),
    }
    found = {}
    for form, kind in (("JPEG", JPEG), ("PNG", PNG), ("WEBP", WEBP), ("AVIF", AVIF)):
        for what, data in icc.items():
            found[f"{form} with a profile {what}"] = Hostile(pictures.encode(seen, form, icc_profile=data), kind, False)
        for what, data in facts.items():
            if form != "AVIF":  # its encoder wants to understand them
                found[f"{form} with exif, {what}"] = Hostile(pictures.encode(seen, form, exif=data), kind, False)
    return found


@functools.cache
def other_formats() -> dict[str, Hostile]:
    """Forty formats and more that are not for the web, each called a PNG: what Pillow writes, and heads by hand."""
    Image.init()
    found = {name: body for name in sorted(Image.SAVE) if (body := _other(name))}
    heads = {
        "SVG": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>alert(1)</script></svg>',
        "SVG of entities": b'<!DOCTYPE svg [<!ENTITY a "aaaaaaaaaa">'
        + b"".join(b'<!ENTITY %c "%b">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
        + b"]><svg><text>&j;</text></svg>",
        "SVG that reads a file": b'<!DOCTYPE svg [<!ENTITY f SYSTEM "file:///etc/passwd">]><svg><text>&f;</text></svg>',
        "EPS that runs": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%id) (r) file\nshowpage\n",
        "PSD": b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 9, 9, 8, 3) + bytes(300),
        "PSB": b"8BPS\0\2" + bytes(6) + struct.pack(">HIIHH", 3, 300_000, 300_000, 8, 3) + bytes(300),
        "FITS": b"SIMPLE  =                    T".ljust(2880),
        "XCF": b"gimp xcf v011\0" + struct.pack(">III", 9, 9, 0) + bytes(300),
        "HEIC": struct.pack(">I", 24) + b"ftypheic" + bytes(4) + b"mif1heic" + bytes(300),
        "JPEG XL": b"\xff\x0a" + bytes(300),
        "JPEG XL, boxed": b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(300),
        "JPEG XR": b"II\xbc\x01" + struct.pack("<I", 8) + bytes(300),
        "BigTIFF": b"II+\0\x08\0\0\0" + struct.pack("<Q", 16) + bytes(300),
        "TIFF that loops": b"II*\0\x08\0\0\0\0\0\x08\0\0\0",
        "camera raw": b"II*\0\x10\0\0\0CR\2\0" + bytes(300),
        "cursor": struct.pack("<HHH", 0, 2, 1) + struct.pack("<BBBBHHII", 9, 9, 0, 0, 0, 0, 400, 22) + bytes(400),
        "DCX": struct.pack("<II", 0x3ADE68B1, 12) + bytes(300),
        "FLI": struct.pack("<IHHHH", 300, 0xAF11, 9, 9, 9) + bytes(300),
        "FTEX": b"FTEX" + struct.pack("<iiiii", 0, 9, 9, 1, 1) + bytes(300),
        "GIMP brush": struct.pack(">IIIII4sI", 28, 2, 9, 9, 1, b"GIMP", 10) + bytes(300),
        "MCIDAS": b"\0\0\0\0\0\0\0\4" + bytes(300),
        "MPEG": b"\0\0\1\xb3" + bytes(300),
        "Photo CD": bytes(2048) + b"PCD_" + bytes(3000),
        "PIXAR": b"\200\350\0\0" + bytes(1100),
        "Sun raster": struct.pack(">8I", 0x59A66A95, 9, 9, 24, 300, 1, 0, 0) + bytes(300),
        "WMF": b"\xd7\xcd\xc6\x9a" + bytes(100),
        "EMF": struct.pack("<II", 1, 100) + bytes(32) + b" EMF" + bytes(100),
        "XPM": b'/* XPM */\nstatic char *x[] = {\n"9 9 2 1",\n"a c red",\n"b c blue",\n'
        + b'"ababababa",\n' * 9
        + b"};",
        "XV thumbnail": b"P7 332\n#END_OF_COMMENTS\n9 9 255\n" + bytes(81),
        "IM tools": b"\x00\x00\x02\x0a"
        + b"Image type: L image\r\nImage size (x*y): 9*9\r\n".ljust(508, b"\0")
        + bytes(300),
        "Radiance": b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 9 +X 9\n" + bytes(324),
        "OpenEXR": b"v/1\x01\2\0\0\0" + bytes(300),
        "DjVu": b"AT&TFORM" + struct.pack(">I", 100) + b"DJVUINFO" + bytes(100),
        "FLIF": b"FLIF41\x08\x08" + bytes(100),
        "farbfeld": b"farbfeld" + struct.pack(">II", 9, 9) + bytes(648),
        "MNG": b"\x8aMNG\r\n\x1a\n" + bytes(300),
        "JNG": b"\x8bJNG\r\n\x1a\n" + bytes(300),
        "ILBM": b"FORM" + struct.pack(">I", 100) + b"ILBMBMHD" + bytes(100),
        "PDF": b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF",
        "MP4": struct.pack(">I", 24) + b"ftypisom" + bytes(4) + b"isomavc1" + bytes(300),
    }
    # An MPO begins with a JPEG, which is read.
    return {name: Hostile(body, PNG, name != "MPO") for name, body in {**found, **heads}.items()} | {
        f"{name}, by its own type": Hostile(heads[name], "image/svg+xml") for name in heads if name.startswith("SVG")
    }


def flipped(number: int, seed: int = 0) -> Iterator[tuple[str, Hostile]]:
    """Good pictures with a few bits turned over, bytes changed, or pieces cut out or doubled."""
    rng, kinds = random.Random(seed), sorted(pictures.kinds(60, 40).items())
    for index in range(number):
        name, whole = rng.choice(kinds)
        body = bytearray(whole)
        for _ in range(rng.choice((1, 1, 3, 20))):
            at, how = rng.randrange(len(body)), rng.randrange(4)
            if how == 0:
                body[at] ^= 1 << rng.randrange(8)
            elif how == 1:
                body[at] = rng.choice((0, 0xFF, 0x7F, 0x80, rng.randrange(256)))
            elif how == 2 and len(body) > 100:
                del body[at : at + rng.randrange(1, 40)]
            else:
                body[at:at] = body[at : at + rng.randrange(1, 40)]
        yield f"{name} flipped {index}", Hostile(bytes(body), TYPES[name.rpartition(".")[2]], hopeless=False)


def random_bytes(number: int, seed: int = 0) -> Iterator[tuple[str, Hostile]]:
    """Noise, behind the magic of each format in turn."""
    rng = random.Random(seed)
    magic = {
        JPEG: b"\xff\xd8\xff\xe0\0\x10JFIF\0",
        PNG: b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        WEBP: b"RIFF\x40\x10\0\0WEBPVP8 ",
        AVIF: b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf",
        GIF: b"GIF89a",
    }
    for index, (kind, head) in zip(range(number), itertools.cycle(magic.items()), strict=False):
        yield f"{kind} of noise {index}", Hostile(head + rng.randbytes(rng.randrange(1, 4000)), kind, hopeless=False)


def slow_jpeg(side: int = 4000, scans: int = 400) -> bytes:
    """A progressive JPEG whose last scan comes again and again, each a pass over all its pixels."""
    whole = pictures.encode(Image.new("RGB", (side, side), (90, 120, 150)), progressive=True, quality=50)
    starts = [at for at in range(len(whole) - 1) if whole[at : at + 2] == b"\xff\xda"]
    last = whole[starts[-1] : -2]
    return whole[:-2] + last * scans + b"\xff\xd9"


def huge_png(width: int, height: int) -> bytes:
    """One bit a pixel, all of them black: true to its header, and packed a thousandfold."""
    return pictures.png(width, height, _zeros((width // 8 + 1) * height), depth=1, colour=0)


def resized_jpeg(width: int, height: int, *, progressive: bool = False) -> bytes:
    """A small JPEG whose frame header claims another size."""
    body = bytearray(pictures.encode(Image.new("RGB", (64, 64), "grey"), progressive=progressive))
    at = body.index(b"\xff\xc2" if progressive else b"\xff\xc0")
    body[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(body)


def flat_webp(width: int, height: int) -> bytes:
    """A lossless WebP of one colour: no bits at all for its pixels (RFC 9649 §3)."""
    return _riff(_chunk(b"VP8L", _flat_vp8l(width, height)))


def gif(frames: list[tuple[int, int, int, int]], screen: tuple[int, int]) -> bytes:
    """A GIF of one colour; each frame is left, top, width, height. Those of more than 4 megapixels lack their data."""
    head = b"GIF89a" + struct.pack("<HHBBB", *screen, 0x80, 0, 0) + bytes((0, 0, 0, 255, 255, 255))
    loop = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\0"
    control = b"\x21\xf9\x04\x04\x02\x00\x00\x00"
    body = b"".join(
        control + b"\x2c" + struct.pack("<HHHHB", *frame, 0) + _one_colour(frame[2] * frame[3]) for frame in frames
    )
    return head + loop + body + b"\x3b"


@functools.cache
def _one_colour(pixels: int) -> bytes:
    """So many pixels of colour 0, in LZW of the widest codes there are (GIF89a, appendix F)."""
    clear, end, widest = 4, 5, 12
    bits, length, width, index = clear, 3, 3, 0
    left = pixels if pixels <= 4_000_000 else 1
    while left > 0:
        run = min(index + 1, left)
        bits |= (0 if run == 1 else end + run - 1) << length
        length, left, index = length + width, left - run, index + 1
        if end + index == 1 << width and width < widest:
            width += 1
        if index == (1 << widest) - 10:
            bits |= clear << length
            length, width, index = length + width, 3, 0
    bits |= end << length
    data = bits.to_bytes((length + width + 7) // 8, "little")
    blocks = (data[at : at + 255] for at in range(0, len(data), 255))
    return b"\x02" + b"".join(bytes((len(block),)) + block for block in blocks) + b"\0"


@functools.cache
def _zeros(size: int) -> bytes:
    """That many zeros, deflated."""
    packer = zlib.compressobj(9)
    block, packed = bytes(1 << 20), bytearray()
    for _ in range(size >> 20):
        packed += packer.compress(block)
    return bytes(packed + packer.compress(bytes(size & 0xFFFFF)) + packer.flush())


def _with_chunk(kind: bytes, data: bytes) -> bytes:
    return pictures.png(8, 8, zlib.compress(bytes(200)), more=[pictures.png_chunk(kind, data)])


def _flat_vp8l(width: int, height: int) -> bytes:
    bits = (width - 1) | (height - 1) << 14  # then alpha 0 and version 0, four bits; no transform, cache, meta codes
    for code in range(5):
        bits |= 0b0001 << 35 + 4 * code  # a simple code of one symbol, of one bit: 0
    return b"\x2f" + bits.to_bytes(7, "little") + bytes(8)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data + bytes(len(data) & 1)


def _riff(chunks: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks


def _vp8x(width: int, height: int, flags: int) -> bytes:
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return _chunk(b"VP8X", bytes((flags, 0, 0, 0)) + size)


def _extended_webp(width: int, height: int, flags: int) -> bytes:
    return _riff(_vp8x(width, height, flags) + _chunk(b"VP8L", _flat_vp8l(16, 16)))


def _animated_webp(frames: int, width: int = 16, height: int = 16) -> bytes:
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    frame = _chunk(
        b"ANMF", bytes(6) + size + (40).to_bytes(3, "little") + b"\0" + _chunk(b"VP8L", _flat_vp8l(width, height))
    )
    return _riff(_vp8x(width, height, 0b10) + _chunk(b"ANIM", bytes(6)) + frame * frames)


def _animated_png(frames: int) -> bytes:
    rows = zlib.compress(bytes(16 * 49))
    control = struct.pack(">IIIIHHBB", 16, 16, 0, 0, 1, 25, 0, 0)
    chunks = [pictures.png_chunk(b"acTL", struct.pack(">II", frames, 0))]
    chunks.append(pictures.png_chunk(b"fcTL", struct.pack(">I", 0) + control))
    rest = bytearray()
    for number in range(1, frames):
        rest += pictures.png_chunk(b"fcTL", struct.pack(">I", number * 2 - 1) + control)
        rest += pictures.png_chunk(b"fdAT", struct.pack(">I", number * 2) + rows)
    whole = pictures.png(16, 16, rows, more=chunks)
    return whole[:-12] + bytes(rest) + whole[-12:]


def _resized_avif(width: int, height: int) -> bytes:
    """A small AVIF whose container claims another size (ISO/IEC 23008-12, ispe)."""
    body = pictures.encode(Image.new("RGB", (64, 64), "grey"), "AVIF", speed=10)
    return body.replace(b"ispe" + struct.pack(">III", 0, 64, 64), b"ispe" + struct.pack(">III", 0, width, height))


def _tiff(directory: bytes, following: int = 0) -> bytes:
    return b"Exif\0\0MM\0*\0\0\0\x08" + directory + struct.pack(">I", following)


def _entry(tag: int, kind: int, count: int, value: int) -> bytes:
    return struct.pack(">HHII", tag, kind, count, value)


def _other(name: str) -> bytes:
    """A small picture in a format that is not read; nothing where Pillow cannot write it without more help."""
    if name in {"JPEG", "PNG", "WEBP", "AVIF", "GIF"}:
        return b""
    for mode in ("RGB", "P", "L", "1", "F"):
        target = io.BytesIO()
        try:
            pictures.photo(32, 32).convert(mode).save(target, name)
        except (OSError, ValueError, KeyError, NotImplementedError):
            continue
        return target.getvalue()
    return b""
