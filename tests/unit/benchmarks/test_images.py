"""The comparison of image variants: likeness, the search for equal likeness, what is reported and where it is put."""

import json

import pytest

from tests.benchmarks import report as main_report
from tests.benchmarks.errors import BenchmarkError
from tests.benchmarks.images import gallery, report
from tests.benchmarks.images.likeness import Reference, ssim
from tests.benchmarks.images.servers import Ipx, Pictures, Thumbor
from tests.benchmarks.images.session import Answers, Batch, Comparison, Session, Side
from tests.benchmarks.images.tuning import LIKE, quality_for
from tests.support.pictures import encode, graphic, photo


def test_likeness_is_the_one_of_the_field():
    """Figures of scikit-image 0.26, structural_similarity with its defaults and a data range of 255."""
    seen = photo(160, 120, 1)
    step = seen.convert("L").point(lambda value: value // 32 * 32).convert("RGB")

    assert ssim(seen, seen) == pytest.approx(1.0)
    assert ssim(seen, step) == pytest.approx(0.7959827, abs=1e-6)


def test_pictures_of_other_sizes_are_not_compared():
    with pytest.raises(ValueError, match="sizes differ"):
        ssim(photo(16, 16), photo(16, 17))


def test_a_variant_is_compared_with_the_original_scaled_to_its_size(tmp_path):
    path = tmp_path / "original.png"
    path.write_bytes(encode(photo(400, 300, 2), "PNG"))
    reference = Reference(path)

    good, bad = (encode(photo(400, 300, 2).resize((200, 150)), quality=quality) for quality in (95, 10))

    assert 1 > reference.likeness(good) > 0.95 > reference.likeness(bad)


@pytest.mark.parametrize("wanted", [0.9, 0.95, 0.99, 0.995])
def test_the_quality_that_is_as_like_is_found_in_few_tries(wanted):
    tried = []

    def probe(quality):
        tried.append(quality)
        return 1 - 0.5 / (quality + 1)

    quality = quality_for(wanted, probe)

    assert len(tried) <= 8
    assert probe(quality) == pytest.approx(wanted, abs=LIKE)


def test_where_no_quality_is_as_like_the_nearest_is_taken():
    assert quality_for(0.999, lambda quality: 0.9 + quality / 2000) == 100


class Fake(Pictures):
    """Answers at once, at a likeness that goes with quality; its clock goes by ``cost`` a picture."""

    label = "thumbor 1.0"

    def __init__(self, cost):
        self.cost, self.spent, self.asked = cost, 0.0, []

    def ask(self, name, form, quality=0):
        self.spent += self.cost
        self.asked.append((name, form, quality))
        return encode(photo(80, 60), quality=quality or 80)

    def cpu_seconds(self):
        return {"fake": self.spent}

    def memory_kib(self, field):
        return 2048

    def reset_memory_peak(self):
        pass


def test_servers_are_asked_in_turns_and_ours_for_the_peers_likeness(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encode(photo(80, 60), "PNG"))
    original = gallery.Original("a.png", path, "somebody", "CC0-1.0", "here", (80, 60))
    ours, peer = Fake(0.01), Fake(0.04)
    ours.label = "edgeproxy"

    (comparison,) = Session([original], ours, [peer], 3, lambda _: None).compare("jpeg", "jpeg")

    assert comparison.cpu.median == pytest.approx(0.25)
    assert comparison.bytes.median == pytest.approx(1.0)
    assert comparison.unlike == 0
    assert [quality for _, _, quality in peer.asked] == [0] * 4  # once looked at, three times measured
    assert ours.asked[-2:] == [("a.png", "jpeg", 80), ("a.png", "jpeg", 0)]  # measured, then looked at as it comes


def test_a_server_that_does_not_answer_stops_it(tmp_path):
    with pytest.raises(BenchmarkError, match=r"thumbor 7\.8\.0 did not answer /unsafe/800x0/"):
        Thumbor(tmp_path, origin_port=1).ask("a.jpg", "webp")


def test_peers_are_asked_in_their_own_words(tmp_path):
    thumbor, ipx = Thumbor(tmp_path, origin_port=81), Ipx(tmp_path, origin_port=81)

    assert thumbor.target("a.jpg", "webp", 70) == (
        "/unsafe/800x0/filters:format(webp):quality(70)/http%3A//127.0.0.1%3A81/a.jpg"
    )
    assert ipx.target("a.jpg", "avif") == "/f_avif,w_800/http://127.0.0.1:81/a.jpg"


def test_every_picture_has_its_source_author_and_licence(tmp_path):
    manifest = gallery.tomllib.loads(gallery.MANIFEST.read_text())["picture"]

    assert len(manifest) == 12
    assert all(entry.keys() >= {"file", "author", "licence"} or "drawn" in entry for entry in manifest)


def test_drawn_pictures_need_no_package(tmp_path, monkeypatch):
    manifest = tmp_path / "pictures.toml"
    manifest.write_text('[[picture]]\nname = "s.png"\ndrawn = {by = "graphic", width = 60, height = 40, mode = "P"}\n')
    monkeypatch.setattr(gallery, "MANIFEST", manifest)

    (original,) = gallery.gather(tmp_path / "originals")

    assert original.size == (60, 40)
    assert original.path.read_bytes() == encode(graphic(60, 40, mode="P"), "PNG")


def side(cpu, size, likeness):
    return Side(Answers({"a": size, "b": size}, {"a": likeness, "b": likeness}), (Batch(cpu, cpu, 51_200),) * 2)


COMPARISON = Comparison(
    "avif", "thumbor 7.8.0", side(0.1, 50_000, 0.981), side(0.5, 40_000, 0.98), side(0.1, 30_000, 0.97)
)


def test_rows_carry_cpu_bytes_and_memory_with_their_ratios():
    cpu, size, memory = report.entries([COMPARISON])

    assert (cpu["ours"], cpu["peer_value"], cpu["ratio"], cpu["must"], cpu["reached"]) == (100, 500, 0.2, 0.3, "aim")
    assert (cpu["ours_ssim"], cpu["peer_ssim"], cpu["ssim_apart"]) == (0.981, 0.98, 0.001)
    assert (size["unit"], size["ours"], size["ratio"]) == ("kB a picture", 50, 1.25)
    assert (memory["unit"], memory["ours"], memory["ratio"]) == ("MiB", 50, 1)
    assert all({"name", "peer", "ratio_min", "ratio_max"} <= row.keys() for row in (cpu, size, memory))


def test_rows_take_the_place_of_earlier_ones_and_of_no_others(tmp_path):
    file = tmp_path / "benchmarks.json"
    file.write_text(json.dumps({"pairs": 5, "rows": [{"key": "pass"}, {"key": "images-old"}, {"name": "a stage"}]}))

    report.write_rows(file, [COMPARISON])

    document = json.loads(file.read_text())
    assert document["pairs"] == 5
    assert document["rows"][:2] == [{"key": "pass"}, {"name": "a stage"}]
    assert [row["key"] for row in document["rows"][2:]] == [
        "images-avif-thumbor",
        "images-avif-thumbor-bytes",
        "images-memory-thumbor",
    ]


def test_rows_of_pictures_outlive_the_other_benchmarks(tmp_path):
    report.write_rows(tmp_path / main_report.JSON_NAME, [COMPARISON])
    conditions = main_report.Conditions({}, {}, "command", pairs=1, seconds=1, head_bytes=1)

    main_report.write(tmp_path, [], [], conditions)

    rows = json.loads((tmp_path / main_report.JSON_NAME).read_text())["rows"]
    assert len([row for row in rows if row.get("key", "").startswith("images-")]) == 3


def test_the_page_names_every_picture_and_figure(tmp_path):
    original = gallery.Original("a.png", tmp_path / "a.png", "A. Maker", "CC0-1.0", "a package", (80, 60))
    original.path.write_bytes(b"0" * 2000)

    page = report.markdown([COMPARISON], [original], {"cores": "2"}, "the command", 5)

    assert "| `a.png` | 80 x 60 | 2 | A. Maker | CC0-1.0 | a package |" in page
    assert "| AVIF, first answer | thumbor 7.8.0 | 0.981 : 0.98 (0.001) | 100.0 : 500.0 | **0.2** (0.2 to 0.2)" in page
    assert "@{" not in page
