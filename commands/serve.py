"""The command `serve`: the dashboard, until Ctrl-C."""

from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING

from ..messages import InvalidInput, Misuse, _
from .console import add_command, given

if TYPE_CHECKING:
    import argparse

    from .console import Subparsers

# More of what --trusted-host names, separated by commas or spaces.
_TRUSTED_HOSTS = "CLAUDE_ACCOUNTS_TRUSTED_HOSTS"


def register(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "serve",
        help=_("serve the web dashboard and open it in the browser"),
        example="claude-accounts serve --port 8080",
    )
    parser.add_argument("--port", type=int, default=5111, metavar=_("PORT"), help=_("the port (5111)"))
    parser.add_argument("--remote", action="store_true", help=_("let other machines reach it, not only this one"))
    parser.add_argument("--no-browser", action="store_true", help=_("do not open the browser"))
    parser.add_argument(
        "--trusted-host",
        action="append",
        default=[],
        metavar=_("NAME"),
        help=_("a name under which browsers reach it, for example through a proxy; may be repeated"),
    )
    parser.add_argument(
        "--behind-proxy",
        action="store_true",
        help=_("every request comes through one proxy that sets X-Forwarded-For"),
    )
    certificate = _("serve HTTPS with this certificate (PEM)")
    parser.add_argument("--tls-cert", type=given, metavar=_("FILE"), help=certificate)
    parser.add_argument("--tls-key", type=given, metavar=_("FILE"), help=_("and this private key (PEM)"))
    parser.add_argument(
        "--tls", action="store_true", help=_("serve HTTPS with a certificate of its own, whose fingerprint it prints")
    )
    parser.set_defaults(run=serve)


def serve(arguments: argparse.Namespace) -> None:
    """Serve until a signal ends it."""
    # No other command pays for Flask and gunicorn.
    if not 0 <= arguments.port <= 65535:
        raise Misuse(_("a port is a number from 0 to 65535"), "claude-accounts serve --port 5111")
    gc.enable()
    from ..dashboard.origin import trusted_name
    from ..dashboard.serving import Options, serve as run
    from ..server import create_app

    named = os.environ.get(_TRUSTED_HOSTS, "").replace(",", " ").split()
    try:
        trusted_hosts = tuple(map(trusted_name, (*arguments.trusted_host, *named)))
    except InvalidInput as error:
        raise Misuse(error.message, error.hint) from error
    run(
        Options(
            port=arguments.port,
            remote=arguments.remote,
            browser=not arguments.no_browser,
            trusted_hosts=trusted_hosts,
            behind_proxy=arguments.behind_proxy,
            certificate=arguments.tls_cert or "",
            key=arguments.tls_key or "",
            self_signed=arguments.tls,
        ),
        create_app,
    )
