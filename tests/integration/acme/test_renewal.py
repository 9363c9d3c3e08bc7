from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from edgeproxy.acme.authority import Authority, Window, renewal_id
from edgeproxy.acme.failure import AcmeError
from edgeproxy.acme.renewal import Outcome
from edgeproxy.config.units import RateValue
from tests.support.acme import Node
from tests.support.ari import RenewalInformed
from tests.support.pebble import Pebble

DAY = 86_400.0


def test_a_certificate_is_ordered_once_and_can_be_served(node: Node) -> None:
    assert node.run("a.example") == Outcome(renewed=("a.example",))
    assert node.life("a.example").names == {"a.example"}
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(node.folder / "certificates" / "a.example.pem")
    before = node.pem("a.example")
    assert node.run("a.example") == Outcome()
    assert node.pem("a.example") == before


def test_it_is_renewed_with_a_new_key_when_it_is_due(node: Node) -> None:
    node.run("a.example")
    before, due = node.pem("a.example"), node.state("a.example").due
    assert due > node.clock.wall() + 50 * DAY
    node.clock.advance(due - node.clock.wall() - 10)
    assert node.run("a.example") == Outcome()
    node.clock.advance(20)
    assert node.run("a.example") == Outcome(renewed=("a.example",))
    after = node.pem("a.example")
    assert before is not None
    assert after is not None
    assert after != before
    assert after.split(b"-----END PRIVATE KEY")[0] != before.split(b"-----END PRIVATE KEY")[0]


def test_names_of_a_group_share_one(node: Node) -> None:
    node.settings["groups"] = (("a.example", "www.a.example"),)
    assert node.run("www.a.example", "a.example") == Outcome(renewed=("a.example",))
    assert node.life("www.a.example").names == {"a.example", "www.a.example"}
    assert node.pem("a.example") == node.pem("www.a.example")


def test_many_names_are_due_at_times_of_their_own(node: Node) -> None:
    names = [f"n{number}.example" for number in range(4)]
    node.run(*names)
    due = [node.state(name).due for name in names]
    assert len({round(time) for time in due}) == len(names)
    lengths = [node.life(name).ends - node.life(name).begins for name in names]
    assert all(abs(length - 90 * DAY) < 60 for length in lengths)


