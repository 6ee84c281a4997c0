"""Offer the report as a page and over HTTP: `saliency serve`."""

import importlib.util
import ipaddress
import logging
import socket
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from saliency.commands.arguments import parse
from saliency.errors import InputError

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from saliency.serve.app import Offer
    from saliency.serve.limits import Limits
    from saliency.serve.reporting import Opened


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """Start a server on this computer: a page on which a video is uploaded, regions are drawn, and the report is read
    and downloaded. The page is also an HTTP interface (docs/serve.md). It ends with Ctrl-C, and removes everything.

    Attributes:
        host: address to listen on; 127.0.0.1 is reached from this computer alone, 0.0.0.0 by everybody.
        port: to listen on; 0 takes a free one.
        weights: models to offer, by name or as weights files; default: all that are on this computer.
        megabytes: largest file.
        seconds: longest video.
        waiting: videos that may wait for their turn; one is measured at a time.
        videos: uploads that are kept at once.
        minutes: how long an upload and its results are kept after they were last looked at.
        device: auto, cpu, cuda, cuda:1, ...
        batch_size: clips computed at once; lower it when memory runs out.
        backend: who computes: auto takes OpenVINO on a CPU when it is installed and there is enough to do, else torch.
        precision: arithmetic: auto is fp32; bf16 and fp16 where the processor has them.
    """  # noqa: D205

    host: str = "127.0.0.1"
    port: int = 7860
    weights: tuple[str, ...] = ()
    megabytes: float = 200
    seconds: float = 120
    waiting: int = 8
    videos: int = 32
    minutes: float = 30
    device: str = "auto"
    batch_size: int = 4
    backend: Literal["auto", "torch", "openvino", "onnx"] = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"


def main(words: Sequence[str]) -> int:
    """Run the tool."""
    arguments = parse(
        Arguments, words, command="serve", more=("waiting", "videos", "batch_size", "backend", "precision")
    )
    for package in ("starlette", "uvicorn"):
        if importlib.util.find_spec(package) is None:
            raise InputError(f"saliency serve needs {package}: pip install 'video-saliency[serve]'")
    import uvicorn

    from saliency.serve.limits import Limits

    limits = Limits(
        megabytes=arguments.megabytes,
        seconds=arguments.seconds,
        waiting=arguments.waiting,
        videos=arguments.videos,
        minutes=arguments.minutes,
    )
    logging.getLogger("saliency.io").setLevel(logging.ERROR)  # warnings name uploaded files; the page shows them
    with (
        _listen(arguments.host, arguments.port) as listening,
        tempfile.TemporaryDirectory(prefix="saliency-serve-", ignore_cleanup_errors=True) as folder,
    ):
        app = _app(arguments, limits, Path(folder))
        host, port = listening.getsockname()[:2]
        print(f"page: http://{f'[{host}]' if ':' in host else host}:{port}  (Ctrl-C ends it)", flush=True)
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=5
        )
        uvicorn.Server(config).run(sockets=[listening])
    return 0


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port < 65536:
        raise InputError(f"--port must lie between 0 and 65535, got {port}")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (while")[0]
        raise InputError(f"{host}:{port}: cannot be listened on ({reason}); choose another --port or --host") from error


def _app(arguments: Arguments, limits: "Limits", folder: Path) -> "Starlette":
    from saliency.serve.app import Server, make_app
    from saliency.serve.jobs import Jobs
    from saliency.serve.reporting import measuring

    weights, offers = _offers(arguments.weights)
    opened: dict[str, Opened] = {}

    def open_model(name: str) -> "Opened":
        chosen = name or offers[0].name
        if chosen not in opened:
            opened[chosen] = _opened(weights[chosen], arguments)
        return opened[chosen]

    open_model("")  # what cannot be opened is said now, not to the first visitor
    jobs = Jobs(folder / "videos", measuring(open_model), limits)
    hosts = [arguments.host, "localhost"] if _for_this_computer(arguments.host) else []
    return make_app(Server(jobs=jobs, limits=limits, models=offers, folder=folder, hosts=hosts))


def _offers(weights: Sequence[str]) -> "tuple[dict[str, str], list[Offer]]":
    """Return what is offered under which name (a file's is that without folder and ending), and what is said of it."""
    from saliency.inference.zoo import list_models, resolve
    from saliency.serve.app import Offer

    entries = {entry.name: entry for entry in list_models()}
    chosen = weights or [name for name, entry in entries.items() if entry.path is not None]
    named = {given if given in entries else Path(given).stem: given for given in chosen}
    for given in chosen:
        resolve(given)  # a missing one is said now
    return named, [Offer(name=name, about=entries[name].about if name in entries else "") for name in named]


def _opened(name: str, arguments: Arguments) -> "Opened":
    from saliency.commands.predicting import load_models, make_predictor, notes_of
    from saliency.serve.reporting import Opened

    models = load_models(
        [name],
        ensemble=False,
        device=arguments.device,
        backend=arguments.backend,
        precision=arguments.precision,
    )
    predictor = make_predictor(models, batch_size=arguments.batch_size)
    return Opened(predictor=predictor, notes=notes_of(models))


def _for_this_computer(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
