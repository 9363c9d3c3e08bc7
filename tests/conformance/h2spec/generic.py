"""What every server does with a client that keeps the rules."""

from __future__ import annotations

from tests.conformance.h2spec.steps import (
    acknowledged,
    answered,
    case,
    content,
    data,
    ended,
    go_away,
    greeted,
    head,
    ponged,
    ponged_or_closed,
    preface,
    priority,
    reset,
    section,
    settings,
    window,
)
from tests.conformance.h2spec.wire import (
    ENABLE_PUSH,
    HEADER_TABLE_SIZE,
    INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS,
    MAX_FRAME_SIZE,
    MAX_HEADER_LIST_SIZE,
    Code,
)

NO_WINDOW = settings((INITIAL_WINDOW_SIZE, 0))

# HPACK literals: an agent by the name's text and by its Huffman code, a name of its own likewise.
AGENT = bytes.fromhex("0a 757365722d6167656e74 06 683273706563")
AGENT_CODED = bytes.fromhex("87 b505b161cc5a93 84 9c48aca4")
NEW = bytes.fromhex("06 782d74657374 06 683273706563")
NEW_CODED = bytes.fromhex("85 f2b24a84ff 84 9c48aca4")
INDEXED, UNINDEXED, NEVER_INDEXED = b"\x40", b"\x00", b"\x10"
ALL_SETTINGS = settings(
    (HEADER_TABLE_SIZE, 4096),
    (ENABLE_PUSH, 1),
    (MAX_CONCURRENT_STREAMS, 100),
    (INITIAL_WINDOW_SIZE, 65535),
    (MAX_FRAME_SIZE, 16384),
    (MAX_HEADER_LIST_SIZE, 100),
)

CASES = (
    case("generic/1/1", "a connection preface", preface, greeted, begun=False),
    case("generic/2/1", "PRIORITY on an idle stream", priority(1), ponged()),
    case("generic/2/2", "WINDOW_UPDATE on a half-closed stream", NO_WINDOW, head(), window(1, 1), content()),
    case("generic/2/3", "PRIORITY on a half-closed stream", NO_WINDOW, head(), priority(1), window(1, 1), content()),
    case("generic/2/4", "RST_STREAM on a half-closed stream", head(), reset(), ponged_or_closed()),
    case("generic/2/5", "PRIORITY on a closed stream", head(), ended(), priority(1), ponged()),
    case("generic/3.1/1", "DATA", head(method="POST", end=False), data(), answered()),
    case("generic/3.1/2", "DATA twice", head(method="POST", end=False), data(end=False), data(), answered()),
    case("generic/3.1/3", "DATA with padding", head(method="POST", end=False), data(padding=5), answered()),
    case("generic/3.2/1", "HEADERS", head(), answered()),
    case("generic/3.2/2", "HEADERS with padding", head(padding=8), answered()),
    case("generic/3.2/3", "HEADERS with a priority", head(depends=0), answered()),
    case("generic/3.3/1", "PRIORITY, weight 1", priority(1, weight=0), head(), answered()),
    case("generic/3.3/2", "PRIORITY, weight 256", priority(1), head(), answered()),
    case("generic/3.3/3", "PRIORITY on another stream", priority(3, on=1, weight=0), head(), answered()),
    case("generic/3.3/4", "PRIORITY, exclusive", priority(1, weight=0, exclusive=True), head(), answered()),
    case("generic/3.3/5", "PRIORITY, then HEADERS of a lower stream", priority(3), head(), answered()),
    case("generic/3.4/1", "RST_STREAM", head(end=False), reset(), ponged_or_closed()),
    case("generic/3.5/1", "SETTINGS", ALL_SETTINGS, acknowledged),
    case("generic/3.7/1", "PING", ponged(b"edgeprox")),
    case("generic/3.8/1", "GOAWAY", go_away(Code.NO_ERROR, b"h2spec"), ponged_or_closed()),
    case("generic/3.9/1", "WINDOW_UPDATE of the connection", window(0, 1), ponged()),
    case("generic/3.9/2", "WINDOW_UPDATE of a stream", head(), window(1, 1), answered()),
    case("generic/3.10/1", "CONTINUATION", head(cut=(5,)), answered()),
    case("generic/3.10/2", "CONTINUATION twice", head(cut=(5, 10)), answered()),
    case("generic/4/1", "a GET", head(), answered()),
    case("generic/4/2", "a HEAD", head(method="HEAD"), answered()),
    case("generic/4/3", "a POST", head(method="POST", end=False), data(), answered()),
    case(
        "generic/4/4",
        "a POST with trailers",
        head(1, ("trailer", "x-test"), method="POST", end=False),
        data(end=False),
        section(1, ("x-test", "ok")),
        answered(),
    ),
    case("generic/5/1", "an indexed field", head(behind=b"\xba"), answered()),
    case("generic/5/2", "a literal to be indexed, known name", head(behind=INDEXED + AGENT), answered()),
    case("generic/5/3", "the same in Huffman code", head(behind=INDEXED + AGENT_CODED), answered()),
    case("generic/5/4", "a literal to be indexed, new name", head(behind=INDEXED + NEW), answered()),
    case("generic/5/5", "the same in Huffman code", head(behind=INDEXED + NEW_CODED), answered()),
    case("generic/5/6", "a literal not indexed, known name", head(behind=UNINDEXED + AGENT), answered()),
    case("generic/5/7", "the same in Huffman code", head(behind=UNINDEXED + AGENT_CODED), answered()),
    case("generic/5/8", "a literal not indexed, new name", head(behind=UNINDEXED + NEW), answered()),
    case("generic/5/9", "the same in Huffman code", head(behind=UNINDEXED + NEW_CODED), answered()),
    case("generic/5/10", "a literal never indexed, known name", head(behind=NEVER_INDEXED + AGENT), answered()),
    case("generic/5/11", "the same in Huffman code", head(behind=NEVER_INDEXED + AGENT_CODED), answered()),
    case("generic/5/12", "a literal never indexed, new name", head(behind=NEVER_INDEXED + NEW), answered()),
    case("generic/5/13", "the same in Huffman code", head(behind=NEVER_INDEXED + NEW_CODED), answered()),
    case("generic/5/14", "a change of the table's size", head(before=bytes.fromhex("3f61")), answered()),
    case("generic/5/15", "two changes of the table's size", head(before=bytes.fromhex("3f61 3fe11f")), answered()),
)
