"""Owns how the page's files are sent: only known types from one folder, compressed once, checked by ETag.

It knows no route and no account.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import threading
from typing import NamedTuple

from flask import Response, request
from werkzeug.exceptions import NotFound
from werkzeug.security import safe_join

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
}
_COMPRESSED = (".html", ".css", ".js", ".json", ".svg", ".txt", ".webmanifest")
ALWAYS_ASK = "no-cache"
FOR_EVER = "public, max-age=31536000, immutable"


class _Loaded(NamedTuple):
    mark: tuple[int, int, int]
    data: bytes
    compressed: bytes
    etag: str


class PageFiles:
    """Files that have been read once, by path; a changed file is read again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loaded: dict[str, _Loaded] = {}

    def answer(self, folder: str, name: str, cache_control: str) -> Response:
        """Return the file `name` (with slashes) of `folder`. Raises NotFound for anything but a page's file in it."""
        path = safe_join(folder, name)
        extension = os.path.splitext(name)[1]
        hidden = any(part.startswith(".") for part in name.split("/"))
        if path is None or hidden or extension not in TYPES or not os.path.isfile(path):
            raise NotFound
        if not os.path.realpath(path).startswith(os.path.realpath(folder) + os.sep):
            raise NotFound
        loaded = self._load(path, extension)
        response = Response(mimetype=None, content_type=TYPES[extension])
        response.headers["Cache-Control"] = cache_control
        etag = loaded.etag
        if loaded.compressed:
            response.headers["Vary"] = "Accept-Encoding"
        if loaded.compressed and request.accept_encodings["gzip"] > 0:
            response.headers["Content-Encoding"] = "gzip"
            response.set_data(loaded.compressed)
            etag += "-gzip"
        else:
            response.set_data(loaded.data)
        response.set_etag(etag)
        response.make_conditional(request)
        return response

    def _load(self, path: str, extension: str) -> _Loaded:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            mark = (status.st_ino, status.st_mtime_ns, status.st_size)
            with self._lock:
                known = self._loaded.get(path)
            if known is not None and known.mark == mark:
                return known
            data = file.read()
        compressed = gzip.compress(data, 9, mtime=0) if extension in _COMPRESSED and len(data) > 500 else b""
        loaded = _Loaded(mark, data, compressed, hashlib.sha256(data).hexdigest()[:32])
        with self._lock:
            self._loaded[path] = loaded
        return loaded
