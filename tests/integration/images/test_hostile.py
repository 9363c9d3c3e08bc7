"""Hostile pictures through the real proxy: the original or a refusal, within its memory, and others do not wait."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, Self

import pytest

from tests.benchmarks.proc import parse_status_kib, read_stats, tree
from tests.support import hostile_pictures as hostile
from tests.support.hostile_pictures import Hostile
from tests.support.origin import RecordedRequest, RecordingOrigin, answer
from tests.support.pictures import decode
from tests.support.processes import EdgeProcess

MEMORY = 600  # MB of address space, of a process that makes pictures
WORKER = 400  # MB resident, of a process that serves
PATIENCE = 30.0  # seconds for one answer; every wait in the proxy is shorter
P99 = 1.0  # seconds for a cached page meanwhile, on a machine that may be busy
WIDTH = 40
SETTINGS = {
    "widths": [WIDTH],
    "studio": {"processes": 2},
    "limits": {"memory": f"{MEMORY}MB", "time": "4s"},
}


class Told(NamedTuple):
    """An answer read whole."""

    status: int
    fields: Mapping[str, str]
    body: bytes


class Gallery(RecordingOrigin):
    """Serves hostile pictures by number, and one page."""

    def __init__(self) -> None:
        super().__init__(self._picture)
        self.pictures: dict[bytes, Hostile] = {}

    def _picture(self, request: RecordedRequest) -> bytes:
        found = self.pictures.get(request.target)
        if found is None:
            return answer(200, b"a page", b"Content-Type: text/plain", b"Cache-Control: max-age=600")
        kind = b"Content-Type: " + found.content_type.encode()
        return answer(200, found.body, kind, b"Cache-Control: max-age=60", b'ETag: "1"')


class Watch:
    """Asks for a cached page all the time, and looks at the memory of all processes."""

    def __init__(self, edge: EdgeProcess) -> None:
        self.edge = edge
        self.waits: list[float] = []
        self.peaks: dict[int, int] = {}
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=work) for work in (self._ask, self._look)]

    def __enter__(self) -> Self:
        get(self.edge, "/page")
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def p99(self) -> float:
        return sorted(self.waits)[int(len(self.waits) * 0.99)]

    def _ask(self) -> None:
        connection = http.client.HTTPConnection(*self.edge.address, timeout=PATIENCE)
        while not self._stop.is_set():
            began = time.monotonic()
            connection.request("GET", "/page")
            assert connection.getresponse().read() == b"a page"
            self.waits.append(time.monotonic() - began)
            self._stop.wait(0.005)
        connection.close()

    def _look(self) -> None:
        while not self._stop.wait(0.05):
            for stat in tree(read_stats(), self.edge.pid):
                try:
                    peak = parse_status_kib(Path(f"/proc/{stat.pid}/status").read_text(), "VmHWM")
                except (FileNotFoundError, ProcessLookupError):
                    continue
                self.peaks[stat.pid] = max(self.peaks.get(stat.pid, 0), peak * 1024)


@pytest.fixture(scope="module")
def gallery() -> Iterator[Gallery]:
    with Gallery() as origin:
        yield origin


@pytest.fixture(scope="module")
def edge(gallery: Gallery) -> Iterator[EdgeProcess]:
    config = {
        "pools": {"site": {"endpoints": [gallery.url]}},
        "routes": [{"name": "site", "pool": "site"}],
        "middleware": {"images": SETTINGS},
        "log": {"access": "off"},
    }
    with EdgeProcess(config) as process:
        yield process


def get(edge: EdgeProcess, path: str, accept: str = "*/*") -> Told:
    connection = http.client.HTTPConnection(*edge.address, timeout=PATIENCE)
    try:
        connection.request("GET", path, headers={"Accept": accept})
        told = connection.getresponse()
        return Told(told.status, {name.lower(): value for name, value in told.getheaders()}, told.read())
    finally:
        connection.close()


def complaint(name: str, sent: Hostile, told: Told) -> str | None:
    """What is wrong with an answer; None for the original, a clear refusal, or a variant where one can be made."""
    kind = told.fields.get("content-type", "")
    if 400 <= told.status < 500 and kind.startswith("text/plain") and len(told.body) < 300:
        return None
    if told.status != 200:
        return f"{name}: {told.status} {told.body[:100]!r}"
    if told.body == sent.body:
        return None if kind == sent.content_type else f"{name}: the original, but called {kind}"
    if sent.hopeless:
        return f"{name}: something was made of it, {len(told.body)} bytes of {kind}"
    try:
        if kind == "application/json":
            return None if json.loads(told.body)["width"] <= WIDTH else f"{name}: {told.body!r}"
        made = decode(told.body)
    except Exception as error:
        return f"{name}: neither the original nor a picture: {error!r}"
    return None if made.width <= WIDTH else f"{name}: {made.width} pixels wide"


def show(edge: EdgeProcess, gallery: Gallery, pictures: Mapping[str, Hostile], options: str) -> tuple[list[str], int]:
    """Ask for a variant of each, four at a time; what was wrong with the answers, the processes and the log, and how
    many variants there were."""
    paths = {name: f"/{len(gallery.pictures) + number}" for number, name in enumerate(pictures)}
    gallery.pictures.update({path.encode(): pictures[name] for name, path in paths.items()})
    before = edge.worker_pids()

    def judge(name: str) -> tuple[str | None, bool]:
        told = get(edge, f"/cdn-cgi/image/{options}{paths[name]}", "image/avif,image/webp")
        return complaint(name, pictures[name], told), told.status == 200 and told.body != pictures[name].body

    with Watch(edge) as watch, ThreadPoolExecutor(4) as clients:
        judged = list(clients.map(judge, pictures))
    wrong = [text for text, _ in judged if text]
    if watch.p99 > P99:
        wrong.append(f"a cached page took {watch.p99:.3f} s at p99, {len(watch.waits)} times asked for")
    workers = edge.worker_pids()
    if workers != before:
        wrong.append("a worker ended")
    for pid, peak in watch.peaks.items():
        most = WORKER if pid in {edge.pid, *workers} else MEMORY
        if peak > most * 1_000_000:
            wrong.append(f"process {pid} took {peak / 1e6:.0f} MB")
    if "Traceback" in edge.logs():
        wrong.append(edge.logs()[-3000:])
    return wrong, sum(made for _, made in judged)


# And how many variants come of them at least: what is harmless beside good pixels costs no variant.
FAMILIES = {
    "bombs": (hostile.bombs, 1),
    "long animations": (hostile.long_animations, 0),
    "mislabelled": (hostile.mislabelled, 3),
    "profiles and exif": (hostile.profiles_and_exif, 40),
    "other formats": (hostile.other_formats, 0),
    "truncated": (hostile.truncated, 0),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_hostile_pictures_come_as_they_are_or_are_refused(edge: EdgeProcess, gallery: Gallery, family: str) -> None:
    make, fewest = FAMILIES[family]
    wrong, made = show(edge, gallery, make(), f"width={WIDTH},format=webp")
    assert wrong == []
    assert made >= fewest


@pytest.mark.parametrize(
    ("name", "reasons"),
    [
        ("png of 400 megapixels", {"side", "pixels"}),
        ("jpeg with 30 MB behind its end", {"bytes"}),
        ("avif of 64 megapixels in a kilobyte", {"pixels"}),
        ("webp of 268 megapixels in 40 bytes", {"side", "pixels"}),
        ("gif of 10000 frames", {"frames"}),
        ("webp of 300 frames of 16 megapixels", {"frames", "pixels"}),
        ("nothing at all", {"format", "damaged"}),
        ("PSD", {"format"}),
        ("rgb.png cut in the middle", {"damaged"}),
        ("baseline.jpg cut in the middle", {"damaged"}),
    ],
)
def test_why_it_is_the_original_stands_in_a_field(
    edge: EdgeProcess, gallery: Gallery, name: str, reasons: set[str]
) -> None:
    sent = next(found[name] for make, _ in FAMILIES.values() if name in (found := make()))
    path = f"/{len(gallery.pictures)}"
    gallery.pictures[path.encode()] = sent

    told = get(edge, f"/cdn-cgi/image/width={WIDTH},format=webp{path}")

    assert (told.status, told.body) == (200, sent.body)
    assert told.fields["edgeproxy-image"] in {f"original; reason={reason}" for reason in reasons}


def test_drawings_that_are_programs_are_passed_on_untouched(edge: EdgeProcess, gallery: Gallery) -> None:
    drawings = {name: sent for name, sent in hostile.other_formats().items() if "by its own type" in name}
    assert len(drawings) == 3
    assert show(edge, gallery, drawings, f"width={WIDTH},format=auto") == ([], 0)


@pytest.mark.slow
@pytest.mark.parametrize("options", ["format=webp", "format=avif", "format=jpeg,fit=crop,height=40", "format=json"])
def test_flipped_bits_and_noise_do_no_harm(edge: EdgeProcess, gallery: Gallery, options: str) -> None:
    pictures = dict([*hostile.flipped(400), *hostile.random_bytes(200)])
    wrong, made = show(edge, gallery, pictures, f"width={WIDTH},{options}")
    assert wrong == []
    assert 50 < made < 500


@pytest.mark.slow
def test_a_picture_that_takes_too_long_is_given_up(edge: EdgeProcess, gallery: Gallery) -> None:
    slow = {f"slow {number}": Hostile(hostile.slow_jpeg(scans=3000 + number), hostile.JPEG) for number in range(3)}
    assert show(edge, gallery, slow, f"width={WIDTH},format=webp") == ([], 0)
