"""Intercom's own description of its API (OpenAPI 3.0), as a judge of recorded requests and answers.

The description is read where it lies, never copied. `to_2020` and `KNOWN` are all there is of bending it.
"""

from __future__ import annotations

import gc
import json
import os
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import parse_qsl, unquote

import jsonschema_rs
import yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tests.contract.recorder import Exchange

__all__ = ["Description", "Operation", "description_path", "to_2020"]

Json = dict[str, Any]

BESIDE = Path(__file__).parents[2] / "../shared/intercom-openapi-2.16.yaml"
NULL: Json = {"type": "null"}
NOT_ASSERTED = frozenset(
    {"default", "deprecated", "description", "discriminator", "example", "examples", "externalDocs", "format"}
    | {"nullable", "readOnly", "title", "writeOnly", "xml"}
)
VALUES = frozenset({"enum", "required", "type"})


def description_path() -> Path | None:
    """INTERCOM_OPENAPI, or the file beside the repository; None where there is neither."""
    named = os.environ.get("INTERCOM_OPENAPI")
    path = Path(named) if named else BESIDE
    return path.resolve() if path.is_file() else None


def to_2020(node: Any, *, home: str = "", nullable_refs: bool = False) -> Any:
    """A schema of OpenAPI 3.0 as one of JSON Schema 2020-12, its references made to start at `home`.

    By the rules of 3.0 whatever stands beside a `$ref` is ignored. `nullable_refs` believes a `nullable: true` there
    all the same: real answers have null in such places (company, ai_agent), so that is what answers are held to.
    Formats are notes here, not checks: real request ids, for one, are not the UUIDs that the description promises.
    """
    if isinstance(node, list):
        return [to_2020(entry, home=home, nullable_refs=nullable_refs) for entry in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        reference = {"$ref": f"{home}{node['$ref']}"}
        return {"anyOf": [reference, NULL]} if nullable_refs and node.get("nullable") else reference
    made: Json = {}
    for key, value in node.items():
        if key == "properties":
            made[key] = {name: to_2020(one, home=home, nullable_refs=nullable_refs) for name, one in value.items()}
        elif key in VALUES:
            made[key] = value
        elif key not in NOT_ASSERTED and not key.startswith("x-"):
            made[key] = to_2020(value, home=home, nullable_refs=nullable_refs)
    return {"anyOf": [made, NULL]} if node.get("nullable") else made


KNOWN = {
    r"GET /contacts request query (per_page|starting_after): not a parameter": "as the pagination guide has it",
    r"GET /contacts/\{contact_id\}/(companies|notes) request query (page|per_page): not a parameter": "the same",
    r"GET /(admins|teams|tags) request query per_page: not a parameter": "ignored: these answers are never in pages",
    r"POST /contacts/\{contact_id\}/notes request path contact_id: .* not of type \"integer\"": "contact ids are hex",
    r"POST /tags request body: .* more than one of the schemas": "open alternatives: all that tag also create",
    r"(GET /companies|POST /companies/list) answer 200 body/pages/next: \"https://": "a URL, as in its own example",
    r"GET /companies answer 200 body/type: \"company\" is not one of": "one company, as clients find it by company_id",
    r".*/companies.* body.*/custom_attributes/.* is not of type \"string\"": "numbers and flags in its own example",
    r".* answer 200 body.*/job_title: null": "null where nobody filled it in",
    r".* answer 200 body.*/statistics/(first_close_at|last_close_at|last_closed_by_id): null": "null until closed",
    r".* answer 200 body.*/conversation_parts/\d+/author/email: null": "null for people without an address",
    r".*/convert answer 200 body/snoozed_until: null": "null where a ticket is not snoozed",
    r".*/tickets/.* answer 200 body(/tickets/\d+)?/snoozed_until: null": "null where a ticket is not snoozed",
    r".* answer 200 body.*/ticket_parts/\d+/previous_ticket_state: null": "null where the state did not change",
}
"""Faults that are the description's own, each with the reason; nothing else is let through."""

ERROR: Json = {"$ref": "#/components/schemas/error"}
"""What a status from 400 on is held to where the operation does not list it: no operation lists 429 or 500."""


class Operation(NamedTuple):
    """One method of one path template."""

    method: str
    template: str

    def __str__(self) -> str:
        return f"{self.method} {self.template}"


class Description:
    """Finds what an exchange breaks. Faults are sentences; none means that it is as described."""

    def __init__(self, document: Json) -> None:
        self._paths: Mapping[str, Json] = document["paths"]
        self._security: list[Json] = document.get("security", [])
        schemas = document["components"]["schemas"]
        self._homes = {"request:": False, "answer:": True}
        self._registry = jsonschema_rs.Registry(
            [
                (home, {"components": {"schemas": _by_name(schemas, home, nullable_refs=nulls)}})
                for home, nulls in self._homes.items()
            ]
        )
        self._validators: dict[str, jsonschema_rs.Validator] = {}

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the file; dates that YAML sees in examples become strings."""
        gc.disable()  # a collection walks all that has been read so far, again and again: twice the time
        try:
            loaded = yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)
        finally:
            gc.enable()
        return cls(json.loads(json.dumps(loaded, default=str)))

    def operations(self) -> Iterator[Operation]:
        """Every method of every path."""
        for template, item in self._paths.items():
            for method in item:
                if method in {"get", "put", "post", "delete", "patch"}:
                    yield Operation(method.upper(), template)

    def operation(self, method: str, path: str) -> Operation | None:
        """The operation of a request; a template without parameters goes before one with."""
        matching = [template for template in self._paths if _pattern(template).fullmatch(path)]
        best = min(matching, key=lambda template: template.count("{"), default=None)
        return Operation(method, best) if best is not None and method.lower() in self._paths[best] else None

    def faults(self, exchange: Exchange) -> list[str]:
        """Everything that is wrong with a request and with its answer."""
        return [*self.request_faults(exchange), *self.answer_faults(exchange)]

    def request_faults(self, exchange: Exchange) -> list[str]:
        """Path, method, token, parameters, headers, body."""
        operation = self.operation(exchange.method, exchange.path)
        if operation is None:
            return [f"{exchange.method} {exchange.path}: no such operation"]
        found = [*self._token_faults(exchange), *self._parameter_faults(operation, exchange)]
        found += self._body_faults(operation, exchange)
        return _unknown(f"{operation} request {fault}" for fault in found)

    def answer_faults(self, exchange: Exchange) -> list[str]:
        """Status, media type, body."""
        operation = self.operation(exchange.method, exchange.path)
        if operation is None:
            return []
        status = exchange.status
        described = self._node(operation)["responses"].get(str(status))
        if described is None and status < 400:
            return [f"{operation} answer {status}: not a status of this operation"]
        content = described.get("content", {}) if described is not None else {"application/json": {"schema": ERROR}}
        found = self._content_faults("answer:", content, exchange.answer_type, exchange.answer)
        return _unknown(f"{operation} answer {status} {fault}" for fault in found)

    def undescribed_members(self, exchange: Exchange) -> set[str]:
        """Members at the top of a request's body that its schema allows but does not name."""
        operation = self.operation(exchange.method, exchange.path)
        schema = self._schema("request:", self._body(operation)) if operation is not None else None
        if schema is None or not exchange.body:
            return set()
        # Open alternatives overlap: what any of those that fit names is described.
        alternatives = {"anyOf" if name == "oneOf" else name: part for name, part in schema.items()}
        closed = self._validator({**alternatives, "unevaluatedProperties": False})
        return {
            name
            for error in closed.iter_errors(json.loads(exchange.body))
            if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.UnevaluatedProperties)
            for name in error.kind.unexpected
        }

    def _node(self, operation: Operation) -> Json:
        node: Json = self._paths[operation.template][operation.method.lower()]
        return node

    def _token_faults(self, exchange: Exchange) -> Iterator[str]:
        if self._security and not exchange.headers.get("authorization", "").startswith("Bearer "):
            yield "has no bearer token"

    def _parameter_faults(self, operation: Operation, exchange: Exchange) -> Iterator[str]:
        segments = _pattern(operation.template).fullmatch(exchange.path)
        assert segments is not None
        given: dict[str, Mapping[str, str]] = {
            "path": {name: unquote(text) for name, text in segments.groupdict().items()},
            "query": dict(parse_qsl(exchange.query, keep_blank_values=True)),
            "header": exchange.headers,
        }
        parameters: list[Json] = self._node(operation).get("parameters", [])
        for parameter in parameters:
            place, name = parameter["in"], parameter["name"]
            value = given[place].get(name.lower() if place == "header" else name)
            if value is not None:
                schema = self._schema("request:", parameter)
                yield from (f"{place} {name}{fault}" for fault in self._errors(schema, _typed(value, schema)))
            elif parameter.get("required"):
                yield f"{place} {name}: missing"
        named = {parameter["name"] for parameter in parameters if parameter["in"] == "query"}
        yield from (f"query {name}: not a parameter of this operation" for name in given["query"].keys() - named)

    def _body(self, operation: Operation) -> Json:
        body: Json = self._node(operation).get("requestBody", {})
        return body.get("content", {}).get("application/json", {})  # type: ignore[no-any-return]

    def _body_faults(self, operation: Operation, exchange: Exchange) -> Iterator[str]:
        body = self._node(operation).get("requestBody")
        if body is None:
            if exchange.body not in (b"", b"{}"):
                yield "body: this operation takes none"
        elif exchange.body or body.get("required"):
            content_type = exchange.headers.get("content-type", "")
            yield from self._content_faults("request:", body["content"], content_type, exchange.body)

    def _content_faults(self, home: str, content: Json, content_type: str, data: bytes) -> Iterator[str]:
        if not content:
            if data:
                yield "body: there should be none"
            return
        media_type = content_type.partition(";")[0].strip().lower()
        if media_type not in content:
            yield f"body: {media_type or 'no media type'} is not one of {', '.join(content)}"
            return
        try:
            value = json.loads(data)
        except ValueError:
            yield "body: not JSON"
            return
        yield from (f"body{fault}" for fault in self._errors(self._schema(home, content[media_type]), value))

    def _schema(self, home: str, holder: Json) -> Json | None:
        if "schema" not in holder:
            return None
        made: Json = to_2020(holder["schema"], home=home, nullable_refs=self._homes[home])
        return made

    def _errors(self, schema: Json | None, value: Any) -> Iterator[str]:
        if schema is None:
            return
        for error in self._validator(schema).iter_errors(value):
            for leaf in _leaves(error):
                yield f"{''.join(f'/{step}' for step in leaf.instance_path)}: {_shortened(leaf.message)}"

    def _validator(self, schema: Json) -> jsonschema_rs.Validator:
        name = json.dumps(schema)
        if name not in self._validators:
            made = jsonschema_rs.Draft202012Validator(schema, registry=self._registry, offline=True)
            self._validators[name] = made
        return self._validators[name]


