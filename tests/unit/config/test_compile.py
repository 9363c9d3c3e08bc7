from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import Field, SecretStr

from edgeproxy.config.compile import activate, compile_config
from edgeproxy.config.errors import ConfigErrors
from edgeproxy.config.load import load_text, placed
from edgeproxy.config.schema import Config
from edgeproxy.config.snapshot import Snapshot
from edgeproxy.config.stages import GROUP, Discovered, Stages, arrange, chosen
from edgeproxy.config.values import File
from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.message import Request, Response
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig, Services
from tests.support import stages


class Recording(Middleware):
    """A stage that notes what becomes of it."""

    events: ClassVar[list[str]] = []

    async def start(self) -> None:
        self.events.append(f"start {self.name}")

    async def stop(self) -> None:
        self.events.append(f"stop {self.name}")

    def request(self, x: Exchange) -> Response | None:
        return None


class First(Recording):
    name = "first"


class Limit(Recording):
    name = "limit"

    class Config(MiddlewareConfig):
        rate: int = Field(ge=1)
        burst: int = 1
        key: SecretStr = SecretStr("k")


class Reads(Recording):
    name = "reads"

    class Config(MiddlewareConfig):
        file: File

    def __init__(self, config: Config, services: Services) -> None:
        super().__init__(config, services)
        self.text = Path(config.file).read_text()
        if self.text == "bad":
            raise ValueError("the file makes no sense")


class Fails(Recording):
    name = "fails"

    async def start(self) -> None:
        await super().start()
        raise RuntimeError("no start")


class Hands(Recording):
    name = "hands"

    class Config(MiddlewareConfig):
        to: tuple[str, ...]

    def hands_over_to(self) -> Iterable[str]:
        return self.config.to  # type: ignore[no-any-return]


class Asks(Recording):
    """Asks models if it is told to."""

    name = "asks"

    class Config(MiddlewareConfig):
        asks: bool = False

    @classmethod
    def asks_models(cls, config: Any) -> bool:
        return bool(config.asks)


class Cache(Recording):
    name = "cache"


STAGES: dict[str, type[Middleware]] = {stage.name: stage for stage in (First, Limit, Reads, Fails, Hands, Asks, Cache)}
DISCOVERED = Discovered(STAGES, tuple(STAGES), frozenset(("first", "cache")))

TEXT = """
listeners: [{address: ":8080"}]
middleware: {limit: {rate: 1}}
pools:
  near: {endpoints: [http://127.0.0.1:1], fallback: far}
  far: {endpoints: [http://127.0.0.1:2]}
  other: {endpoints: [http://127.0.0.1:3]}
routes:
  - {name: api, pool: near, match: {path: /api}, middleware: {limit: {burst: 2}, cache: off}}
  - {name: plain, pool: other, match: {path: /plain}, middleware: {limit: off}}
  - {name: all, pool: near}
"""


@pytest.fixture(autouse=True)
def events() -> list[str]:
    Recording.events.clear()
    return Recording.events


@pytest.fixture
def services() -> Services:
    return stages.services()


def load(text: str, env: Mapping[str, str] | None = None, file: str = "edge.yaml") -> Config:
    return load_text(text, file, env or {}, DISCOVERED)


def build(services: Services, text: str = TEXT, previous: Snapshot | None = None) -> Snapshot:
    return compile_config(load(text), services, previous, stages=DISCOVERED)


def at(snapshot: Snapshot, path: str) -> Any:
    return snapshot.route(Request(b"GET", path.encode(), {}, host=b"www.example.com"))


def names(route: Any) -> list[str]:
    return [stage.name for stage in route.chain.stages]


def test_routes_have_their_stages_in_order(services: Services) -> None:
    snapshot = build(services)
    assert names(at(snapshot, "/api/x")) == ["first", "limit"]
    assert names(at(snapshot, "/plain")) == ["first", "cache"]
    assert names(at(snapshot, "/")) == ["first", "limit", "cache"]


def test_settings_of_a_route_go_over_the_global_ones_key_by_key(services: Services) -> None:
    snapshot = build(services)
    limits = {path: at(snapshot, path).chain.stages[1].config for path in ("/api", "/")}
    assert (limits["/api"].rate, limits["/api"].burst) == (1, 2)
    assert (limits["/"].rate, limits["/"].burst) == (1, 1)


def test_same_stage_with_same_settings_is_shared_by_routes(services: Services) -> None:
    snapshot = build(services)
    assert at(snapshot, "/").chain.stages[0] is at(snapshot, "/api").chain.stages[0]
    assert at(snapshot, "/").chain.stages[1] is not at(snapshot, "/api").chain.stages[1]


