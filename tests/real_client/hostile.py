"""Owns what stands in an account's way: the variables and settings that would choose another credential."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench import Bench

_CREDENTIALS = [
    "ANTHROPIC_AUTH_TOKEN",
    "CLAUDE_CODE_OAUTH_REFRESH_TOKEN",
    "CLAUDE_CODE_GATEWAY_TOKEN",
    "CLAUDE_CODE_SESSION_ACCESS_TOKEN",
    "CLAUDE_CODE_SESSIONS_OAUTH_TOKEN",
    "CLAUDE_BRIDGE_OAUTH_TOKEN",
    "CLAUDE_TRUSTED_DEVICE_TOKEN",
    "CLAUDE_BG_SESSION_CREDENTIAL",
    "CLAUDE_BG_CLAIM_AUTH",
    "CLAUDE_CODE_HFI_BEARER_TOKEN",
    "ANTHROPIC_IDENTITY_TOKEN",
    "AWS_BEARER_TOKEN_BEDROCK",
    "ANTHROPIC_AWS_API_KEY",
    "ANTHROPIC_FOUNDRY_API_KEY",
    "ANTHROPIC_FOUNDRY_AUTH_TOKEN",
]
_SWITCHES = [
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_VERTEX",
    "CLAUDE_CODE_USE_FOUNDRY",
    "CLAUDE_CODE_USE_ANTHROPIC_AWS",
    "CLAUDE_CODE_USE_MANTLE",
    "CLAUDE_CODE_USE_GATEWAY",
    "CLAUDE_CODE_USE_ANTHROPIC_GOOGLE_CLOUD",
    "USE_LOCAL_OAUTH",
    "USE_STAGING_OAUTH",
]
_ADDRESSES = [
    "CLAUDE_CODE_API_BASE_URL",
    "ANTHROPIC_BEDROCK_BASE_URL",
    "ANTHROPIC_VERTEX_BASE_URL",
    "ANTHROPIC_FOUNDRY_BASE_URL",
    "ANTHROPIC_AWS_BASE_URL",
    "ANTHROPIC_BEDROCK_MANTLE_BASE_URL",
    "ANTHROPIC_GOOGLE_CLOUD_BASE_URL",
    "CLAUDE_CODE_CUSTOM_OAUTH_URL",
]
_NAMES = [
    "ANTHROPIC_PROFILE",
    "ANTHROPIC_FEDERATION_RULE_ID",
    "ANTHROPIC_ORGANIZATION_ID",
    "ANTHROPIC_SERVICE_ACCOUNT_ID",
    "ANTHROPIC_WORKSPACE_ID",
    "ANTHROPIC_SCOPE",
    "CLAUDE_CODE_OAUTH_SCOPES",
    "CLAUDE_CODE_OAUTH_CLIENT_ID",
    "CLAUDE_CODE_SUBSCRIPTION_TYPE",
    "CLAUDE_CODE_RATE_LIMIT_TIER",
    "CLAUDE_CODE_ACCOUNT_UUID",
    "CLAUDE_CODE_USER_EMAIL",
    "CLAUDE_CODE_ORGANIZATION_UUID",
    "CLAUDE_CODE_HOST_AUTH_ENV_VAR",
    "ANTHROPIC_GOOGLE_CLOUD_PROJECT",
    "ANTHROPIC_GOOGLE_CLOUD_LOCATION",
    "ANTHROPIC_GOOGLE_CLOUD_WORKSPACE_ID",
]
_FILES = [
    "ANTHROPIC_IDENTITY_TOKEN_FILE",
    "ANTHROPIC_UNIX_SOCKET",
    "CLAUDE_CODE_FEDERATION_CACHE_DIR",
    "CLAUDE_CODE_HOST_CREDS_FILE",
    "CLAUDE_SESSION_INGRESS_TOKEN_FILE",
    "CLAUDE_CODE_RUNNER_MODEL_SOCKET",
]
_DESCRIPTORS = [
    "CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR",
    "CLAUDE_CODE_API_KEY_FILE_DESCRIPTOR",
    "CLAUDE_CODE_GATEWAY_TOKEN_FILE_DESCRIPTOR",
    "CLAUDE_CODE_WEBSOCKET_AUTH_FILE_DESCRIPTOR",
]
_OWN_KINDS = {"ANTHROPIC_API_KEY": "sk-ant-api03-rival-env", "CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat01-rival-env-0"}

RIVAL_ENVIRONMENT: dict[str, dict[str, str]] = {
    "credentials": _OWN_KINDS
    | {name: f"sk-ant-rival-{name.lower()}" for name in _CREDENTIALS}
    | {"ANTHROPIC_CUSTOM_HEADERS": "Authorization: Bearer rival-header\nx-api-key: rival-header"},
    "names and files": {name: "rival" for name in _NAMES}
    | {name: "/nonexistent/rival" for name in _FILES}
    | {name: "9" for name in _DESCRIPTORS},
    "providers": {name: "1" for name in _SWITCHES}
    | {name: "https://rival.example" for name in _ADDRESSES}
    | {"AWS_REGION": "us-east-1", "CLOUD_ML_REGION": "us-east5", "ANTHROPIC_VERTEX_PROJECT_ID": "rival"}
    | {"CLAUDE_CODE_SKIP_BEDROCK_AUTH": "1", "CLAUDE_CODE_SKIP_VERTEX_AUTH": "1", "CLAUDE_CODE_SKIP_FOUNDRY_AUTH": "1"},
    "a host that manages": {"CLAUDE_CODE_PROVIDER_MANAGED_BY_HOST": "1"},
}
# What a settings file says to turn the client to a provider; STUB is the address of a server of somebody else's.
PROVIDERS: dict[str, dict[str, str]] = {
    "base url": {"ANTHROPIC_BASE_URL": "STUB/rival"},
    "google cloud": {
        "CLAUDE_CODE_USE_ANTHROPIC_GOOGLE_CLOUD": "1",
        "ANTHROPIC_GOOGLE_CLOUD_BASE_URL": "STUB/rival",
        "CLAUDE_CODE_SKIP_ANTHROPIC_GOOGLE_CLOUD_AUTH": "1",
        "ANTHROPIC_GOOGLE_CLOUD_PROJECT": "rival",
        "ANTHROPIC_GOOGLE_CLOUD_LOCATION": "global",
        "ANTHROPIC_GOOGLE_CLOUD_WORKSPACE_ID": "rival",
    },
    "bedrock": {
        "CLAUDE_CODE_USE_BEDROCK": "1",
        "ANTHROPIC_BEDROCK_BASE_URL": "STUB/rival",
        "AWS_BEARER_TOKEN_BEDROCK": "rival",
        "AWS_REGION": "us-east-1",
    },
}


def hostile_settings(bench: Bench) -> dict[str, Any]:
    """Return settings that give the client every credential of somebody else's that a settings file can give."""
    credentials = {name: value for name, value in RIVAL_ENVIRONMENT["credentials"].items()}
    helper = bench.home / "rival-helper"
    helper.write_text("#!/bin/sh\necho sk-ant-api03-rival-helper\n")
    helper.chmod(0o755)
    return {"env": credentials, "apiKeyHelper": str(helper)}
