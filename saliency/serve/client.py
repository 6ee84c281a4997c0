"""A client of `saliency serve` in Python; it needs nothing but the standard library.

>>> from saliency.serve.client import Client
>>> client = Client("http://127.0.0.1:7860")
>>> numbers = client.report("ad.mp4", "out", regions={"logo": [20, 10, 90, 40]})  # doctest: +SKIP
>>> numbers["regions"]["logo"]["attention"]  # doctest: +SKIP
0.21
"""

import http.client
import json
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from saliency.errors import InputError

_POLL = 0.5
"""Seconds between two questions whether a video is done."""


class Client:
    """Talks to one server."""

    def __init__(self, address: str = "http://127.0.0.1:7860", *, timeout: float = 60) -> None:
        """Remember the address.

        Args:
            address: of the page.
            timeout: seconds to wait for any single answer.
        """
        self.address = address.rstrip("/")
        self._timeout = timeout

    def facts(self) -> dict[str, Any]:
        """Return the server's version, limits and models."""
        return self._json("GET", "/api")

    def upload(self, path: str | Path) -> dict[str, Any]:
        """Upload a video or a picture and return its state; ``["id"]`` is its name from now on.

        Raises:
            InputError: there is no such file, the server takes no such file, or it has no room.
        """
        path = Path(path)
        if not path.is_file():
            raise InputError(f"{path}: no such file")
        size, most = path.stat().st_size, self.facts()["limits"]["megabytes"]
        if size > most * 1e6:
            raise InputError(f"{path}: has {size / 1e6:.1f} MB; {self.address} takes up to {most:g} MB")
        with path.open("rb") as file:
            return self._json("POST", f"/api/videos?name={quote(path.name)}", file, length=size)

    def measure(self, id: str, **order: object) -> dict[str, Any]:
        """Let an uploaded video be measured and return its state, which is ``waiting``.

        Args:
            id: of the upload.
            order: see `saliency.serve.orders.Order`.
        """
        body = json.dumps(order).encode()
        return self._json("POST", f"/api/videos/{id}/measure", body, length=len(body))

    def state(self, id: str) -> dict[str, Any]:
        """Return how far a video is, its numbers and the names of its files."""
        return self._json("GET", f"/api/videos/{id}")

    def download(self, id: str, name: str, path: str | Path) -> None:
        """Write one of a video's files to `path`."""
        with self._open("GET", f"/api/videos/{id}/files/{quote(name)}") as answer, Path(path).open("wb") as file:
            shutil.copyfileobj(answer, file)

    def remove(self, id: str) -> None:
        """Remove a video and everything that was made of it from the server."""
        self._open("DELETE", f"/api/videos/{id}").close()

    def report(
        self,
        path: str | Path,
        out: str | Path,
        *,
        regions: Mapping[str, Sequence[Any]] | None = None,
        on_state: Callable[[dict[str, Any]], None] = lambda state: None,
        **order: object,
    ) -> dict[str, Any]:
        """Upload, measure, wait, download everything into a folder, and remove it from the server.

        Args:
            path: a video or a picture.
            out: folder for the files; made if missing.
            regions: name -> [left, top, width, height] or corners of a polygon, in pixels.
            on_state: called with each state while it waits.
            order: ``model``, ``crop``, ``thumbnails``, ``maps``: see `saliency.serve.orders.Order`.

        Returns:
            The numbers of the whole video.

        Raises:
            InputError: the file cannot be taken or measured; the message is the server's.
        """
        id = self.upload(path)["id"]
        try:
            state = self.measure(id, regions=dict(regions or {}), **order)
            while state["state"] in ("waiting", "running"):
                time.sleep(_POLL)
                state = self.state(id)
                on_state(state)
            if state["state"] != "done":
                raise InputError(state["message"])
            Path(out).mkdir(parents=True, exist_ok=True)
            for file in state["files"]:
                self.download(id, file["name"], Path(out) / file["name"])
            return state["numbers"]
        finally:
            self.remove(id)

    def _json(self, method: str, path: str, body: Any = None, length: int = 0) -> dict[str, Any]:
        with self._open(method, path, body, length) as answer:
            return json.load(answer)

    def _open(self, method: str, path: str, body: Any = None, length: int = 0) -> http.client.HTTPResponse:
        headers = {} if body is None else {"Content-Length": str(length), "Content-Type": "application/octet-stream"}
        request = urllib.request.Request(f"{self.address}{path}", data=body, method=method, headers=headers)
        try:
            return urllib.request.urlopen(request, timeout=self._timeout)
        except urllib.error.HTTPError as error:
            with error:
                raise InputError(_message(error)) from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise InputError(f"{self.address}: no answer ({reason}); is `saliency serve` running there?") from error


def _message(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["error"])
    except (ValueError, KeyError, TypeError):
        return f"{error.url}: answers {error.code} {error.reason}"
