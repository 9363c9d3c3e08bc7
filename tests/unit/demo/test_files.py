"""The demo site's files: names that carry hashes, pages a strict policy can serve, photographs with their licences."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from edgeproxy.demo.files import NEVER, SITE, YEAR, load_files, not_found_page

PAGES = sorted(SITE.glob("*.html"))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The site, to change."""
    return shutil.copytree(SITE, tmp_path / "site")


def styles(root: Path) -> str:
    return next(path for path in load_files(root) if path.endswith(".css"))


def test_assets_have_hashed_names_and_are_kept_for_a_year() -> None:
    for path, file in load_files().items():
        if path.startswith(("/assets/", "/photographs/")) and path != "/photographs/":
            assert re.search(r"\.[0-9a-f]{10}\.[a-z]+$", path)
            assert file.cache_control == YEAR


def test_a_changed_asset_gets_a_new_name_in_every_page(copy: Path) -> None:
    before = styles(copy)
    with (copy / "assets" / "site.css").open("a") as file:
        file.write("p { margin: 0 }")
    after = styles(copy)
    assert after != before
    files = load_files(copy)
    assert after.encode() in files["/"].body
    assert before.encode() not in files["/"].body
    assert after.encode() in not_found_page(files, copy)


def test_pages_refer_only_to_files_that_are_served() -> None:
    files = load_files()
    for body in (
        *(file.body for file in files.values() if file.content_type.startswith("text/html")),
        not_found_page(files),
    ):
        for reference in re.findall(rb'(?:href|src)="(/[^"#]*)', body):
            assert reference.decode() in files


def test_a_reference_to_nothing_is_an_error_that_names_both(copy: Path) -> None:
    page = copy / "live.html"
    page.write_text(page.read_text().replace("/assets/live.js", "/assets/gone.js"))
    with pytest.raises(ValueError, match=r"live\.html refers to /assets/gone\.js"):
        load_files(copy)


def test_members_page_is_never_stored() -> None:
    assert load_files()["/members/"].cache_control == NEVER


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pages_need_no_inline_script_or_style_and_nothing_from_outside(page: Path) -> None:
    text = page.read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", text)
    assert all(" src=" in tag for tag in re.findall(r"<script[^>]*>", text))
    assert not re.search(r'(?:href|src|srcset|action)="(?:[a-z]+:)?//', text)


def test_every_photograph_has_its_licence_and_is_small() -> None:
    licences = (SITE / "photographs" / "LICENSE.md").read_text()
    photographs = sorted((SITE / "photographs").glob("*.jpg"))
    for photograph in photographs:
        assert f"`{photograph.name}`" in licences
        assert photograph.stat().st_size <= 300_000
    assert sum(photograph.stat().st_size for photograph in photographs) < 1_500_000
