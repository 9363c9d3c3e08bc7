import os

import pytest

from edgeproxy.observe.metrics import Metrics
from edgeproxy.observe.sink import BACKLOG, Sink


@pytest.fixture
def metrics():
    return Metrics()


@pytest.fixture
def pipe(tmp_path, metrics):
    """A FIFO with a reader, and the sink that writes to it."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    sink = Sink(str(path), metrics)
    yield reader, sink
    os.close(reader)
    os.close(sink._fd)


def dropped(metrics):
    return metrics.counter("edgeproxy_access_log_dropped_total", "").value()


def drain(reader):
    data = b""
    try:
        while chunk := os.read(reader, 1 << 20):
            data += chunk
    except BlockingIOError:
        pass
    return data


def test_lines_are_added_to_what_the_file_holds(tmp_path, metrics):
    path = tmp_path / "log"
    path.write_bytes(b"old\n")
    sink = Sink(str(path), metrics)
    sink.write(b"new\n")
    sink.close()
    assert path.read_bytes() == b"old\nnew\n"


def test_reopening_follows_the_path_after_a_rotation(tmp_path, metrics):
    path = tmp_path / "log"
    sink = Sink(str(path), metrics)
    sink.write(b"1\n")
    path.rename(tmp_path / "log.1")
    sink.write(b"2\n")
    sink.reopen()
    sink.write(b"3\n")
    sink.close()
    assert (tmp_path / "log.1").read_bytes() == b"1\n2\n"
    assert path.read_bytes() == b"3\n"


def test_when_reopening_fails_the_old_file_goes_on(tmp_path, metrics):
    folder = tmp_path / "logs"
    folder.mkdir()
    sink = Sink(str(folder / "log"), metrics)
    folder.rename(tmp_path / "moved")
    with pytest.raises(OSError, match="No such file"):
        sink.reopen()
    sink.write(b"1\n")
    sink.close()
    assert (tmp_path / "moved" / "log").read_bytes() == b"1\n"


def test_a_file_that_cannot_be_opened_is_an_error(tmp_path, metrics):
    with pytest.raises(OSError, match="No such file"):
        Sink(str(tmp_path / "missing" / "log"), metrics)


def test_a_full_pipe_never_blocks_and_loses_nothing_within_the_backlog(pipe, metrics):
    reader, sink = pipe
    lines = [b"%06d " % number + b"x" * 93 + b"\n" for number in range(5000)]
    for start in range(0, 5000, 100):
        sink.write(b"".join(lines[start : start + 100]))
    got = b""
    while len(got) < 500_000:
        got += drain(reader)
        sink.flush()
    assert got == b"".join(lines)
    assert dropped(metrics) == 0


def test_a_pipe_is_given_whole_lines_in_pieces_that_are_atomic(pipe, monkeypatch):
    _, sink = pipe
    pieces = []
    monkeypatch.setattr(os, "write", lambda fd, data: pieces.append(data) or len(data))
    sink.write(b"".join(b"x" * 1500 + b"\n" for _ in range(10)))
    assert len(pieces) == 5
    assert all(piece.endswith(b"\n") and len(piece) <= 4096 for piece in pieces)


def test_past_the_backlog_lines_are_dropped_and_counted(pipe, metrics):
    _, sink = pipe
    for _ in range(BACKLOG // 100_000 + 5):
        sink.write((b"x" * 99 + b"\n") * 1000)
    assert dropped(metrics) >= 3000
    assert len(sink._waiting) <= BACKLOG + 100_000


def test_a_full_disk_keeps_the_rest_of_the_line_for_later(tmp_path, metrics, monkeypatch):
    path = tmp_path / "log"
    sink = Sink(str(path), metrics)
    write = os.write
    outcomes = iter([3, OSError(28, "No space left on device")])

    def stingy(fd, data):
        outcome = next(outcomes, None)
        if isinstance(outcome, OSError):
            raise outcome
        return write(fd, data[:outcome])

    monkeypatch.setattr(os, "write", stingy)
    sink.write(b"first\n")
    sink.write(b"second\n")
    sink.write(b"third\n")
    sink.close()
    assert path.read_bytes() == b"first\nsecond\nthird\n"


def test_a_disk_that_is_full_is_said_once_and_so_is_its_end(tmp_path, metrics, monkeypatch, caplog):
    caplog.set_level("INFO")
    sink = Sink(str(tmp_path / "log"), metrics)

    def full(fd, data):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        sink.write(b"1\n")
        sink.write(b"2\n")
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert "No space left on device" in caplog.text
    sink.write(b"3\n")
    sink.write(b"4\n")
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    sink.close()
    assert (tmp_path / "log").read_bytes() == b"1\n2\n3\n4\n"


def test_a_full_pipe_is_not_said_where_saying_it_could_block(pipe, caplog):
    _, sink = pipe
    for _ in range(20):
        sink.write((b"x" * 99 + b"\n") * 1000)
    assert caplog.records == []


def test_past_the_backlog_the_first_line_there_is_room_for_is_kept(pipe, metrics):
    reader, sink = pipe
    while not dropped(metrics):
        sink.write((b"x" * 99 + b"\n") * 1000)
    drain(reader)
    sink.write(b"next\n")
    while sink._waiting:
        sink.flush()
        last = drain(reader)
    assert last.endswith(b"next\n")