@pytest.mark.parametrize(
    ("match", "partition"),
    [
        ("{}", b""),
        ("{host: a.example, path: /x, path_regex: y}", b""),
        ("{method: POST}", b""),  # it fills nothing
        ("{method: [GET, POST]}", b""),  # takes HEAD too, so every GET and HEAD
        ("{method: HEAD}", b"one"),
        ("{header: {x-beta: '1'}}", b"one"),
        ("{method: GET, header: {x-beta: '*'}}", b"one"),
    ],
)
def test_a_route_has_a_part_of_the_cache_to_itself_if_more_than_the_url_selects_it(
    services: Services, match: str, partition: bytes
) -> None:
    snapshot = build(services, TEXT.partition("routes:")[0] + f"routes: [{{name: one, pool: near, match: {match}}}]")
    request = Request(
        b"HEAD" if "HEAD" in match else b"POST" if "POST" in match else b"GET", b"/x/y", {b"x-beta": b"1"}
    )
    request.host = b"a.example"
    assert snapshot.route(request).partition == partition


def test_no_two_routes_share_a_part_of_the_cache_for_one_url(services: Services) -> None:
    conditions = [
        "",
        "method: GET",
        "method: HEAD",
        "method: POST",
        "header: {a: '*'}",
        "header: {b: '1'}, method: GET",
    ]
    paths = ["", "path: /x", "path_exact: /x/y", "path_regex: y$"]
    matches = [f"{{{', '.join(filter(None, both))}}}" for both in product(conditions, paths)]
    routes = [f"  - {{name: r{number}, pool: near, match: {match}}}\n" for number, match in enumerate(matches)]
    snapshot = build(services, TEXT.partition("routes:")[0] + "routes:\n" + "".join(routes))
    fields: list[dict[bytes, bytes]] = [{}, {b"a": b"1"}, {b"b": b"1"}, {b"a": b"1", b"b": b"1"}]
    for path in (b"/", b"/x", b"/x/y", b"/z/y"):
        owners: dict[bytes, str] = {}
        for method, headers in product((b"GET", b"HEAD"), fields):
            route = snapshot.route(Request(method, path, headers, host=b"a.example"))
            assert owners.setdefault(route.partition, route.name) == route.name


async def test_what_no_route_matches_passes_the_global_stages_but_not_the_cache(services: Services) -> None:
    snapshot = build(services, TEXT.replace("- {name: all, pool: near}", ""))
    unrouted = at(snapshot, "/nowhere")
    assert names(unrouted) == ["first", "limit"]
    with pytest.raises(EdgeError) as raised:
        await unrouted.origin.fetch(stages.exchange(b"/nowhere"))
    assert raised.value.kind is Kind.NO_ROUTE


def test_observers_stand_at_the_end_of_every_chain(services: Services) -> None:
    def observe(x: Exchange) -> None: ...

    snapshot = compile_config(load(TEXT), services, None, (observe,), DISCOVERED)
    assert [route.chain.log for route in (at(snapshot, "/"), at(snapshot, "/api"), snapshot.unrouted)] == [
        (observe,)
    ] * 3


def test_unchanged_stages_and_pools_are_taken_over(services: Services) -> None:
    before = build(services)
    after = build(services, TEXT.replace("rate: 1", "rate: 5"), before)
    assert at(after, "/").chain.stages[0] is at(before, "/").chain.stages[0]
    assert at(after, "/").chain.stages[1] is not at(before, "/").chain.stages[1]
    assert after.pools == before.pools


def test_pool_is_built_anew_when_what_it_falls_back_on_changed(services: Services) -> None:
    before = build(services)
    after = build(services, TEXT.replace("127.0.0.1:2", "127.0.0.1:4"), before)
    assert after.pools["other"] is before.pools["other"]
    assert after.pools["far"] is not before.pools["far"]
    assert after.pools["near"].fallback is after.pools["far"]
    assert before.pools["near"].fallback is before.pools["far"]


def test_other_secret_is_another_stage_and_stands_in_no_key(services: Services) -> None:
    text = TEXT.replace("rate: 1", "rate: 1, key: '${KEY}'")
    before = compile_config(load(text, {"KEY": "one-secret"}), services, stages=DISCOVERED)
    after = compile_config(load(text, {"KEY": "two-secret"}), services, before, stages=DISCOVERED)
    assert at(after, "/").chain.stages[1] is not at(before, "/").chain.stages[1]
    assert "secret" not in str(sorted(after.stages))


def test_failure_in_building_has_its_place_and_leaves_the_last_snapshot(services: Services, tmp_path: Path) -> None:
    before = build(services)
    (tmp_path / "a.txt").write_text("bad")
    text = TEXT.replace("limit: off", "reads: {file: a.txt}")
    file = str(tmp_path / "edge.yaml")
    config = load(text, file=file)
    known, pools = dict(before.stages), dict(before.pools)
    with pytest.raises(ConfigErrors) as raised:
        compile_config(config, services, before, stages=DISCOVERED)
    line = text.split("\n")[9]
    place = f"{file}:10:{line.index('reads') + 1}"
    assert str(placed(raised.value, text, file, {})) == f"{place}: routes[1].middleware.reads: the file makes no sense"
    assert (before.stages, before.pools) == (known, pools)


def test_routes_that_may_take_over_must_be_there(services: Services) -> None:
    build(services, TEXT.replace("limit: off", "hands: {to: [api, all]}"))
    with pytest.raises(ConfigErrors, match="on route 'plain': there is no route 'slow'"):
        build(services, TEXT.replace("limit: off", "hands: {to: [api, slow]}"))


