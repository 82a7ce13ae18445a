"""The description of the API is complete, and what it describes never fails on the server's side."""

from __future__ import annotations

import re
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck
from running_dashboard import ACCESS, Dashboard, add, set_up
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from claude_accounts.dashboard import openapi
from claude_accounts.messages import InvalidInput
from claude_accounts.server import create_app

# These would end the session that the next call needs, change the test's own password, or touch the shell's files.
_NOT_CALLED = ("/api/auth/",)


def test_every_route_is_described_and_every_description_has_its_route() -> None:
    """The issue with descriptions is that they age."""
    routed = set()
    for rule in create_app().url_map.iter_rules():
        path = re.sub(r"<(?:path:)?(\w+)>", r"{\1}", rule.rule)
        if path.startswith("/api") or path == "/healthz":
            routed |= {(method.lower(), path) for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}
    assert routed == set(openapi.OPERATIONS)


def test_description_is_whole_and_served() -> None:
    """Every reference in it leads somewhere."""
    dashboard = set_up()
    document = dashboard.client.get("/api/openapi.json").get_json()
    assert document["openapi"] == "3.1.0"
    assert dashboard.stranger().get("/api/openapi.json").status_code == 401
    for reference in re.findall(r"#/components/schemas/(\w+)", str(document)):
        assert reference in document["components"]["schemas"]


@pytest.mark.parametrize(
    ("data", "schema", "field"),
    [
        ({"name": 7, "auth_type": "oauth"}, "NewAccount", "name"),
        ({"auth_type": "oauth"}, "NewAccount", "name"),
        ({"name": "work", "auth_type": "oauth", "colour": "red"}, "NewAccount", "colour"),
        ({"name": "work", "auth_type": "other"}, "NewAccount", "auth_type"),
        ({"name": "work", "auth_type": "oauth", "expires_at": True}, "NewAccount", "expires_at"),
        ({"force": 1}, "Capture", "force"),
        ([], "Capture", ""),
    ],
)
def test_what_is_published_is_enforced(data: object, schema: str, field: str) -> None:
    """One table describes and checks."""
    with pytest.raises(InvalidInput) as refused:
        openapi.check_body(data, schema)
    assert refused.value.field == field


def _fuzz(dashboard: Dashboard, path: str, method: str, ids: list[str]) -> None:
    document = openapi.document()
    for parameter in document["paths"][path][method].get("parameters", []):
        if parameter["name"] == "account_id" and parameter["in"] == "path":
            parameter["schema"] = {"enum": ids}
    document["paths"] = {path: {method: document["paths"][path][method]}}
    schema = schemathesis.openapi.from_dict(document)
    schema.app = dashboard.app
    operation = schema[path][method.upper()]

    @hypothesis.given(case=operation.as_strategy())
    @hypothesis.settings(
        max_examples=25,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    def call(case: Any) -> None:
        response = case.call(headers={"X-Auth-Token": dashboard.token})
        checks = [not_a_server_error, content_type_conformance, response_schema_conformance, status_code_conformance]
        case.validate_response(response, checks=checks)

    call()


@pytest.mark.parametrize(("method", "path"), [key for key in openapi.OPERATIONS if not key[1].startswith(_NOT_CALLED)])
def test_generated_requests_find_no_server_error(method: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """INP-12: and every answer is one that the description promises."""
    # Nobody is asked; that nobody answers is an honest 502.
    for asks in ("_check_key", "_check_login"):
        monkeypatch.setattr(f"claude_accounts.launch.checking.{asks}", lambda stored, environ: None)
    dashboard = set_up()
    ids = [add(dashboard.client), add(dashboard.client, "client", auth_type="oauth", access_token=ACCESS)]
    _fuzz(dashboard, path, method, ids)


@pytest.mark.parametrize(("method", "path"), [key for key in openapi.OPERATIONS if key[1].startswith(_NOT_CALLED)])
def test_generated_requests_at_the_sign_in_routes_find_no_server_error(method: str, path: str) -> None:
    """AUT-24"""
    dashboard = set_up()
    _fuzz(dashboard, path, method, [])
