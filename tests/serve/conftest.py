"""A server on a free port of this computer, with a model that takes no time."""

import contextlib
import socket
import threading
import time

import numpy as np
import pytest
import torch
import uvicorn

from saliency.attention.notes import ModelNotes
from saliency.io.video_writer import VideoWriter
from saliency.serve.app import Offer, Server, make_app
from saliency.serve.client import Client
from saliency.serve.jobs import Jobs
from saliency.serve.limits import Limits
from saliency.serve.reporting import Opened, measuring

SIZE = (72, 128)


class Bright:
    """Maps that are the brightness, squared; `pause` holds every frame back until it is set."""

    def __init__(self):
        self.pause = threading.Event()
        self.pause.set()

    def maps(self, source):
        for i, frame in enumerate(source.iterate()):
            self.pause.wait(20)
            yield i, torch.from_numpy((frame[::2, ::2].mean(axis=2) / 255) ** 2).float()


def write_film(path, frames=12, fps=10):
    """A bright box, 16 wide and 20 high, at (96, 20), on dark ground."""
    picture = np.full((*SIZE, 3), 20, dtype=np.uint8)
    picture[20:40, 96:112] = 250
    with VideoWriter(path, fps, SIZE) as video:
        for _ in range(frames):
            video.write(picture)
    return path


@pytest.fixture
def film(tmp_path):
    return write_film(tmp_path / "my ad.mp4")


@pytest.fixture
def bright():
    return Bright()


@contextlib.contextmanager
def running(folder, predictor, limits, address="127.0.0.1"):
    """Yield a client of a server that keeps its uploads in a folder."""

    def open_model(name):
        if name == "broken":
            raise RuntimeError("a fault of the program")
        return Opened(predictor=predictor, notes=ModelNotes(name="bright", about="looks at what is bright"))

    models = [Offer(name="bright", about="looks at what is bright"), Offer(name="broken", about="has a fault")]
    jobs = Jobs(folder / "videos", measuring(open_model), limits)
    app = make_app(Server(jobs=jobs, limits=limits, models=models, folder=folder, hosts=["127.0.0.1", "localhost"]))
    with socket.create_server((address, 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False, timeout_graceful_shutdown=2))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            yield Client(f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=20)
        finally:
            predictor.pause.set()
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()


@pytest.fixture
def served(tmp_path, bright):
    """Call it with limits for a client; everything is gone after the test."""
    folder = tmp_path / "server"
    folder.mkdir()
    with contextlib.ExitStack() as opened:
        yield lambda **limits: opened.enter_context(running(folder, bright, Limits(**limits)))
    assert not (folder / "videos").exists()
