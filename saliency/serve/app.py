"""The addresses of the page and of the HTTP interface; `docs/serve.md` lists them."""

import contextlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

import saliency
from saliency.errors import InputError
from saliency.serve.example import write_example
from saliency.serve.guard import Guard
from saliency.serve.jobs import Busy, Job, Jobs, in_words
from saliency.serve.limits import Limits
from saliency.serve.orders import parse_order
from saliency.serve.reporting import files_of
from saliency.serve.uploads import inspect, picture, safe_name

log = logging.getLogger(__name__)

ASSETS = Path(saliency.__file__).parent / "assets" / "serve"
EXAMPLE = "example.mp4"
_DECODING = 2
"""Uploads that are looked into at once."""
_SWEEP = 10.0
"""Seconds between two looks for what was kept long enough."""
_MOST_JSON = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A model that can be chosen.

    Attributes:
        name: of it.
        about: what it is, in a sentence.
    """

    name: str
    about: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What the addresses work on.

    Attributes:
        jobs: the uploads; closed when the app ends.
        limits: what is accepted.
        models: what can be chosen, the default one first.
        folder: for the example video, which is drawn when it is first asked for.
        hosts: names under which the page may be asked for; none: any.
    """

    jobs: Jobs
    limits: Limits
    models: Sequence[Offer]
    folder: Path
    hosts: Sequence[str] = ()


class TooLarge(InputError):
    """A file has more bytes than are accepted."""


def make_app(server: Server) -> Starlette:
    """Return the app."""
    addresses = _Addresses(server)
    videos = "/api/videos"
    routes = [
        Route("/", _asset("page.html", "text/html")),
        Route("/page.css", _asset("page.css", "text/css")),
        Route("/page.js", _asset("page.js", "text/javascript")),
        Route("/api", addresses.facts),
        Route(videos, addresses.upload, methods=["POST"]),
        Route(f"{videos}/example", addresses.example, methods=["POST"]),
        Route(f"{videos}/{{id}}", addresses.remove, methods=["DELETE"]),
        Route(f"{videos}/{{id}}", addresses.state),
        Route(f"{videos}/{{id}}/measure", addresses.measure, methods=["POST"]),
        Route(f"{videos}/{{id}}/frames/{{frame:int}}.jpg", addresses.frame),
        Route(f"{videos}/{{id}}/files/{{name}}", addresses.file),
    ]
    middleware = [Middleware(Guard, hosts=server.hosts)]
    handlers: dict[Any, Any] = {
        InputError: _bad_input,
        HTTPException: _http_error,
        ClientDisconnect: _gone,
        Exception: _fault,
    }
    return Starlette(routes=routes, middleware=middleware, exception_handlers=handlers, lifespan=_lifespan(server))


