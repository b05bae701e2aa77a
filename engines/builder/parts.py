"""The graphs that a student of an order has, or will have."""

from __future__ import annotations

from vivant.engines.builder.order import Order
from vivant.engines.card import Card
from vivant.engines.contract import PARTS, Part


def parts_of(order: Order) -> tuple[Part, ...]:
    """In the order in which they run first."""
    if not order.is_model:
        return Card.read(order.source).parts
    extras = order.extras
    own = extras.controlnet is not None and extras.control == "residuals"
    return (*PARTS, "control") if own else PARTS
