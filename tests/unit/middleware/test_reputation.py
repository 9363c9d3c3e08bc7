"""The stage that knows addresses of bad repute."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from edgeproxy.http.message import Response
from middleware.reputation import Reputation
from tests.support.stages import exchange, route, services, stage


@pytest.fixture
def lists(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "drop.json").write_text('{"cidr":"192.0.2.0/24","sblid":"SBL1","rir":"arin"}\n{"type":"metadata"}\n')
    (tmp_path / "level1.netset").write_text("# bogons too\n10.0.0.0/8\n192.0.2.7\n127.0.0.0/8\n")
    return {"drop": str(tmp_path / "drop.json"), "level1": str(tmp_path / "level1.netset")}


def test_who_is_in_a_feed_is_refused_and_counted(lists: dict[str, str]) -> None:
    lent = services()
    made = stage(Reputation, {"feeds": [{"name": "drop", "file": lists["drop"]}]}, lent)
    x = exchange()
    answer = made.request(x)
    assert isinstance(answer, Response)
    assert (answer.status, answer.get(b"cache-control")) == (403, b"no-store")
    assert answer.body == b"403 This address is known for abuse.\n"
    assert x.feeds == ("drop",)
    assert made.request(exchange(client="192.0.3.1")) is None
    assert lent.metrics.counter("edgeproxy_refused_total", "", ("stage",)).value("reputation") == 1
    assert lent.metrics.counter("edgeproxy_feed_matches_total", "", ("feed",)).value("drop") == 1


def test_feeds_have_actions_of_their_own(lists: dict[str, str]) -> None:
    feeds = [{"name": "drop", "file": lists["drop"], "action": "limit"}]
    feeds.append({"name": "level1", "file": lists["level1"], "action": "challenge"})
    made = stage(Reputation, {"feeds": feeds})
    both, one = exchange(), exchange(client="192.0.2.8")
    assert made.request(both) is None
    assert made.request(one) is None
    assert (both.feeds, both.treatment) == (("drop", "level1"), "challenge")
    assert (one.feeds, one.treatment) == (("drop",), "limit")


@pytest.mark.parametrize("client", ["10.1.2.3", "127.0.0.1"])
def test_private_networks_are_spared_unless_others_are_named(lists: dict[str, str], client: str) -> None:
    feed = {"name": "level1", "file": lists["level1"]}
    assert stage(Reputation, {"feeds": [feed]}).request(exchange(client=client)) is None
    assert stage(Reputation, {"feeds": [feed], "except": "192.0.2.7"}).request(exchange(client=client)) is not None
    assert stage(Reputation, {"feeds": [feed], "except": "192.0.2.7"}).request(exchange()) is None


def test_observing_it_marks_and_counts_and_does_nothing_else(lists: dict[str, str]) -> None:
    lent = services()
    feeds = [{"name": name, "file": file, "action": "challenge"} for name, file in lists.items()]
    made = stage(Reputation, {"mode": "observe", "feeds": [*feeds, {"name": "x", "file": lists["drop"]}]}, lent)
    x = exchange()
    hook, _ = route([made]).chain.inline[0]
    assert hook(x) is None
    assert (x.feeds, x.treatment) == (("drop", "level1", "x"), "")
    assert lent.metrics.counter("edgeproxy_observed_total", "", ("stage",)).value("reputation") == 1


def test_the_metrics_tell_how_large_and_old_feeds_are(lists: dict[str, str]) -> None:
    lent = services()
    kept = stage(Reputation, {"feeds": [{"name": name, "file": file} for name, file in lists.items()]}, lent)
    found = {family["name"]: family for family in lent.metrics.dump()}
    assert found["edgeproxy_feed_networks"]["series"] == [(["drop"], [1]), (["level1"], [3])]
    assert found["edgeproxy_feed_age_seconds"]["series"] == [(["drop"], [0]), (["level1"], [0])]
    assert {found[f"edgeproxy_feed_{name}"]["merge"] for name in ("networks", "age_seconds")} == {"max"}
    assert kept.config.feeds


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("<html>")
    with pytest.raises(ValueError, match="bad cannot be used"):
        stage(Reputation, {"feeds": [{"name": "x", "file": str(tmp_path / "bad")}]})


def test_a_url_is_not_asked_where_nothing_is_served() -> None:
    made = stage(Reputation, {"feeds": [{"name": "x", "url": "https://lists.example/x"}]})
    assert made.request(exchange()) is None


def test_a_folder_that_may_not_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    feed = {"name": "x", "url": "https://lists.example/x"}
    with pytest.raises(ValueError, match="no folder that may be written"):
        stage(Reputation, {"feeds": [feed], "folder": str(tmp_path / "file" / "below")})
    stage(Reputation, {"feeds": [feed], "folder": str(tmp_path / "made" / "later")}, replace(services()))


SECRET = "https://user:verysecret@lists.example/x"


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"feeds": []},
        {"feeds": [{"name": "x"}]},
        {"feeds": [{"name": "x", "url": "https://lists.example/x", "file": "x"}]},
        {"feeds": [{"name": "x", "url": "http://lists.example/x"}]},
        {"feeds": [{"name": "x", "url": "ftp://lists.example/x"}]},
        {"feeds": [{"name": "x", "url": "https://[::1/x"}]},
        {"feeds": [{"name": "x", "url": SECRET}]},
        {"feeds": [{"name": "x", "url": "https://lists.example/x", "refresh": "5m"}]},
        {"feeds": [{"name": "x", "url": "https://lists.example/x", "action": "block"}]},
        {"feeds": [{"name": "../x", "url": "https://lists.example/x"}]},
        {"feeds": [{"name": "x", "url": "https://lists.example/x"}] * 2},
        {"feeds": [{"name": "x", "url": "https://lists.example/x"}], "folder": "relative"},
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        stage(Reputation, settings)


def test_a_url_with_a_password_is_not_quoted() -> None:
    with pytest.raises(ValidationError) as caught:
        stage(Reputation, {"feeds": [{"name": "x", "url": SECRET}]})
    assert "verysecret" not in str(caught.value.errors(include_input=False)[0]["msg"])


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/x", "http://localhost/x", "http://[::1]/x"])
def test_what_does_not_leave_the_machine_needs_no_tls(url: str) -> None:
    stage(Reputation, {"feeds": [{"name": "x", "url": url}]})
    stage(Reputation, {"feeds": [{"name": "x", "url": "http://lists.example/x", "allow_http": True}]})