def test_models_are_made_for_stages_that_ask_them_and_those_made_anew_with_them(services: Services) -> None:
    idle = build(services, TEXT.replace("limit: off", "asks: {}"))
    assert idle.models is None
    asking = TEXT.replace("limit: off", "asks: {asks: true}")
    before = build(services, asking)
    assert before.models is not None
    same, other = build(services, asking, before), build(services, asking + "models: {poll: 1m}\n", before)
    stages = [
        next(stage for stage in at(each, "/plain").chain.stages if stage.name == "asks")
        for each in (before, same, other)
    ]
    assert same.models is before.models
    assert stages[1] is stages[0]
    assert other.models is not before.models
    assert stages[2] is not stages[0]


def test_pools_that_ask_a_model_get_it_and_are_made_anew_with_the_models(services: Services) -> None:
    asking = TEXT.replace("http://127.0.0.1:2]", "http://127.0.0.1:2], balance: learned")
    before = build(services, asking)
    assert before.models is not None
    assert before.pools["far"].learning is not None
    assert before.pools["other"].learning is None
    same, other = build(services, asking, before), build(services, asking + "models: {poll: 1m}\n", before)
    assert (same.models, same.pools) == (before.models, before.pools)
    assert other.models is not before.models
    assert [name for name, pool in other.pools.items() if pool is before.pools[name]] == ["other"]


def test_a_model_that_a_pool_cannot_ask_is_told_with_its_place(services: Services) -> None:
    asking = "http://127.0.0.1:2], balance: learned, learned: {model: %s}"
    for name, why in (("origin-latenzy", "there is no model 'origin-latenzy'"), ("digits", "does not take")):
        with pytest.raises(ConfigErrors, match=f"pools.far.learned.model: .*{why}"):
            build(services, TEXT.replace("http://127.0.0.1:2]", asking % name))


def test_relative_files_of_stages_start_at_the_configurations_folder(services: Services, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("good")
    config = load(TEXT.replace("limit: off", "reads: {file: a.txt}"), file=str(tmp_path / "edge.yaml"))
    route = at(compile_config(config, services, stages=DISCOVERED), "/plain")
    assert next(stage.text for stage in route.chain.stages if stage.name == "reads") == "good"


async def test_activation_starts_new_parts_swaps_then_stops_old_ones(services: Services, events: list[str]) -> None:
    before = build(services)
    await activate(before, None)
    assert sorted(events) == ["start cache", "start first", "start limit", "start limit"]
    events.clear()
    after = build(services, TEXT.replace("rate: 1", "rate: 5"), before)
    await activate(after, before, lambda new: events.append("swap"))
    assert events == ["start limit", "start limit", "swap", "stop limit", "stop limit"]
    await activate(build(services, TEXT, after), after)


async def test_failed_start_is_undone_and_nothing_is_swapped(services: Services, events: list[str]) -> None:
    before = build(services)
    await activate(before, None)
    events.clear()
    broken = build(services, TEXT.replace("limit: off", "fails: on"), before)
    with pytest.raises(RuntimeError, match="no start"):
        await activate(broken, before, lambda new: events.append("swap"))
    assert events == ["start fails", "stop fails"]


def test_stages_unknown_to_the_order_stand_before_the_cache_or_where_they_ask() -> None:
    class Asking(Middleware):
        before = "limit"

    known = {name: STAGES[name] for name in ("first", "limit", "reads", "fails", "cache")}
    stages = {**known, "zulu": Middleware, "alpha": Middleware, "asking": Asking}
    order = ["first", "limit", "gone", "cache"]
    assert arrange(stages, order) == ("first", "asking", "limit", "alpha", "fails", "reads", "zulu", "cache")
    assert arrange({"alpha": Middleware}, []) == ("alpha",)


def test_route_can_put_back_what_is_off_everywhere() -> None:
    assert list(chosen(DISCOVERED, {"first": False, "cache": False}, {"first": True})) == ["first"]
    assert chosen(DISCOVERED, {"limit": {"rate": 1}, "first": False}, {"limit": True})["limit"] == {"rate": 1}


def test_stage_that_cannot_be_loaded_is_an_error_until_it_is_off() -> None:
    """It may be one that is on by default and guards something: to go on without it takes a word."""
    gone = EntryPoint("gone", "no_such_module_anywhere:Stage", GROUP)
    here = [EntryPoint(name, f"{__name__}:{kind.__name__}", GROUP) for name, kind in STAGES.items()]
    order = (*DISCOVERED.order, "gone")
    discovered = Discovered(Stages([*here, gone]), order, DISCOVERED.on | {"gone"})
    with pytest.raises(ConfigErrors, match="middleware: gone is installed, but cannot be loaded: ModuleNotFoundError"):
        load_text(TEXT, stages=discovered)
    with pytest.raises(ConfigErrors, match=r"routes\[1\]\.middleware\.gone: installed, but cannot be loaded: Module"):
        load_text(TEXT.replace("limit: off", "gone: on"), stages=discovered)
    off = TEXT.replace("middleware: {limit: {r", "middleware: {gone: off, limit: {r")
    assert load_text(off, stages=discovered).middleware["gone"] is False
