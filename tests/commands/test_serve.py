"""`saliency serve` as a user starts and ends it."""

import importlib.util
import os
import signal
import socket
import subprocess
import sys

import pytest

from saliency.commands.main import main
from saliency.serve.client import Client


@pytest.fixture
def refused(capsys):
    def call(*words):
        with pytest.raises(SystemExit) as done:
            main(["serve", *words])
        assert done.value.code == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        return said

    return call


def test_what_cannot_be_served(refused, monkeypatch, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"127.0.0.1:{port}: cannot be listened on (Address already in use); choose another --port" in refused(
            "--port", str(port)
        )
    assert "--port must lie between 0 and 65535, got 70000" in refused("--port", "70000")
    assert "seconds must be above 0, got 0" in refused("--seconds", "0")
    assert "no such file, and no model of this name" in refused("--port", "0", "--weights", str(tmp_path / "no.pt"))
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "uvicorn" else found(name))
    assert "saliency serve needs uvicorn: pip install 'video-saliency[serve]'" in refused()


def test_it_listens_here_alone_and_leaves_nothing(tmp_path):
    command = [sys.executable, "-m", "saliency", "serve", "--port", "0", "--device", "cpu"]
    env = {**os.environ, "TMPDIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            line = process.stdout.readline()
            assert line.startswith("page: http://127.0.0.1:")
            client = Client(line.split()[1])
            assert [model["name"] for model in client.facts()["models"]][:2] == ["real_gaze", "mini_vinet_a"]
            (tmp_path / "page.mp4").write_text("<html>")
            assert [path.name[:15] for path in tmp_path.iterdir() if path.is_dir()] == ["saliency-serve-"]
        finally:
            process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err.strip()) == (143, "stopped by SIGTERM")
    assert [path.name for path in tmp_path.iterdir()] == ["page.mp4"]
