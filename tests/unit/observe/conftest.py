import pytest

from edgeproxy.http.message import Request, Response
from edgeproxy.pipeline.exchange import NOWHERE, Exchange, Peer
from tests.support.stages import route


@pytest.fixture
def exchange():
    """Makes an exchange that ended well; keywords set its attributes, ``headers`` and ``target`` the request's."""

    def make(target=b"/", headers=None, method=b"GET", status=200, **attributes):
        request = Request(method, target, headers or {}, host=b"example.com", authority=b"example.com")
        x = Exchange(request, Peer("192.0.2.1", 5000, "", "", None), attributes.pop("started", 100.0))
        x.route = route()
        x.response = None if status is None else Response(status)
        x.status = status or 0
        for name, value in attributes.items():
            setattr(x, name, value)
        return x

    return make


@pytest.fixture
def record():
    """Makes an exchange as it is when it is logged."""

    usual = {
        "client": "192.0.2.1",
        "id": b"r1",
        "status": 200,
        "sent": 3,
        "verdict": b"hit",
        "endpoint": "",
        "error": "",
        "ended": 100.25,
        "tags": (),
        "asked": b"",
        "place": NOWHERE,
        "agent": "",
        "identity": "",
        "score": 0,
        "choice": (),
    }

    def make(target=b"/", headers=None, method=b"GET", host=b"example.com", name="site", started=100.0, **fields):
        assert usual.keys() >= fields.keys()
        request = Request(method, target, headers or {}, host=host, authority=host)
        x = Exchange(request, Peer("192.0.2.1", 5000, "", "", None), started)
        x.route = route(name=name)
        for name, value in (usual | fields).items():
            setattr(x, name, value)
        return x

    return make