def _shortened(message: str) -> str:
    """The value that is wrong stands at its beginning, what is wrong with it at its end."""
    return message if len(message) <= 200 else f"{message[:100]} … {message[-100:]}"


def _unknown(faults: Iterable[str]) -> list[str]:
    return [fault for fault in faults if not any(re.match(known, fault) for known in KNOWN)]


def _by_name(schemas: Json, home: str, *, nullable_refs: bool) -> Json:
    return {name: to_2020(schema, home=home, nullable_refs=nullable_refs) for name, schema in schemas.items()}


@cache
def _pattern(template: str) -> re.Pattern[str]:
    literals = re.split(r"\{(\w+)\}", template)
    parts = [f"(?P<{text}>[^/]+)" if place % 2 else re.escape(text) for place, text in enumerate(literals)]
    return re.compile("".join(parts))


def _typed(text: str, schema: Json | None) -> Any:
    """What a parameter's text stands for, where its schema wants something else than text."""
    wanted = (schema or {}).get("type")
    if wanted == "integer" and re.fullmatch(r"-?\d+", text):
        return int(text)
    if wanted == "boolean" and text in {"true", "false"}:
        return text == "true"
    return text


def _leaves(error: jsonschema_rs.ValidationError) -> Iterator[jsonschema_rs.ValidationError]:
    """The errors of the alternative that came nearest, instead of "is not valid under any of the given schemas"."""
    alternatives: list[list[jsonschema_rs.ValidationError]] = getattr(error.kind, "context", [])
    if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.OneOfMultipleValid):
        alternatives = []
    near = [errors for errors in alternatives if errors and not _says_not_null(errors)]
    if not near:
        yield error
        return
    for inner in min(near, key=len):
        yield from _leaves(inner)


def _says_not_null(errors: list[jsonschema_rs.ValidationError]) -> bool:
    kind = errors[0].kind
    return isinstance(kind, jsonschema_rs.ValidationErrorKind.Type) and kind.types == ["null"]
