"""Which variant of which picture a request asks for: by the prefix, by its query, or by what it says it can show.

What every request passes; whatever can be told from the request's bytes alone is worked out once and remembered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import unquote_to_bytes

from edgeproxy.http.forwarded import forwarded_element
from edgeproxy.http.media import media_matcher
from edgeproxy.http.message import Request, Response
from edgeproxy.http.negotiate import vary_on
from edgeproxy.images import asked, choice, options
from edgeproxy.images.asked import Picture, UrlError
from edgeproxy.images.choice import AUTOMATIC, Rules
from edgeproxy.images.options import OptionError, Options
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.memo import Memo

FIELD: Final = b"edgeproxy-image"  # says why an answer is the original: ``original; reason=pixels``

MOST: Final = 4096  # URLs, queries and kinds of clients remembered, each
PARAMETERS: Final = 256  # of a query that are looked at; more are a query like any other

_SECRETS: Final = (b"cookie", b"authorization", b"proxy-authorization")
_NAMES: Final = frozenset((*options.NAMES, *options.ALIASES))

# How the wishes in a query are told from those in a path, in which neither of these can stand.
_IN_QUERY: Final = b"?"
_CHOSEN_FOR: Final = b"\0"


class Wish:
    """What one way of writing asks for: ``facet`` where that is settled, else the request ``fields`` it goes by.
    ``why``: the sentence it is refused with, "" if it is not."""

    __slots__ = ("facet", "fields", "mark", "name", "options", "redirect", "settled", "why")

    def __init__(self, name: bytes, wanted: Options, rules: Rules, why: str = "") -> None:
        self.name = name
        self.mark = name + b"\n"  # which no part of a request's head can hold
        self.options = wanted
        self.why = why
        self.redirect: bool = wanted.redirect
        self.fields: tuple[bytes, ...] = choice.consulted(wanted, rules)
        self.settled: frozenset[bytes] = frozenset(self.fields)
        self.facet: bytes = b"" if self.fields else options.write(choice.choose(wanted, rules, {}))


class Asked:
    """One target, or one query, taken apart: the wish in it, None if there is none, and what it is without. ``why`` as
    a wish has it."""

    __slots__ = ("picture", "rest", "why", "wish")

    def __init__(self, wish: Wish | None, picture: Picture | None = None, rest: bytes = b"", why: str = "") -> None:
        self.wish = wish
        self.picture = picture
        self.rest = rest
        self.why = why if wish is None else wish.why


class Front:
    """One stage's way in.

    ``prefix`` begins the paths that hold options, b"" for none; ``query``: whether queries hold some; ``extensions``,
    with their dots: of the paths that a variant is chosen for unasked. ``may_use``: whether the second request's
    picture may be a source for the exchange. ``would`` is told of each variant asked for in place of anything being
    done to the request; None to do it. ``accept_ch``: what HTML pages are to ask browsers for, b"" for nothing.
    """

    def __init__(
        self,
        rules: Rules,
        prefix: bytes,
        query: bool,
        extensions: frozenset[bytes],
        accept_ch: bytes,
        may_use: Callable[[Exchange, Request], bool],
        refuse: Callable[[int, str], Response],
        would: Callable[[], None] | None,
    ) -> None:
        self._rules = rules
        self._prefix = prefix
        self._query = query
        self._extensions = extensions
        # How they end, in either case: most paths need no further look.
        self._endings = frozenset([ending for name in extensions for ending in (name[-1:], name[-1:].upper())])
        self._accept_ch = accept_ch
        self._may_use = may_use
        self._refuse = refuse
        self._would = would
        self._automatic = Wish(_CHOSEN_FOR, AUTOMATIC, rules)
        self._wishes: Memo[bytes, Wish] = Memo(self._wish, MOST)
        self._targets: Memo[bytes, Asked] = Memo(self._target, MOST)
        self._queries: Memo[bytes, Asked] = Memo(self._taken_apart, MOST)
        self._facets: Memo[bytes, bytes] = Memo(self._facet, MOST)
        # What nearly all requests ask for who say nothing but what they take: by that alone.
        self._usual: Memo[bytes, bytes] = Memo(self._by_accept, MOST)
        self._unusual = tuple([name for name in self._automatic.fields if name != choice.ACCEPT])
        self._is_page: Memo[bytes, bool] = Memo(media_matcher(("text/html",)), 256, longest=128)
        self._varies: dict[frozenset[bytes], bytes] = {}

    def request(self, x: Exchange) -> Response | None:
        """Have the exchange ask for the picture itself, with the facet that is the variant; or say why not."""
        request = x.request
        if request.method != b"GET" and request.method != b"HEAD":
            return None
        if self._prefix and request.target.startswith(self._prefix):
            return self._by_path(x, self._targets[request.target])
        chosen_for = self._is_chosen_for(request.path)
        if self._query and request.query:
            found = self._queries[_CHOSEN_FOR + request.query if chosen_for else request.query]
            if found.wish is not None:
                return self._by_query(x, found.wish, found.rest)
        if chosen_for:
            headers = request.headers
            for name in self._unusual:
                if name in headers:
                    self._settle(x, self._automatic)
                    return None
            self._take(x, self._usual[headers.get(choice.ACCEPT, b"")], self._automatic)
        return None

    def response(self, x: Exchange, response: Response) -> None:
        """Tell what the answer was chosen by, though what is kept under the facet need not be told apart by it."""
        if self._accept_ch and self._is_page[response.get(b"content-type") or b""]:
            response.set(b"accept-ch", self._accept_ch)
        settled = x.settled
        if x.asked or (not settled and self._is_chosen_for(x.request.path)):
            wish = self._wish_of(x)
            if wish is None:
                return
            settled = wish.settled
            if wish.redirect and response.get(FIELD) is not None:
                self._send_away(x, response)
        if settled:
            vary = self._varies.get(settled)
            if vary is None:
                vary = self._varies[settled] = choice.vary(settled)
            if not response.own and response.shared.fields.get(b"vary") == vary:
                return  # as it was kept
            told = response.get(b"vary")
            if told is None:
                response.set(b"vary", vary)
            elif told != vary:
                for name in sorted(settled):
                    vary_on(response, name)

    def _is_chosen_for(self, path: bytes) -> bool:
        return path[-1:] in self._endings and path[path.rfind(b".") :].lower() in self._extensions

    def _wish_of(self, x: Exchange) -> Wish | None:
        """What an exchange has asked for, after its request has been changed."""
        if not x.asked:
            return self._automatic
        if self._prefix and x.asked.startswith(self._prefix):
            return self._targets[x.asked].wish
        query = x.asked.partition(b"?")[2]
        return self._queries[_CHOSEN_FOR + query if self._is_chosen_for(x.request.path) else query].wish

    # The three ways to ask.

    def _by_path(self, x: Exchange, found: Asked) -> Response | None:
        wish, picture = found.wish, found.picture
        if wish is None or picture is None:
            return self._refuse(400, found.why)
        before, own = x.request.target, x.request
        if self._would is not None:
            own = own.with_headers(own.headers.copy())
        if picture.authority and picture.authority != own.authority:
            _move(own, picture, x.client)
        own.target, own.path, own.query = picture.target, picture.path, picture.query
        if not self._may_use(x, own):
            return self._refuse(403, "No variants are made here of what that URL names.")
        if self._would is None:
            x.asked = before
        self._settle(x, wish)
        return None

    def _by_query(self, x: Exchange, wish: Wish, rest: bytes) -> Response | None:
        if wish.why:
            return self._refuse(400, wish.why)
        if self._would is None:
            request = x.request
            x.asked = request.target
            path = request.target.partition(b"?")[0]
            request.target = path + b"?" + rest if rest else path
            request.query = rest
        self._settle(x, wish)
        return None

    def _settle(self, x: Exchange, wish: Wish) -> None:
        facet = wish.facet
        if wish.fields:
            headers = x.request.headers
            told = wish.mark
            for name in wish.fields:
                value = headers.get(name)
                told += b"\n" if value is None else value + b"\n"
            facet = self._facets[told]
        self._take(x, facet, wish)

    def _take(self, x: Exchange, facet: bytes, wish: Wish) -> None:
        if not facet:
            return
        if self._would is None:
            x.facet = facet
            x.settled = wish.settled
        else:
            self._would()

    def _send_away(self, x: Exchange, response: Response) -> None:
        """To the original, in place of passing it on."""
        request, target = x.request, self._targets[x.asked] if x.asked.startswith(self._prefix) else None
        location = request.target
        if target is not None and target.picture is not None and target.picture.authority:
            location = b"%b://%b%b" % (request.scheme, request.authority, request.target)
        if not isinstance(response.body, bytes):
            response.body.close()
        response.status, response.body = 302, b""
        why = response.get(FIELD, b"") or b""
        response.replace({b"location": location, b"cache-control": b"no-store", FIELD: why})

    # What is remembered, by the bytes it is worked out from.

    def _wish(self, name: bytes) -> Wish:
        """``name``: options as they are written, marked if they are out of a query."""
        if name == _CHOSEN_FOR:
            return self._automatic
        try:
            wanted = options.parse(name.removeprefix(_CHOSEN_FOR).removeprefix(_IN_QUERY))
            choice.check(wanted, self._rules)
        except OptionError as error:
            return Wish(name, Options(), self._rules, str(error))
        if name.startswith(_CHOSEN_FOR):
            plan, names = wanted.plan, wanted.names
            wanted = wanted._replace(
                auto_format=wanted.auto_format or "format" not in names,
                auto_width=wanted.auto_width or not (plan.width or plan.height),
            )
        return Wish(name, wanted, self._rules)

    def _target(self, target: bytes) -> Asked:
        try:
            text, url = asked.split(target[len(self._prefix) :])
            wish = self._wishes[text]
            if wish.why:
                return Asked(None, why=wish.why)
            return Asked(wish, asked.locate(url, self._prefix))
        except UrlError as error:
            return Asked(None, why=str(error))

    def _taken_apart(self, query: bytes) -> Asked:
        mark = _CHOSEN_FOR if query.startswith(_CHOSEN_FOR) else b""
        found: list[bytes] = []
        rest: list[bytes] = []
        for count, parameter in enumerate(query[len(mark) :].split(b"&")):
            name, _, value = parameter.replace(b"+", b" ").partition(b"=")
            known = count < PARAMETERS and unquote_to_bytes(name).decode("latin-1").lower() in _NAMES
            if known:
                found.append(b"%b=%b" % (name, value))
            else:
                rest.append(parameter)
        if not found:
            return Asked(None)
        return Asked(self._wishes[mark + _IN_QUERY + b",".join(found)], rest=b"&".join(rest))

    def _by_accept(self, accept: bytes) -> bytes:
        return options.write(choice.choose(AUTOMATIC, self._rules, {choice.ACCEPT: accept} if accept else {}))

    def _facet(self, key: bytes) -> bytes:
        name, *values = key.split(b"\n")
        wish = self._wishes[name]
        headers = {field: value for field, value in zip(wish.fields, values, strict=False) if value}
        return options.write(choice.choose(wish.options, self._rules, headers))


def _move(request: Request, picture: Picture, client: str) -> None:
    """Have a request ask another host, and as nobody: what the client is known by here is not for there."""
    request.authority, request.host = picture.authority, picture.host
    headers = request.headers
    for name in _SECRETS:
        headers.pop(name, None)
    told = {
        b"host": request.authority,
        b"x-forwarded-host": request.authority,
        b"forwarded": forwarded_element(client, request.scheme, request.authority),
    }
    for name in told.keys() & headers.keys():
        headers[name] = told[name]
