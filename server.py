#!/usr/bin/env python3
"""The web application: the page, the API and the sockets in one piece, behind one gate.

What a route does is in dashboard/routes/, what a terminal does in terminal/events.py, how the application is run in
dashboard/serving.py.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    # As cli.py does.
    sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
    __import__("own_python").isolate()

from importlib import import_module

if __name__ == "__main__":
    sys.exit(import_module("bare_names").member("cli").main(["serve", *sys.argv[1:]]))
if not __package__:
    import_module("bare_names").adopt(globals())

import logging

import flask_socketio
from flask import Flask, Response, g, jsonify, request
from werkzeug.exceptions import NotFound

from .dashboard import api, browser_libs, callers, openapi
from .dashboard.api import Config
from .dashboard.door import KNOWN, VISIT
from .dashboard.live_updates import LiveUpdates
from .dashboard.origin import Gate
from .dashboard.page_files import ALWAYS_ASK, FOR_EVER, PageFiles
from .dashboard.routes import (
    accounts as api_accounts,
    auth as api_auth,
    factors as api_factors,
    folders as api_folders,
    journal as api_journal,
    sessions as api_sessions,
    tokens as api_tokens,
)
from .messages import printable
from .terminal import events as terminal_events

STATIC = os.path.join(os.path.dirname(os.path.abspath(__file__)), "static")
log = logging.getLogger("claude_accounts.requests")


def create_app(config: Config | None = None) -> Flask:
    """Return a new application; nothing of it is shared with another one, and nothing starts before a request."""
    config = config or Config()
    app = Flask("claude_accounts", static_folder=None)
    socketio = flask_socketio.SocketIO(
        app,
        async_mode="threading",
        # The gate has checked Host and Origin before any of these is reached; [] keeps other origins without a grant.
        cors_allowed_origins=[],
        manage_session=False,
        # Two key strokes must not overtake each other.
        async_handlers=False,
        ping_interval=10,
        ping_timeout=5,
    )
    live = LiveUpdates(socketio, behind_proxy=config.behind_proxy)
    terminals = terminal_events.register(socketio, allow=live.require)
    app.extensions["claude_accounts"] = api.Parts(config, live, terminals)
    app.extensions["claude_accounts_list"] = api_accounts.AccountList()
    api.register(app)
    _register_sockets(socketio, live)
    _register_pages(app)
    for routes in (api_auth, api_factors, api_tokens, api_accounts, api_folders, api_sessions, api_journal):
        app.register_blueprint(routes.blueprint)
    app.after_request(_log_request)
    # Socket.IO's endpoint never reaches Flask, so the gate goes around everything.
    gate = Gate(
        live.door(app.wsgi_app),
        remote=config.remote,
        trusted_hosts=config.trusted_hosts,
        behind_proxy=config.behind_proxy,
    )
    app.wsgi_app = gate  # type: ignore[method-assign]
    return app


def _register_pages(app: Flask) -> None:
    files = PageFiles()

    @app.get("/")
    def page() -> Response:
        return files.answer(STATIC, "index.html", ALWAYS_ASK)

    @app.get("/static/<path:name>")
    def static(name: str) -> Response:
        return files.answer(STATIC, name, ALWAYS_ASK)

    @app.get("/vendor/<lock_id>/<name>")
    def vendor(lock_id: str, name: str) -> Response:
        folder = browser_libs.vendor_folder()
        if not folder or lock_id != browser_libs.lock_id():
            raise NotFound
        return files.answer(folder, name, FOR_EVER)

    @app.get("/healthz")
    def health() -> Response:
        return jsonify({"status": "ok"})

    @app.get("/api/openapi.json")
    def description() -> Response:
        return jsonify(openapi.document(callers.cookie_name(request.environ)))


def _register_sockets(socketio: flask_socketio.SocketIO, live: LiveUpdates) -> None:
    @socketio.on("connect")
    def connect(auth: object = None) -> bool:
        shown = auth if isinstance(auth, dict) else {}
        owner = api.authenticated(shown.get("token"), shown.get("page_secret"))
        if owner is None:
            return False
        live.opened(request.sid, owner, g.token)  # type: ignore[attr-defined]
        return True


def _log_request(response: Response) -> Response:
    """Log what changes something or fails: never a query, a header or a body."""
    if request.method not in ("GET", "HEAD") or response.status_code >= 400:
        path = printable(request.path[:200])
        visit = request.environ.get(VISIT)
        told = {"stranger": visit is not None and visit.standing != KNOWN}
        log.info("%s %s %s %s", request.remote_addr, request.method, path, response.status_code, extra=told)
    return response