class _Addresses:
    def __init__(self, server: Server) -> None:
        self._server, self._jobs, self._limits = server, server.jobs, server.limits
        self._decoding = anyio.CapacityLimiter(_DECODING)
        self._drawing = anyio.Lock()

    async def facts(self, request: Request) -> Response:
        """What the server offers and accepts."""
        return JSONResponse(
            {
                "version": saliency.__version__,
                "limits": asdict(self._limits),
                "models": [asdict(model) for model in self._server.models],
            }
        )

    async def upload(self, request: Request) -> Response:
        """Take the body as a file and look into it."""
        name = safe_name(request.query_params.get("name", ""))
        length = request.headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._limits.bytes:
            raise _too_large(name, self._limits)
        return await self._take(self._jobs.add(name), lambda job: self._receive(request, job))

    async def example(self, request: Request) -> Response:
        """Put the example video in the place of an upload."""
        return await self._take(self._jobs.add(EXAMPLE), self._draw)

    async def state(self, request: Request) -> Response:
        """Tell how far a video is, and what was measured."""
        return JSONResponse(self._told(self._job(request)))

    async def measure(self, request: Request) -> Response:
        """Let a video wait for its turn."""
        job = self._job(request)
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > _MOST_JSON:
                raise InputError("this order is too long")
        try:
            given = json.loads(body or b"{}")
        except (ValueError, RecursionError) as error:
            raise InputError(f"this order is not JSON ({error})") from error
        self._jobs.start(job, parse_order(given, [model.name for model in self._server.models]))
        return JSONResponse(self._told(job), status_code=202)

    async def frame(self, request: Request) -> Response:
        """Give a frame as a JPEG."""
        job = self._job(request)
        if job.found is None:
            raise HTTPException(404, "this video is not complete yet")
        jpeg = await self._decoded(job, picture, job.video, request.path_params["frame"])
        return Response(jpeg, media_type="image/jpeg")

    async def file(self, request: Request) -> Response:
        """Give one of the results."""
        job = self._job(request)
        name = request.path_params["name"]
        if job.state != "done" or name not in files_of(job.results):
            raise HTTPException(404, f"there is no file {safe_name(name)} of this video")
        kind = "inline" if request.query_params.get("show") else "attachment"
        return FileResponse(job.results / name, filename=name, content_disposition_type=kind)

    async def remove(self, request: Request) -> Response:
        """Remove a video and everything made of it."""
        self._jobs.remove(self._job(request))
        return Response(status_code=204)

    def _job(self, request: Request) -> Job:
        job = self._jobs.get(request.path_params["id"])
        if job is None:
            raise HTTPException(404, "this video is not here any more; upload it again")
        return job

    async def _take(self, job: Job, fill: Callable[[Job], Awaitable[None]]) -> Response:
        """Fill the place of an upload and look into it; whatever goes wrong, no part of it stays."""
        try:
            await fill(job)
            found = await self._decoded(job, inspect, job.video, self._limits)
        except BaseException:
            self._jobs.remove(job)
            raise
        self._jobs.arrived(job, found)
        return JSONResponse(self._told(job), status_code=201)

    async def _receive(self, request: Request, job: Job) -> None:
        received = 0
        async with await anyio.open_file(job.video, "wb") as file:
            async for part in request.stream():
                received += len(part)
                if received > self._limits.bytes:
                    raise _too_large(job.video.name, self._limits)
                await file.write(part)
        if not received:
            raise InputError(f"{job.video.name}: is empty; choose another file")

    async def _draw(self, job: Job) -> None:
        drawn = self._server.folder / EXAMPLE
        async with self._drawing:
            if not drawn.is_file():
                await anyio.to_thread.run_sync(write_example, drawn)
        job.video.hardlink_to(drawn)

    async def _decoded(self, job: Job, work: Callable[..., Any], *arguments: object) -> Any:
        try:
            return await anyio.to_thread.run_sync(work, *arguments, limiter=self._decoding)
        except InputError as error:
            raise InputError(in_words(str(error), job)) from error

    def _told(self, job: Job) -> dict[str, object]:
        found = None if job.found is None else asdict(job.found)
        files = files_of(job.results) if job.state == "done" else {}
        return {
            "id": job.id,
            "name": job.video.name,
            "state": job.state,
            "found": found,
            "before": self._jobs.before(job),
            "done": job.done,
            "message": job.message,
            "numbers": job.numbers,
            "files": [{"name": name, "about": about} for name, about in files.items()],
        }


def _asset(name: str, kind: str) -> Callable[[Request], Awaitable[Response]]:
    async def give(request: Request) -> Response:
        return FileResponse(ASSETS / name, media_type=kind)

    return give


def _too_large(name: str, limits: Limits) -> TooLarge:
    return TooLarge(
        f"{name}: is larger than the {limits.megabytes:g} MB that this page takes; shorten or compress it, or run "
        "`saliency report` on your own computer, which has no limit"
    )


def _lifespan(server: Server) -> Callable[[Starlette], contextlib.AbstractAsyncContextManager[None]]:
    @contextlib.asynccontextmanager
    async def live(app: Starlette) -> AsyncIterator[None]:
        async def sweep() -> None:
            while True:
                await anyio.sleep(_SWEEP)
                await anyio.to_thread.run_sync(server.jobs.sweep)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sweep)
            yield
            tasks.cancel_scope.cancel()
        server.jobs.close()

    return live


def _said(message: str, status: int) -> Response:
    return JSONResponse({"error": " ".join(message.split())}, status_code=status)


async def _bad_input(request: Request, error: Exception) -> Response:
    status = 413 if isinstance(error, TooLarge) else 503 if isinstance(error, Busy) else 400
    return _said(str(error), status)


async def _http_error(request: Request, error: HTTPException) -> Response:
    return _said(error.detail, error.status_code)


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=400)  # nobody is there to read it


async def _fault(request: Request, error: Exception) -> Response:
    return _said("this server has a fault; whoever runs it finds more in its log", 500)