def test_a_refused_name_is_left_alone_longer_each_time_and_harms_no_other(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    outcome = node.run("refused.example", "a.example")
    assert outcome.renewed == ("a.example",)
    assert [name for name, _ in outcome.failed] == ["refused.example"]
    assert "refused.example: no certificate: rejectedIdentifier" in caplog.text
    state = node.state("refused.example")
    assert (state.failures, "rejectedIdentifier" in state.reason) == (1, True)
    assert state.retry == pytest.approx(node.clock.wall() + 45)
    assert node.run("refused.example", "a.example") == Outcome()
    node.clock.advance(50)
    node.run("refused.example", "a.example")
    assert node.state("refused.example").failures == 2
    assert node.state("refused.example").retry == pytest.approx(node.clock.wall() + 90)


def test_an_authority_that_is_away_leaves_what_is_there(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    node.run("a.example")
    before = node.pem("a.example")
    node.clock.advance(80 * DAY)
    reachable, node.settings["directory"] = node.settings["directory"], "https://127.0.0.1:9/dir"
    outcome = node.run("a.example", "b.example")
    assert [name for name, _ in outcome.failed] == ["b.example"]  # and nobody is asked again for the next one
    assert "cannot be asked" in outcome.failed[0][1]
    assert node.pem("a.example") == before
    assert node.run("a.example").busy == "the authority is left alone for a while"
    node.settings["directory"] = reachable
    node.clock.advance(60)
    assert set(node.run("a.example", "b.example").renewed) == {"a.example", "b.example"}
    assert node.files.read("authority.json") is None


def test_no_more_is_ordered_than_the_rate_allows(node: Node) -> None:
    node.settings["orders"] = RateValue(2, 3600.0)
    names = ("a.example", "b.example", "c.example")
    outcome = node.run(*names)
    assert len(outcome.renewed) == 2
    assert outcome.failed == (("c.example", "the rate of orders is used up"),)
    assert node.run(*names) == Outcome()
    node.clock.advance(3601)
    assert node.run(*names) == Outcome(renewed=("c.example",))


def test_names_given_are_ordered_whether_they_are_due_or_not(node: Node) -> None:
    node.run("a.example", "b.example")
    before = node.pem("a.example"), node.pem("b.example")
    assert node.run("a.example", "b.example", only=("a.example",)) == Outcome(renewed=("a.example",))
    assert node.pem("a.example") != before[0]
    assert node.pem("b.example") == before[1]


def test_a_name_asked_for_is_ordered_if_a_rule_allows_it_and_renewed_after(node: Node) -> None:
    node.settings["on_demand"] = {"allow": ["*.shop.example"]}
    node.files.prepare()
    node.files.store.want("x.shop.example")
    node.files.store.want("x.other.example")
    assert node.run() == Outcome(renewed=("x.shop.example",))
    assert node.files.store.wanted() == []
    node.clock.advance(80 * DAY)
    assert node.run() == Outcome(renewed=("x.shop.example",))
    node.settings["on_demand"] = {"allow": ["*.elsewhere.example"]}
    node.clock.advance(80 * DAY)
    assert node.run() == Outcome()


def test_names_asked_for_have_a_rate_of_their_own(node: Node) -> None:
    node.settings["on_demand"] = {"allow": ["*.shop.example"], "rate": "1/h"}
    node.files.prepare()
    for name in ("x.shop.example", "y.shop.example"):
        node.files.store.want(name)
    outcome = node.run("a.example")
    assert set(outcome.renewed) == {"a.example", "x.shop.example"}
    assert [name for name, _ in outcome.failed] == ["y.shop.example"]


def test_what_the_authority_suggests_counts_for_as_long_as_the_certificate_is_the_same(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Said in place of an authority, since this one suggests nothing."""
    node.run("a.example")
    now = node.clock.wall()
    asked: list[int] = []

    def window(_: Authority, certificate: x509.Certificate) -> Window:
        asked.append(certificate.serial_number)
        return Window(now + 10 * DAY, now + 10 * DAY, 6 * 3600.0)

    monkeypatch.setattr(Authority, "window", window)
    node.clock.advance(DAY)
    assert node.run("a.example") == Outcome()
    assert node.run("a.example") == Outcome()
    assert len(asked) == 1
    assert node.state("a.example").due == now + 10 * DAY
    node.clock.advance(9 * DAY + 1)
    assert node.run("a.example") == Outcome(renewed=("a.example",))
    assert node.state("a.example").due > now + 40 * DAY


def test_an_authority_that_cannot_be_asked_when_to_renew_holds_up_no_order(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.run("a.example", "b.example")
    asked: list[int] = []

    def window(_: Authority, certificate: x509.Certificate) -> Window:
        asked.append(certificate.serial_number)
        raise AcmeError("answered 500", whole=True)

    monkeypatch.setattr(Authority, "window", window)
    node.clock.advance(DAY)
    assert node.run("a.example", "b.example", "c.example") == Outcome(renewed=("c.example",))
    assert node.run("a.example", "b.example", "c.example") == Outcome()
    assert len(asked) == 1  # and not for each of them


def test_a_rule_that_allows_a_name_no_more_is_asked_again_the_next_day(node: Node) -> None:
    node.settings["on_demand"] = {"allow": ["*.shop.example"]}
    node.files.prepare()
    node.files.store.want("x.shop.example")
    node.run()
    node.clock.advance(80 * DAY)
    node.settings["on_demand"] = {"allow": ["*.elsewhere.example"]}
    assert node.run() == Outcome()
    node.settings["on_demand"] = {"allow": ["*.shop.example"]}
    assert node.run() == Outcome()
    node.clock.advance(DAY + 1)
    assert node.run() == Outcome(renewed=("x.shop.example",))


def test_only_one_process_of_a_node_renews(node: Node) -> None:
    node.files.prepare()
    with node.files.alone():
        assert node.run("a.example").busy == "another process of this node renews"


def test_a_revoked_certificate_is_gone_and_ordered_anew(node: Node, pebble: Pebble) -> None:
    node.run("a.example")
    serial = node.leaf("a.example").serial_number
    assert pebble.status(serial) == "Valid"
    node.renewal("a.example").revoke("a.example")
    assert pebble.status(serial) == "Revoked"
    assert node.pem("a.example") is None
    assert node.run("a.example") == Outcome(renewed=("a.example",))
    with pytest.raises(ValueError, match="no certificate"):
        node.renewal().revoke("b.example")


def test_the_account_goes_by_a_new_key(node: Node) -> None:
    node.run("a.example")
    (path,) = (node.folder / "accounts").glob("*.pem")
    before = path.read_bytes()
    node.renewal().change_account_key()
    assert path.read_bytes() != before
    assert node.run("a.example", only=("a.example",)) == Outcome(renewed=("a.example",))


def test_an_order_has_its_time(node: Node) -> None:
    node.settings["timeout"] = 10
    renewal = node.renewal("a.example")
    renewal._config = node.config.model_copy(update={"timeout": 0.001})
    outcome = renewal.run()
    assert outcome.failed == (("a.example", "no certificate within 0.001s"),)


def test_no_key_is_logged(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "edgeproxy")
    node.run("a.example", "refused.example")
    key = (node.pem("a.example") or b"").decode().splitlines()[1]
    assert key not in caplog.text
    assert "PRIVATE" not in caplog.text


@pytest.fixture
def informed(pebble: Pebble, tmp_path: Path) -> Iterator[RenewalInformed]:
    (tmp_path / "front").mkdir()
    with RenewalInformed(pebble, tmp_path / "front") as front:
        yield front


@pytest.fixture
def asking(pebble: Pebble, informed: RenewalInformed, tmp_path: Path) -> Node:
    """A node whose authority knows of renewals."""
    return Node(pebble, tmp_path / "acme", directory=informed.directory, ca=str(informed.ca))


def replaced(informed: RenewalInformed) -> list[str | None]:
    return [order.get("replaces") for order in informed.orders]


def test_an_order_says_which_certificate_it_replaces(asking: Node, informed: RenewalInformed) -> None:
    asking.settings["groups"] = (("a.example", "www.a.example"),)
    assert asking.run("a.example", "www.a.example").renewed == ("a.example",)
    first = renewal_id(asking.leaf("a.example"))
    asking.clock.advance(80 * DAY)
    assert asking.run("a.example", "www.a.example").renewed == ("a.example",)
    assert renewal_id(asking.leaf("a.example")) != first
    assert replaced(informed) == [None, first]
    names = [{"type": "dns", "value": name} for name in ("a.example", "www.a.example")]
    assert [order["identifiers"] for order in informed.orders] == [names, names]


@pytest.mark.parametrize("refusal", [(409, "alreadyReplaced"), (404, "malformed"), (403, "unauthorized")])
def test_one_that_may_not_replace_it_is_asked_for_without(
    asking: Node, informed: RenewalInformed, refusal: tuple[int, str]
) -> None:
    asking.run("a.example")
    first = renewal_id(asking.leaf("a.example"))
    informed.refusal = refusal
    assert asking.run("a.example", only=("a.example",)) == Outcome(renewed=("a.example",))
    assert replaced(informed) == [None, first, None]


def test_another_refusal_stands(asking: Node, informed: RenewalInformed) -> None:
    asking.run("a.example")
    informed.refusal = (429, "rateLimited")
    assert asking.run("a.example", only=("a.example",)).failed == (("a.example", "rateLimited: replaces"),)
    assert len(informed.orders) == 2


def test_an_authority_that_knows_of_no_renewals_is_not_told(asking: Node, informed: RenewalInformed) -> None:
    informed.known = False
    asking.run("a.example")
    asking.run("a.example", only=("a.example",))
    assert replaced(informed) == [None, None]
