"""Pictures drawn by code, the same for the same seed, and written in every way files of pictures are written."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Sequence
from typing import Any, Final

from PIL import Image, ImageChops, ImageDraw, ImageOps

Colour = tuple[int, int, int]

CORNERS: Final[dict[str, Colour]] = {
    "top left": (220, 30, 30),
    "top right": (30, 180, 40),
    "bottom left": (30, 60, 220),
    "bottom right": (240, 210, 40),
}
COPYRIGHT: Final = 0x8298
ORIENTATION: Final = 0x0112
GPS: Final = 0x8825

# How stored pixels come out of upright ones, by the EXIF orientation that turns them back.
_STORED: Final[dict[int, Image.Transpose | None]] = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def photo(width: int, height: int, seed: int = 0) -> Image.Image:
    """A landscape as a camera would see it: sky and clouds, ridges with texture, houses with edges, blossoms, grain.

    RGB. About 2 s for 12 megapixels, 0.1 s for 800 by 600.
    """
    rng, size = random.Random(seed), (width, height)
    day = rng.choice(
        (((36, 92, 178), (150, 196, 236)), ((60, 44, 110), (250, 170, 110)), ((96, 120, 140), (224, 226, 220)))
    )
    picture = ImageOps.colorize(Image.linear_gradient("L").resize(size), *day)
    clouds = fractal(size, rng, 0.42).point(lambda v: max(0, min(255, (v - 140) * 3)))
    picture.paste((246, 244, 240), mask=clouds)
    for distance in range(3):
        _ridge(picture, rng, distance)
    _houses(picture, rng)
    _blossoms(picture, rng)
    grain = _noise((width, height), rng).convert("RGB")
    return ImageChops.add(picture, grain.point(lambda v: v // 28), offset=-4)


def graphic(width: int, height: int, seed: int = 0, mode: str = "RGBA") -> Image.Image:
    """A drawn sign: few flat colours, sharp and smooth edges, thin lines, letters; transparent around it."""
    rng = random.Random(seed)
    big = Image.new("RGBA", (width * 2, height * 2), (0, 0, 0, 0))
    draw, unit = ImageDraw.Draw(big), min(width, height) / 10
    colours = [tuple(rng.randrange(20, 236) for _ in range(3)) for _ in range(5)]
    draw.rounded_rectangle((unit, unit, width * 2 - unit, height * 2 - unit), unit * 2, fill=(*colours[0], 255))
    for colour in colours[1:]:
        x, y, r = rng.uniform(0.2, 1.8) * width, rng.uniform(0.2, 1.8) * height, rng.uniform(1, 4) * unit
        draw.ellipse(
            (x - r, y - r, x + r, y + r), fill=(*colour, 255), outline=(255, 255, 255, 255), width=int(unit / 4) + 1
        )
    for step in range(12):
        y = height * 2 * (step + 1) / 13
        draw.line((unit * 2, y, width * 2 - unit * 2, y), fill=(255, 255, 255, 90 + step * 10), width=1 + step % 3)
    draw.text((width, height), f"No {seed}", fill=(255, 255, 255, 255), anchor="mm", font_size=max(8, int(unit * 4)))
    picture = big.resize((width, height), Image.Resampling.BOX)
    return picture if mode == "RGBA" else _flat(picture).convert(mode)


def corners(width: int, height: int) -> Image.Image:
    """Four rectangles in the colours of :data:`CORNERS`, to see what was turned, mirrored or cut off."""
    picture = Image.new("RGB", (width, height))
    for name, colour in CORNERS.items():
        x, y = width // 2 * ("right" in name), height // 2 * ("bottom" in name)
        picture.paste(colour, (x, y, width if x else width // 2, height if y else height // 2))
    return picture


def corner_of(picture: Image.Image, x: float, y: float) -> str:
    """Which of :data:`CORNERS` is nearest to the colour at this share of width and height."""
    upright = picture.convert("RGB")
    seen = upright.getpixel((int(x * (picture.width - 1)), int(y * (picture.height - 1))))
    assert isinstance(seen, tuple)
    return min(CORNERS, key=lambda name: sum((a - b) ** 2 for a, b in zip(seen, CORNERS[name], strict=True)))


def animation(frames: int, width: int = 64, height: int = 48, seed: int = 0) -> list[Image.Image]:
    """A disc that goes across a still picture; frame after frame, RGB."""
    still = photo(width, height, seed)
    radius, moving = min(width, height) // 6, []
    for index in range(frames):
        frame = still.copy()
        x = round(width * (index + 0.5) / frames)
        ImageDraw.Draw(frame).ellipse(
            (x - radius, height // 2 - radius, x + radius, height // 2 + radius), fill=(250, 60, 20)
        )
        moving.append(frame)
    return moving


def encode(picture: Image.Image | Sequence[Image.Image], form: str = "JPEG", **options: Any) -> bytes:
    """The file's bytes; ``form`` and ``options`` are Pillow's. Several pictures become one animation."""
    target = io.BytesIO()
    first, *others = [picture] if isinstance(picture, Image.Image) else picture
    if others:
        options = {"save_all": True, "append_images": others, "duration": 40, "loop": 0, **options}
    if form == "JPEG" and first.mode in {"RGBA", "LA", "P"}:
        first = _flat(first)
    first.save(target, form, **options)
    return target.getvalue()


def decode(body: bytes) -> Image.Image:
    """The picture in a file of any of the formats the web knows, loaded. Raises what Pillow raises."""
    picture = Image.open(io.BytesIO(body), formats=("JPEG", "PNG", "WEBP", "AVIF", "GIF"))
    picture.load()
    return picture


def exif(orientation: int = 1, copyright_: str = "", *, gps: bool = False) -> bytes:
    """EXIF data with these few facts, and a maker."""
    data = Image.Exif()
    data[ORIENTATION] = orientation
    data[0x010F] = "A maker of cameras"
    if copyright_:
        data[COPYRIGHT] = copyright_
    if gps:
        data.get_ifd(GPS).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)})
    return data.tobytes()


def oriented(upright: Image.Image, orientation: int, form: str = "JPEG", **options: Any) -> bytes:
    """A file whose pixels lie as a camera held that way stores them: seen rightly it is ``upright``."""
    turn = _STORED[orientation]
    stored = upright if turn is None else upright.transpose(turn)
    return encode(stored, form, exif=exif(orientation), **options)


def display_p3() -> bytes:
    """An ICC profile (version 4, matrix and curve) of Apple's Display P3: its primaries, D50, the curve of sRGB."""
    return _profile(
        "Display P3", ((0.51512, 0.2412, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.78407))
    )


