"""Owns the question whether the dashboard of this very machine answers; run as a program, it exits 0 when it does.

No proxy stands between us and ourselves, and a certificate that we made needs nobody to vouch for it. It imports
nothing of the program, so that a container's health check costs little.
"""

from __future__ import annotations

import http.client
import ssl
import sys

_SECONDS = 2.0


def answers(port: int) -> bool:
    """Tell whether a dashboard answers on a port of this machine, by HTTP or by HTTPS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return _is_well(http.client.HTTPConnection("127.0.0.1", port, timeout=_SECONDS)) or _is_well(
        http.client.HTTPSConnection("127.0.0.1", port, timeout=_SECONDS, context=context)
    )


def _is_well(connection: http.client.HTTPConnection) -> bool:
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if answers(int(sys.argv[1])) else 1)
