"""A picture in a few bytes."""

from __future__ import annotations

import base64
import json

import pytest
from PIL import Image

from edgeproxy.images.probe import Source
from edgeproxy.images.summary import PLACEHOLDER_SIDE, summary
from tests.support import pictures


def told(picture: Image.Image) -> dict[str, object]:
    found: dict[str, object] = json.loads(summary(picture, (900, 600), Source("jpeg", 9, 8), (8, 9), 1234))
    return found


@pytest.mark.parametrize(
    "picture", [pictures.photo(60, 40), pictures.graphic(60, 40), pictures.photo(40, 60).convert("L")]
)
def test_a_placeholder_is_a_small_webp_in_the_url_itself(picture: Image.Image) -> None:
    kind, _, data = str(told(picture)["placeholder"]).partition(",")
    assert kind == "data:image/webp;base64"
    body = base64.b64decode(data, validate=True)
    assert len(body) < 400
    assert max(pictures.decode(body).size) == PLACEHOLDER_SIDE


def test_the_colour_is_the_average_of_what_can_be_seen() -> None:
    half = Image.new("RGBA", (60, 40), (255, 0, 0, 255))
    half.paste((0, 0, 255, 0), (30, 0, 60, 40))
    assert told(half)["colour"] == "#ff0000"
    assert told(Image.new("L", (60, 40), 128))["colour"] == "#808080"


def test_the_facts_of_both() -> None:
    seen = told(pictures.photo(60, 40))
    assert (seen["width"], seen["height"]) == (900, 600)
    assert seen["original"] == {"file_size": 1234, "width": 8, "height": 9, "format": "image/jpeg", "frames": 1}