def swapped_profile() -> bytes:
    """An ICC profile in which red is green and green is red: whoever drops it unread shows wrong colours."""
    red, green, blue = (0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)
    return _profile("Swapped", (green, red, blue))


def deep_png(width: int, height: int, *, alpha: bool = False) -> bytes:
    """A PNG of 16 bits a channel: red rises to the right, green to the bottom, alpha to the right."""
    rows = bytearray()
    for y in range(height):
        rows.append(0)
        for x in range(width):
            red, green = x * 65535 // max(1, width - 1), y * 65535 // max(1, height - 1)
            rows += struct.pack(">4H" if alpha else ">3H", *(red, green, 20_000, red)[: 4 if alpha else 3])
    return png(width, height, zlib.compress(bytes(rows)), depth=16, colour=6 if alpha else 2)


def png(width: int, height: int, data: bytes, *, depth: int = 8, colour: int = 2, more: Sequence[bytes] = ()) -> bytes:
    """A PNG of a header, ``more`` chunks and this compressed data, whatever it is."""
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + png_chunk(b"IDAT", data) + png_chunk(b"IEND", b"")


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def kinds(width: int = 120, height: int = 80) -> dict[str, bytes]:
    """A file of every kind that is read: formats, modes, depths, profiles, by a name that says what it is."""
    seen, sign, moving = photo(width, height), graphic(width, height), animation(5, width, height)
    return {
        "baseline.jpg": encode(seen, quality=85),
        "progressive.jpg": encode(seen, quality=85, progressive=True),
        "grey.jpg": encode(seen.convert("L")),
        "cmyk.jpg": encode(seen.convert("CMYK")),
        "p3.jpg": encode(seen, icc_profile=display_p3(), subsampling=0),
        "turned.jpg": oriented(seen, 6),
        "rgb.png": encode(seen, "PNG"),
        "rgba.png": encode(sign, "PNG"),
        "palette.png": encode(_flat(sign).convert("P"), "PNG"),
        "palette-clear.png": encode(_flat(sign).convert("P"), "PNG", transparency=0),
        "bilevel.png": encode(seen.convert("1"), "PNG"),
        "grey-alpha.png": encode(sign.convert("LA"), "PNG"),
        "deep.png": deep_png(width, height),
        "deep-alpha.png": deep_png(width, height, alpha=True),
        "deep-grey.png": encode(seen.convert("I;16"), "PNG"),
        "animated.png": encode(moving, "PNG"),
        "lossy.webp": encode(seen, "WEBP"),
        "lossless.webp": encode(sign, "WEBP", lossless=True),
        "animated.webp": encode(moving, "WEBP"),
        "still.avif": encode(seen, "AVIF", speed=10),
        "alpha.avif": encode(sign, "AVIF", speed=10),
        "animated.avif": encode(moving, "AVIF", speed=10),
        "still.gif": encode(seen, "GIF"),
        "clear.gif": encode(sign, "GIF"),
        "animated.gif": encode(moving, "GIF"),
    }


