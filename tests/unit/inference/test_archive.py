"""Archives are unpacked as far as they are plain folders of plain files."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from edgeproxy.inference import archive
from edgeproxy.inference.archive import ArchiveError, unpack

LARGEST = 100_000


def packed(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def file(
    name: str, content: bytes = b"name: a\n", kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.mode = kind, link, 0o6777
    return member, content


MANIFEST = file("a/manifest.yaml")


def test_a_folder_is_unpacked(tmp_path: Path) -> None:
    kept = packed(tmp_path / "a.tgz", file("a", b"", tarfile.DIRTYPE), MANIFEST, file("a/1/model.onnx", b"x" * 50_000))
    unpack(kept, "a", tmp_path / "into", LARGEST)
    assert (tmp_path / "into/a/manifest.yaml").read_bytes() == b"name: a\n"
    found = tmp_path / "into/a/1/model.onnx"
    assert found.read_bytes() == b"x" * 50_000
    assert not found.stat().st_mode & 0o7111  # nothing of the archive's modes


def test_names_may_begin_with_a_dot_and_a_slash(tmp_path: Path) -> None:
    unpack(packed(tmp_path / "a.tgz", file("./a/manifest.yaml")), "a", tmp_path / "into", LARGEST)


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([file("../a/x")], "'../a/x' is not a name below a/"),
        ([file("/a/manifest.yaml")], "not a name below a/"),
        ([file("a/../../x")], "not a name below a/"),
        ([file("b/manifest.yaml")], "not a name below a/"),
        ([file("a/.hidden")], "not a name below a/"),
        ([file("a/new\nline")], "not a name below a/"),
        ([file("a/1/2/3/4")], "not a name below a/"),
        ([file("a/" + "x" * 129)], "not a name below a/"),
        ([file("a/1", b"", tarfile.SYMTYPE, "/etc")], "'a/1' is neither a file nor a folder"),
        ([file("a/1", b"", tarfile.LNKTYPE, "a/manifest.yaml")], "neither a file nor a folder"),
        ([file("a/1", b"", tarfile.CHRTYPE)], "neither a file nor a folder"),
        ([file("a/1", b"", tarfile.FIFOTYPE)], "neither a file nor a folder"),
        ([file("a/1", b"x" * 2_000_000)], "it unpacks to more than it may"),
        ([file("a/1", b"x" * 600_000), file("a/2", b"x" * 600_000)], "it unpacks to more than it may"),
    ],
)  # fmt: skip
def test_what_is_more_than_that_is_refused(
    tmp_path: Path, members: list[tuple[tarfile.TarInfo, bytes]], said: str
) -> None:
    with pytest.raises(ArchiveError) as refused:
        unpack(packed(tmp_path / "a.tgz", MANIFEST, *members), "a", tmp_path / "in/to", LARGEST)
    assert said in str(refused.value)
    below = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")}
    assert below == {"a.tgz", "in"}


def test_a_file_that_comes_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        unpack(packed(tmp_path / "a.tgz", MANIFEST, MANIFEST), "a", tmp_path / "into", LARGEST)


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=r"there is no a/manifest\.yaml in it"):
        unpack(packed(tmp_path / "a.tgz", file("a/1/model.onnx")), "a", tmp_path / "into", LARGEST)


def test_many_files_are_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MOST", 3)
    with pytest.raises(ArchiveError, match="more than 3 files"):
        unpack(
            packed(tmp_path / "a.tgz", MANIFEST, *(file(f"a/{n}") for n in range(3))), "a", tmp_path / "into", LARGEST
        )


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    whole = packed(tmp_path / "a.tgz", MANIFEST, file("a/1", bytes(range(256)) * 300)).read_bytes()
    for at, content in enumerate((b"", b"text", whole[:-20], whole[: len(whole) // 2], whole[:30] + b"x" + whole[31:])):
        (tmp_path / "damaged").write_bytes(content)
        with pytest.raises(ArchiveError):
            unpack(tmp_path / "damaged", "a", tmp_path / f"into{at}", LARGEST)
