"""What is remembered of a certificate between runs, and of the orders that were made. Values in, values out."""

from __future__ import annotations

import json
import math
from typing import Any, NamedTuple

from edgeproxy.acme.failure import one_line

ORDERS_KEPT = 2_000


class State(NamedTuple):
    """Of one certificate. Times are seconds since 1970, 0.0 for never.

    due: when it is to be renewed. expires: when it ends. failures: orders in a row that gave none; retry: not before
    then; reason: of the last failure. asked: when the authority is to be asked next when it would like to renew it (RFC
    9773). suggested: the moment in the window it named last. on_demand: nobody has listed the name.
    """

    due: float = 0.0
    expires: float = 0.0
    failures: int = 0
    retry: float = 0.0
    reason: str = ""
    asked: float = 0.0
    suggested: float = 0.0
    on_demand: bool = False

    @property
    def next(self) -> float:
        """When there is something to be done: an order, or a question to the authority."""
        when = max(self.due, self.retry)
        return min(when, max(self.asked, self.retry)) if self.asked else when


class Order(NamedTuple):
    """One that was begun: when, and whether for a name that had no certificate and was asked for on demand."""

    at: float
    on_demand: bool


NEW = State()


def encode(state: State) -> bytes:
    return json.dumps(state._asdict()).encode()


def decode(data: bytes | None) -> State:
    """NEW where there is none, or none that can be read."""
    told = _object(data)
    if not isinstance(told, dict) or set(told) != set(State._fields):
        return NEW
    values = {name: told[name] for name in State._fields}
    numbers = [values[name] for name in ("due", "expires", "retry", "asked", "suggested")]
    if not all(_is_time(number) for number in numbers) or not isinstance(values["on_demand"], bool):
        return NEW
    failures, reason = values["failures"], values["reason"]
    if type(failures) is not int or not 0 <= failures < 1_000_000 or not isinstance(reason, str):
        return NEW
    return State(**(values | {"reason": one_line(reason)}))


def encode_orders(orders: list[Order]) -> bytes:
    return json.dumps([(round(order.at), order.on_demand) for order in orders[-ORDERS_KEPT:]]).encode()


def decode_orders(data: bytes | None) -> list[Order]:
    """Those that can be read; none where there is nothing."""
    told = _object(data)
    return [
        Order(float(one[0]), one[1])
        for one in (told if isinstance(told, list) else [])
        if isinstance(one, list) and len(one) == 2 and _is_time(one[0]) and isinstance(one[1], bool)
    ][-ORDERS_KEPT:]


def _object(data: bytes | None) -> Any:
    try:
        return None if data is None else json.loads(data)
    except (ValueError, RecursionError):
        return None


def _is_time(value: Any) -> bool:
    return type(value) in {int, float} and math.isfinite(value) and 0 <= value < 1e12