def fractal(size: tuple[int, int], rng: random.Random, roughness: float) -> Image.Image:
    """Noise of all scales, the finer the weaker (``roughness`` from octave to octave), as in nature; mode L."""
    width, height = max(2, size[0] >> 7), max(2, size[1] >> 7)
    layer, weight = _noise((width, height), rng), 0.5
    while width < size[0] or height < size[1]:
        width, height = min(width * 2, size[0]), min(height * 2, size[1])
        finer = layer.resize((width, height), Image.Resampling.BICUBIC)
        layer = Image.blend(finer, _noise((width, height), rng), weight * roughness)
        weight *= 0.8
    return ImageOps.autocontrast(layer, cutoff=1)


def _noise(size: tuple[int, int], rng: random.Random) -> Image.Image:
    """White noise; past a megapixel its tiles repeat, which the eye and the encoders do not see."""
    width, height = min(size[0], 1024), min(size[1], 1021)
    tile = Image.frombytes("L", (width, height), rng.randbytes(width * height))
    if (width, height) == size:
        return tile
    whole = Image.new("L", size)
    for y in range(0, size[1], height):
        for x in range(0, size[0], width):
            whole.paste(tile, (x, y))
    return whole


def _ridge(picture: Image.Image, rng: random.Random, distance: int) -> None:
    """A line of hills across the picture, filled with a texture that is the rougher the nearer it is."""
    width, height = picture.size
    points, level = [], height * (0.45 + distance * 0.17)
    for x in range(0, width + 1, max(1, width // 60)):
        level += rng.uniform(-1, 1) * height * 0.012
        points.append((x, level))
    mask = Image.new("L", picture.size)
    ImageDraw.Draw(mask).polygon([(0, height), *points, (width, level), (width, height)], fill=255)
    dark = (30 + 30 * (2 - distance), 50 + 25 * (2 - distance), 30 + 40 * (2 - distance))
    light = (120 + rng.randrange(60), 150 + rng.randrange(40), 80 + 30 * (2 - distance))
    ground = ImageOps.colorize(fractal(picture.size, rng, 0.3 + 0.22 * distance), dark, light)
    picture.paste(ground, mask=mask)


def _houses(picture: Image.Image, rng: random.Random) -> None:
    width, height = picture.size
    draw, unit = ImageDraw.Draw(picture), max(2, min(width, height) // 60)
    for _ in range(6):
        x, y = rng.randrange(width), int(height * rng.uniform(0.55, 0.68))
        w, h = unit * rng.randrange(4, 10), unit * rng.randrange(5, 14)
        wall = tuple(rng.randrange(120, 240) for _ in range(3))
        draw.rectangle((x, y - h, x + w, y), fill=wall)
        draw.polygon([(x - unit, y - h), (x + w + unit, y - h), (x + w // 2, y - h - unit * 3)], fill=(130, 50, 40))
        for wx in range(x + unit, x + w - unit, unit * 2):
            for wy in range(y - h + unit, y - unit, unit * 2):
                draw.rectangle((wx, wy, wx + unit - 1, wy + unit - 1), fill=(40, 46, 60))


def _blossoms(picture: Image.Image, rng: random.Random) -> None:
    width, height = picture.size
    draw, unit = ImageDraw.Draw(picture), max(1.0, min(width, height) / 90)
    for _ in range(90):
        x, y, r = rng.uniform(0, width), height * rng.uniform(0.8, 1.0), unit * rng.uniform(0.4, 1.6)
        colour = rng.choice(((220, 40, 60), (250, 200, 40), (240, 240, 250), (150, 70, 190)))
        for dx, dy in ((-r, 0), (r, 0), (0, -r), (0, r)):
            draw.ellipse((x + dx - r, y + dy - r, x + dx + r, y + dy + r), fill=colour)
        draw.ellipse((x - r / 2, y - r / 2, x + r / 2, y + r / 2), fill=(90, 60, 20))


def _flat(picture: Image.Image) -> Image.Image:
    """On white, as RGB."""
    clear = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")


def _profile(name: str, primaries: Sequence[tuple[float, float, float]]) -> bytes:
    """An ICC profile of a display (ICC.1:2010): three primaries adapted to D50, each with the curve of sRGB."""
    curve = b"para" + bytes(4) + struct.pack(">HH", 3, 0) + _fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    tags = {
        b"desc": _text(name),
        b"cprt": _text("Public domain: facts only"),
        b"wtpt": b"XYZ " + bytes(4) + _fixed(0.9642, 1.0, 0.8249),
        **{
            kind: b"XYZ " + bytes(4) + _fixed(*primary)
            for kind, primary in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True)
        },
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    table, data, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for kind, content in tags.items():
        table += kind + struct.pack(">II", start + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    head = struct.pack(">I4xI", start + len(data), 0x04000000) + b"mntrRGB XYZ "
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _fixed(0.9642, 1.0, 0.8249)
    return head.ljust(128, b"\0") + table + data


def _fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def _text(text: str) -> bytes:
    data = text.encode("utf-16-be")
    return b"mluc" + bytes(4) + struct.pack(">II", 1, 12) + b"enUS" + struct.pack(">II", len(data), 28) + data
