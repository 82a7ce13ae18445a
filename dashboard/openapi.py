"""Owns the description of the API: what each route takes and answers, as OpenAPI 3.1 and as the check of every body.

It knows no Flask and no accounts; what is written here is both published and enforced.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..messages import VERSION, InvalidInput, _, printable

Schema = Mapping[str, Any]

TEXT: Schema = {"type": "string"}
YES_OR_NO: Schema = {"type": "string", "enum": ["0", "1", "false", "true"]}
FLAG: Schema = {"type": "boolean"}
APPROVE: Schema = {
    "type": "boolean",
    "description": "Whether a launch may tell Claude Code to use the API key without asking.",
}
COUNT: Schema = {"type": "integer", "minimum": 0}
MOMENT: Schema = {
    "type": "integer",
    "minimum": 0,
    "maximum": 2**53,
    "description": "Epoch milliseconds; 0 is unknown or never.",
}
PAGE_SECRET: Schema = {
    "type": "string",
    "description": "To a browser only: the session's second secret, which every request shows as X-Page-Secret.",
}
STEP_UP: Schema = {
    "type": "boolean",
    "description": "A browser may send the request again after POST /api/auth/step-up.",
}
DOUBT: Schema = {
    "type": "string",
    "description": "Only where there is one: why the credential that was stored hardly looks like one that works.",
}
_STATUS: Schema = {"type": "string", "enum": ["valid", "expired", "needs_login"]}
_TRIED = {
    "tried": {
        "type": "string",
        "enum": ["untried", "signed_in", "works", "refused"],
        "description": "Whether the credential was ever seen to work; `signed_in` is claude's word alone.",
    },
    "tried_at": MOMENT,
    "tried_reason": {"type": "string", "description": "Of a refusal: a code, such as invalid_key."},
}
_AUTH_TYPE: Schema = {"type": "string", "enum": ["api_key", "oauth"]}
_ANYTHING: Schema = {"type": "object"}
_SCOPE: Schema = {"type": "string", "enum": ["read", "launch", "admin"]}
_NAMES: Schema = {"type": "array", "items": TEXT}


def _object(properties: Mapping[str, Schema], required: tuple[str, ...] = ()) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "object", "properties": dict(properties), "additionalProperties": False}
    return found | ({"required": list(required)} if required else {})


def _whole(properties: Mapping[str, Schema]) -> dict[str, Any]:
    return _object(properties, tuple(properties))


def _nullable(schema: Schema) -> dict[str, Any]:
    return {**schema, "type": [schema["type"], "null"]}


_TOKENS = {"access_token": _nullable(TEXT), "refresh_token": _nullable(TEXT), "expires_at": _nullable(MOMENT)}
_TOKEN = {
    "id": COUNT,
    "name": TEXT,
    "scope": _SCOPE,
    "created_at": MOMENT,
    "expires_at": MOMENT,
    "last_used_at": MOMENT,
    "current": FLAG,
}
USAGE = _whole(
    {
        "period": {"type": "string", "enum": ["five_hour", "seven_day"]},
        "percent": {"type": "number", "minimum": 0},
        "resets_at": MOMENT,
        "seen_at": MOMENT,
    }
)
# What an import will do, one for each account, in the order of the file.
PLAN = _whole(
    {
        "accounts": {
            "type": "array",
            "items": _whole(
                {
                    "tool": TEXT,
                    "called": TEXT,
                    "name": TEXT,
                    "auth_type": TEXT,
                    "brings": {"type": "string", "enum": ["", "api_key", "token", "login", "identity"]},
                    "will": {"type": "string", "enum": ["added", "skipped", "left_out", "refused"]},
                    "why": TEXT,
                    "hint": TEXT,
                    "field": TEXT,
                    "may_move": FLAG,
                    "folders": _NAMES,
                    "told": TEXT,
                }
            ),
        },
        "refusal": TEXT,
        "added": COUNT,
        "skipped": COUNT,
        "left_out": COUNT,
        "refused": COUNT,
    }
)
_ACCOUNT: dict[str, Schema] = {
    "id": TEXT,
    "name": TEXT,
    "auth_type": _AUTH_TYPE,
    "masked_key": TEXT,
    "status": _STATUS,
    "token_status": _STATUS,
    "expires_at": MOMENT,
    "has_refresh": FLAG,
    "login_expires_at": MOMENT,
    "login_ended": FLAG,
    "email": TEXT,
    "organization": TEXT,
    "subscription_type": TEXT,
    "created_at": {"type": "string", "description": "ISO 8601, UTC"},
    "last_used": _nullable({"type": "string", "description": "ISO 8601, UTC"}),
    "durable": FLAG,
    "approve_key": APPROVE,
    "allowed_hosts": {"type": "array", "items": TEXT},
    "ends_at": MOMENT,
    "ends_kind": {"type": "string", "enum": ["login", "token", "none"]},
    "urgency": {"type": "string", "enum": ["", "soon", "urgent", "over"]},
    "usage": {"type": "array", "items": USAGE},
    **_TRIED,
}
IMAGE_TYPES = ("image/png", "image/jpeg", "image/gif", "image/webp")
SCHEMAS: dict[str, dict[str, Any]] = {
    "Nothing": _object({}),
    "Ok": _whole({"ok": FLAG}),
    "Error": _object(
        {
            "error": TEXT,
            "hint": TEXT,
            "field": TEXT,
            "step_up": STEP_UP,
            "second_factor": {
                "type": "array",
                "items": {"type": "string", "enum": ["totp", "passkey", "recovery_code"]},
                "description": "The password was right; POST /api/auth/login/factor with `pending` and one of these.",
            },
            "pending": {"type": "string", "description": "Names the sign-in that waits; good for ten minutes."},
        },
        ("error", "hint"),
    ),
    "Setup": _object({"password": TEXT, "setup_code": TEXT}, ("password",)),
    "Password": _object({"password": TEXT}, ("password",)),
    "PasswordChange": _object({"old_password": TEXT, "new_password": TEXT}, ("old_password", "new_password")),
    "ApiToken": _whole({"api_token": TEXT}),
    "SetUp": _object({"api_token": TEXT, "page_secret": PAGE_SECRET, "unlocked_seconds": COUNT}, ("api_token",)),
    "SignedIn": _object(
        {"ok": FLAG, "page_secret": PAGE_SECRET, "unlocked_seconds": COUNT, "recovery_left": COUNT}, ("ok",)
    ),
    "PendingOnly": _object({"pending": TEXT}),
    "SecondStep": _object({"pending": TEXT, "totp": TEXT, "recovery_code": TEXT, "passkey": _ANYTHING}, ("pending",)),
    "StepUp": _object({"password": TEXT, "totp": TEXT, "recovery_code": TEXT, "passkey": _ANYTHING}),
    "SignInOptions": _whole({"pending": TEXT, "options": _ANYTHING}),
    "Options": _whole({"options": _ANYTHING}),
    "Code": _object({"code": TEXT}, ("code",)),
    "NewPasskey": _object({"name": TEXT, "passkey": _ANYTHING}, ("name", "passkey")),
    "OfferedSecret": _whole({"secret": TEXT, "uri": TEXT, "picture": TEXT}),
    "FactorsChanged": _object({"ok": FLAG, "unlocked_seconds": COUNT, "recovery_codes": _NAMES}, ("ok",)),
    "RecoveryCodes": _whole({"recovery_codes": _NAMES, "unlocked_seconds": COUNT}),
    "Factors": _whole(
        {
            "totp_since": MOMENT,
            "passkeys": {
                "type": "array",
                "items": _whole(
                    {
                        "id": TEXT,
                        "name": TEXT,
                        "rp_id": TEXT,
                        "origin": TEXT,
                        "created_at": MOMENT,
                        "last_used_at": MOMENT,
                    }
                ),
            },
            "recovery_left": COUNT,
        }
    ),
    "NewToken": _object({"name": TEXT, "scope": _SCOPE, "expires_at": MOMENT}, ("name", "scope")),
    "Token": _whole(_TOKEN),
    "TokenMade": _whole({**_TOKEN, "api_token": TEXT}),
    "Journal": _whole(
        {
            "entries": {
                "type": "array",
                "items": _whole(
                    {
                        "id": COUNT,
                        "at": MOMENT,
                        "event": TEXT,
                        "account": TEXT,
                        "actor": TEXT,
                        "address": TEXT,
                        "detail": TEXT,
                    }
                ),
            },
            "more": FLAG,
        }
    ),
    "Unlocked": _whole({"unlocked_seconds": COUNT}),
    "AuthStatus": _whole(
        {
            "setup_done": FLAG,
            "authenticated": FLAG,
            "setup_code_required": FLAG,
            "unlocked_seconds": COUNT,
            "passkeys": FLAG,
            "vendor": TEXT,
            "version": TEXT,
        }
    ),
    "Session": _whole(
        {
            "id": TEXT,
            "created_at": MOMENT,
            "last_seen": MOMENT,
            "expires_at": MOMENT,
            "address": TEXT,
            "user_agent": TEXT,
            "current": FLAG,
        }
    ),
    "NewAccount": _object(
        {"name": TEXT, "auth_type": _AUTH_TYPE, "api_key": _nullable(TEXT), **_TOKENS, "approve_key": APPROVE},
        ("name", "auth_type"),
    ),
    "AccountChange": _object(
        {
            "name": TEXT,
            "auth_type": _AUTH_TYPE,
            "api_key": TEXT,
            **_TOKENS,
            "durable": FLAG,
            "force": FLAG,
            "approve_key": APPROVE,
        }
    ),
    "Added": _object({"id": TEXT, "name": TEXT, "doubt": DOUBT}, ("id", "name")),
    "Account": _whole(_ACCOUNT),
    "Changed": _object({**_ACCOUNT, "doubt": DOUBT}, tuple(_ACCOUNT)),
    "RunningSession": _whole(
        {
            "pid": COUNT,
            "account_id": TEXT,
            "account_name": TEXT,
            "folder": TEXT,
            "since": MOMENT,
            "origin": {"type": "string", "enum": ["shell", "web", "background"]},
            "token_ends": MOMENT,
            "state": {"type": "string", "enum": ["running", "perhaps"]},
            "elsewhere": {"type": "string", "enum": ["", "container", "machine"]},
        }
    ),
    "Folder": _object({"folder": TEXT}, ("folder",)),
    "Path": _whole({"path": TEXT}),
    "NewBinding": _object({"folder": TEXT, "account_id": TEXT}, ("folder", "account_id")),
    "Binding": _whole({"folder": TEXT, "account_id": TEXT, "account_name": TEXT}),
    "TokenStatus": _whole(
        {
            "status": _STATUS,
            "auth_type": _AUTH_TYPE,
            "expires_at": MOMENT,
            "expires_in": _nullable(COUNT),
            "has_refresh": FLAG,
            "login_expires_at": MOMENT,
            "login_ended": FLAG,
            **_TRIED,
        }
    ),
    "Capture": _object({"force": FLAG}),
    "Launch": _object({"reveal": FLAG}),
    "LaunchCommand": _object({"command": TEXT, "variable": TEXT, "value": TEXT}, ("command", "variable")),
    "Script": _whole({"script": TEXT}),
    "Files": _whole({"files": _NAMES}),
    "Export": {"type": "array", "items": {"type": "object"}},
    "ImportFile": {
        "description": "An export, Claude Code's .credentials.json or another tool's file; UTF-8 or UTF-16.",
        "oneOf": [{"type": "array", "items": {"type": "object"}}, {"type": "object"}],
    },
    "Imported": _object(
        {"imported": COUNT, "skipped": COUNT, "imported_names": _NAMES, "skipped_names": _NAMES, "plan": PLAN},
        ("imported", "skipped", "imported_names", "skipped_names"),
    ),
    "Folders": _whole(
        {
            "path": TEXT,
            "parent": TEXT,
            "folders": {"type": "array", "items": _whole({"name": TEXT, "path": TEXT})},
            "truncated": FLAG,
        }
    ),
    "Health": _whole({"status": TEXT}),
}


def _list_of(name: str) -> Schema:
    return {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}


_ID = "/api/accounts/{account_id}"
_AUTH = "/api/auth"
_REFRESHING = (400, 404, 409, 502, 503)
# (method, path): summary, the body's schema (None for no body), status and schema of success, failures besides the
# ones every route has.
OPERATIONS: dict[tuple[str, str], tuple[str, str | None, int, str | Schema, tuple[int, ...]]] = {
    ("get", "/healthz"): ("Tell that the server answers", None, 200, "Health", ()),
    ("get", "/api/openapi.json"): ("This description", None, 200, {"type": "object"}, ()),
    ("get", "/api/auth/status"): ("What a visitor may do", None, 200, "AuthStatus", ()),
    ("post", "/api/auth/setup"): ("Choose the first password, get the API token", "Setup", 201, "SetUp", (403, 409)),
    ("post", "/api/auth/login"): ("Sign in", "Password", 200, "SignedIn", (401, 403, 409)),
    ("post", _AUTH + "/login/passkey"): ("Ask a passkey", "PendingOnly", 200, "SignInOptions", (401, 403, 409)),
    ("post", _AUTH + "/login/factor"): ("Take the second step", "SecondStep", 200, "SignedIn", (401, 403, 409, 429)),
    ("post", "/api/auth/logout"): ("Sign out", "Nothing", 200, "Ok", ()),
    ("post", "/api/auth/step-up"): ("Prove again who sits at the browser", "StepUp", 200, "Unlocked", (403, 409)),
    ("post", _AUTH + "/step-up/passkey"): ("Ask a passkey for it", "Nothing", 200, "Options", (403, 409)),
    ("post", "/api/auth/lock"): ("End what the last proof has opened", "Nothing", 200, "Unlocked", ()),
    ("post", "/api/auth/change-password"): ("Change the password", "PasswordChange", 200, "SignedIn", (403,)),
    ("post", "/api/auth/rotate-token"): ("Make a new API token", "Password", 200, "ApiToken", (403,)),
    ("get", "/api/auth/sessions"): ("List the signed-in browsers", None, 200, _list_of("Session"), ()),
    ("delete", "/api/auth/sessions/{session_id}"): ("End one session", "Nothing", 200, "Ok", (404,)),
    ("post", "/api/auth/sign-out-everywhere"): ("End every session", "Nothing", 200, "Ok", ()),
    ("get", _AUTH + "/factors"): ("The second factors", None, 200, "Factors", ()),
    ("post", _AUTH + "/factors/totp"): ("Offer a secret for an app", "Nothing", 200, "OfferedSecret", (403,)),
    ("post", _AUTH + "/factors/totp/confirm"): ("Ask for its codes", "Code", 200, "FactorsChanged", (403, 409)),
    ("delete", _AUTH + "/factors/totp"): ("Ask for codes no more", "Nothing", 200, "FactorsChanged", (403, 404)),
    ("post", _AUTH + "/factors/passkeys/options"): ("Ask for a new passkey", "Nothing", 200, "Options", (403, 409)),
    ("post", _AUTH + "/factors/passkeys"): ("Keep a new passkey", "NewPasskey", 200, "FactorsChanged", (403, 409)),
    ("delete", _AUTH + "/factors/passkeys/{credential_id}"): (
        "Forget a passkey",
        "Nothing",
        200,
        "FactorsChanged",
        (403, 404),
    ),
    ("post", _AUTH + "/factors/recovery-codes"): ("Make codes anew", "Nothing", 200, "RecoveryCodes", (403, 409)),
    ("get", _AUTH + "/tokens"): ("List the API tokens", None, 200, _list_of("Token"), ()),
    ("post", _AUTH + "/tokens"): ("Make an API token", "NewToken", 201, "TokenMade", (403, 409)),
    ("delete", _AUTH + "/tokens/{token_id}"): ("Revoke an API token", "Nothing", 200, "Ok", (403, 404)),
    ("get", "/api/journal"): ("What happened, the newest first", None, 200, "Journal", ()),
    ("get", "/api/accounts"): ("List the accounts, credentials masked", None, 200, _list_of("Account"), ()),
    ("post", "/api/accounts"): ("Add an account", "NewAccount", 201, "Added", (409,)),
    ("put", _ID): ("Change an account", "AccountChange", 200, "Changed", (404, 409)),
    ("delete", _ID): ("Remove an account", "Nothing", 200, "Ok", (404,)),
    ("get", _ID + "/status"): ("State of the account's token", None, 200, "TokenStatus", (404,)),
    ("post", _ID + "/capture-oauth"): ("Capture Claude Code's login", "Capture", 200, "Account", (404, 409)),
    ("post", _ID + "/refresh-oauth"): ("Refresh the tokens", "Nothing", 200, "Account", _REFRESHING),
    ("post", _ID + "/check"): ("Try the credential", "Nothing", 200, "Account", _REFRESHING),
    ("post", _ID + "/launch"): ("The command that launches", "Launch", 200, "LaunchCommand", _REFRESHING),
    ("get", "/api/sessions"): ("List the running sessions of claude", None, 200, _list_of("RunningSession"), ()),
    ("get", "/api/bindings"): ("List the folders that belong to an account", None, 200, _list_of("Binding"), ()),
    ("put", "/api/bindings"): ("Let a folder belong to an account", "NewBinding", 200, "Binding", (404,)),
    ("delete", "/api/bindings"): ("Let a folder belong to nobody", "Folder", 200, "Ok", (404,)),
    ("get", "/api/generate-aliases"): ("The alias script", None, 200, "Script", ()),
    ("post", "/api/install-aliases"): ("Install the aliases into the shell", "Nothing", 200, "Files", ()),
    ("get", "/api/export"): ("Every account with its secrets in clear", None, 200, "Export", ()),
    ("post", "/api/export"): ("The same, for a browser", "Nothing", 200, "Export", ()),
    ("post", "/api/import"): ("Add the accounts of a file", "ImportFile", 200, "Imported", ()),
    ("get", "/api/browse"): ("The folders in a folder", None, 200, "Folders", (404,)),
    ("get", "/api/recent-dirs"): (
        "Folders that terminals were opened in",
        None,
        200,
        {"type": "array", "items": TEXT},
        (),
    ),
    ("get", "/api/terminals"): (
        "List the web terminals",
        None,
        200,
        {"type": "array", "items": {"type": "object"}},
        (),
    ),
    ("post", "/api/terminals/{terminal_id}/images"): ("Keep a picture for a terminal", "Image", 201, "Path", (404,)),
    ("post", "/api/terminals/{terminal_id}/stop"): ("End a web terminal", "Nothing", 200, "Ok", (404,)),
}
PUBLIC = (
    "/healthz",
    *(_AUTH + path for path in ("/status", "/setup", "/login", "/login/passkey", "/login/factor")),
)
_PARAMETERS: dict[str, list[dict[str, Any]]] = {
    "/api/browse": [
        {
            "name": "path",
            "in": "query",
            "schema": TEXT,
            "description": "Absolute, or from ~; without it the home folder.",
        },
        {"name": "hidden", "in": "query", "schema": YES_OR_NO},
    ],
    "/api/journal": [
        {"name": "limit", "in": "query", "schema": TEXT, "description": "So many lines, 100 without it, 500 at most."},
        {"name": "before", "in": "query", "schema": TEXT, "description": "Only lines with a smaller id."},
        {"name": "event", "in": "query", "schema": TEXT, "description": "Only lines of this event."},
    ],
    "/api/recent-dirs": [{"name": "account_id", "in": "query", "schema": TEXT}],
    "/api/generate-aliases": [
        {"name": "shell", "in": "query", "schema": {"type": "string", "enum": ["bash", "zsh", "fish"]}}
    ],
    "/api/import": [
        {
            "name": "dry_run",
            "in": "query",
            "schema": YES_OR_NO,
            "description": "1 changes nothing, and says in `plan` what would happen to each account.",
        },
        {"name": "name", "in": "query", "schema": TEXT, "description": "What the only account in it shall be called."},
        {
            "name": "move_logins",
            "in": "query",
            "schema": YES_OR_NO,
            "description": "1 takes another tool's logins with their tokens; it must drop them then.",
        },
    ],
    "/api/export": [
        {
            "name": "refresh_tokens",
            "in": "query",
            "schema": YES_OR_NO,
            "description": "0 leaves them out, so that the copy cannot spend what this machine needs.",
        }
    ],
}
_FAILURES = {
    400: "A value breaks a rule; `field` names it",
    401: "Not signed in, or not wholly: the answer names what is still asked for (`second_factor`)",
    403: "A foreign Host or Origin, a wrong password or factor, one that is wanted again (`step_up`), or a scope",
    404: "There is no such account, folder or terminal",
    409: "The name is taken, or the account is not in a state for this",
    413: "The body is too large",
    415: "The body is not application/json, or not a picture where one is wanted",
    429: "Too many wrong passwords; Retry-After says how many seconds to wait",
    502: "The token endpoint failed",
    503: "The accounts database or a lock cannot be used right now",
}


def check_body(data: object, name: str) -> dict[str, Any]:
    """Return `data` if it fits the schema of that name. Raises InvalidInput that names the field."""
    schema = SCHEMAS[name]
    if not isinstance(data, dict):
        raise InvalidInput(_("the body must be a JSON object"))
    for field in data:
        if field not in schema["properties"]:
            known = ", ".join(schema["properties"]) or "-"
            shown = printable(field)[:60]
            raise InvalidInput(_("unknown field {field}", field=shown), _("known: {fields}", fields=known), shown)
    for field in schema.get("required", ()):
        if field not in data:
            raise InvalidInput(_("{field} is missing", field=field), field=field)
    for field, value in data.items():
        _check_value(value, schema["properties"][field], field)
    return data


def _check_value(value: object, schema: Schema, field: str) -> None:
    wanted = schema["type"]
    kinds = wanted if isinstance(wanted, list) else [wanted]
    if not any(_is_kind(value, kind) for kind in kinds):
        raise InvalidInput(
            _("{field} must be of type {type}", field=field, type=" | ".join(map(str, kinds))), field=field
        )
    if "enum" in schema and value not in schema["enum"]:
        raise InvalidInput(
            _("{field} must be one of {values}", field=field, values=", ".join(schema["enum"])), field=field
        )


def _is_kind(value: object, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    python = {"string": str, "integer": int, "boolean": bool, "object": dict, "null": type(None)}[kind]
    return isinstance(value, python)


def document(cookie: str = "claude_accounts_session") -> dict[str, Any]:
    """Return the OpenAPI 3.1 description; `cookie` is the name that the session's has here."""
    paths: dict[str, dict[str, Any]] = {}
    for (method, path), operation in OPERATIONS.items():
        paths.setdefault(path, {})[method] = _operation(method, path, *operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Claude Accounts Manager",
            "version": VERSION,
            "description": "Several Claude Code accounts, one shared ~/.claude. Times are epoch milliseconds.",
        },
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "apiToken": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"},
                "session": {"type": "apiKey", "in": "cookie", "name": cookie},
            },
        },
        "security": [{"apiToken": []}, {"session": []}],
    }


