import pytest

from edgeproxy.http.message import Request, Response
from edgeproxy.pipeline.exchange import Exchange, Peer


class Route:
    name = "site"


@pytest.fixture
def exchange():
    """Makes an exchange that ended well; keywords set its attributes, ``headers`` and ``target`` the request's."""

    def make(target=b"/", headers=None, method=b"GET", status=200, **attributes):
        request = Request(method, target, headers or {}, host=b"example.com", authority=b"example.com")
        x = Exchange(request, Peer("192.0.2.1", 5000, "", "", None), attributes.pop("started", 100.0))
        x.route = Route()
        x.response = None if status is None else Response(status)
        for name, value in attributes.items():
            setattr(x, name, value)
        return x

    return make


@pytest.fixture
def record():
    """Makes one record of an exchange."""

    usual = {
        "client": "192.0.2.1",
        "id": b"r1",
        "status": 200,
        "sent": 3,
        "verdict": b"hit",
        "route": "site",
        "endpoint": "",
        "error": "",
        "started": 100.0,
        "ended": 100.25,
        "tags": (),
    }

    def make(target=b"/", headers=None, method=b"GET", host=b"example.com", **fields):
        assert usual.keys() >= fields.keys()
        return (Request(method, target, headers or {}, host=host, authority=host), *(usual | fields).values())

    return make
