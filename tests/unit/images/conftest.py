"""What holds for all tests of pictures."""

from __future__ import annotations

import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def _own_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine sets Pillow's limit for its process, which here is that of other tests too."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