def _operation(
    method: str, path: str, summary: str, body: str | None, status: int, answer: str | Schema, failures: tuple[int, ...]
) -> dict[str, Any]:
    found: dict[str, Any] = {"summary": summary, "operationId": f"{method} {path}"}
    parameters = list(_PARAMETERS.get(path, []))
    if "{" in path:
        name = path[path.index("{") + 1 : path.index("}")]
        parameters.append({"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}})
    if parameters:
        found["parameters"] = parameters
    codes = {403, *failures}
    if body == "Image":
        binary = {"schema": {"type": "string", "contentEncoding": "binary"}}
        found["requestBody"] = {"required": True, "content": dict.fromkeys(IMAGE_TYPES, binary)}
        codes |= {400, 413, 415, 503}
    elif body is not None:
        needed = body == "ImportFile" or "required" in SCHEMAS[body]
        found["requestBody"] = {"required": needed, "content": _json(f"#/components/schemas/{body}")}
        codes |= {400, 413, 415, 503}
    if method == "get" and path != "/healthz":
        codes |= {400, 503}
    if path in PUBLIC:
        found["security"] = []
    else:
        codes.add(401)
    if body and "assword" in str(SCHEMAS.get(body)):
        codes.add(429)
    schema = {"$ref": f"#/components/schemas/{answer}"} if isinstance(answer, str) else answer
    responses: dict[str, Any] = {
        str(status): {"description": "Done", "content": {"application/json": {"schema": schema}}}
    }
    for code in sorted(codes):
        responses[str(code)] = {"description": _FAILURES[code], "content": _json("#/components/schemas/Error")}
    return found | {"responses": responses}


def _json(reference: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": reference}}}
