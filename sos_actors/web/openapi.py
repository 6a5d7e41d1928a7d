"""The OpenAPI document, made of the routes and the Structs they answer with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from sos_actors.web.api import Route
from sos_actors.web.guard import API, CONTROL_HEADER
from sos_actors.web.schema import Done, Fault, Order
from sos_actors.web.source import ORDERS

_ORDERS = {
    "kill": "Stop trading: nothing is entered any more, everything is closed",
    "flatten": "Close the positions of a strategy, or all",
    "pause": "Let a strategy, or all, enter nothing more",
    "resume": "Undo a pause or a kill",
    "stop": "Let a strategy enter nothing more and close what it holds",
    "start": "Let a stopped or paused strategy enter again",
    "reinstate": "Take a benched strategy back: from its first phase, its failures forgiven",
    "maintenance": "Check the market database and delete what is older than is kept",
}


def document(routes: Sequence[Route], version: str) -> dict[str, Any]:
    """Give the OpenAPI 3.1 document."""
    kinds = [route.gives for route in routes] + [Fault, Order, Done]
    schemas, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    gives = dict(zip(range(len(kinds)), schemas, strict=True))
    fault, order, done = schemas[-3:]
    paths: dict[str, Any] = {
        f"{API}{route.path}": {
            "get": {
                "summary": route.summary,
                "parameters": [
                    {"name": name, "in": "query", "description": about, "schema": {"type": "string"}}
                    for name, about in route.takes.items()
                ],
                "responses": _responses(gives[place], fault),
            }
        }
        for place, route in enumerate(routes)
    }
    for name in ORDERS:
        paths[f"{API}/control/{name}"] = {
            "post": {
                "summary": _ORDERS[name],
                "security": [{"token": []}],
                "parameters": [
                    {"name": CONTROL_HEADER, "in": "header", "required": True, "schema": {"const": "1"}},
                ],
                "requestBody": {"content": {"application/json": {"schema": order}}},
                "responses": _responses(done, fault),
            }
        }
    return {
        "openapi": "3.1.0",
        "info": {"title": "SOS Actors", "version": version, "description": "Times of rows are UTC nanoseconds."},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _responses(good: Any, fault: Any) -> dict[str, Any]:
    return {
        "200": {"description": "as asked", "content": {"application/json": {"schema": good}}},
        "default": {"description": "why not", "content": {"application/json": {"schema": fault}}},
    }
