"""What every answer tells the browser, and whom the server does not listen to."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PAGE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The page loads from this server alone, and no other page may show it."""
REPORT = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src 'self' data:; "
    "media-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""A report holds its style and script itself, and is shown inside the page."""


class Guard:
    """Adds headers, and refuses requests that another site's page makes a browser send."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str] = ()) -> None:
        """Stand before an app.

        Args:
            app: what answers.
            hosts: names under which it may be asked; none: any. With names of this computer alone, no site whose name
                is made to point here can read an answer.
        """
        self._app, self._hosts = app, frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        policy = REPORT if scope["path"].endswith("/files/report.html") else PAGE

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = policy
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
                headers["Cache-Control"] = "no-store"
            await send(message)

        if self._unknown_host(scope) or _foreign(scope):
            answer = JSONResponse({"error": "requests from other sites are refused"}, status_code=403)
            await answer(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)

    def _unknown_host(self, scope: Scope) -> bool:
        host = urlsplit(f"//{Headers(scope=scope).get('host', '')}").hostname
        return bool(self._hosts) and host not in self._hosts


def _foreign(scope: Scope) -> bool:
    """Whether a browser says that the request comes from a page of another origin."""
    headers = Headers(scope=scope)
    origin = headers.get("origin")
    if origin is None or scope["method"] in ("GET", "HEAD"):
        return False
    return urlsplit(origin).netloc != headers.get("host")
