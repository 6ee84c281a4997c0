"""Arrays, cameras and streams are frame sources like files; streams come from stand-in servers on this machine."""

import http.server
import re
import socket
import struct
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from saliency.errors import InputError
from saliency.io.sources import open_source
from saliency.io.stamped import Recipe, scene, write_stamped
from saliency.io.streams import CameraFrames

SIZE = (48, 80)
PICTURES = np.random.default_rng(0).integers(0, 256, (5, *SIZE, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "source", [PICTURES, torch.from_numpy(PICTURES), list(PICTURES), [Image.fromarray(p) for p in PICTURES]]
)
def test_arrays_are_frames(source):
    with open_source(source, fps=12) as frames:
        assert (len(frames), frames.size, frames.fps) == (5, SIZE, 12)
        np.testing.assert_array_equal(frames.read([4, 0, 0]), PICTURES[[4, 0, 0]])
        np.testing.assert_array_equal(list(frames.iterate(1, 3)), PICTURES[1:3])


def test_one_picture_is_a_video_of_one_frame():
    assert len(open_source(PICTURES[0])) == len(open_source([PICTURES[0]])) == 1


def test_an_open_source_is_returned_as_it_is():
    frames = open_source(PICTURES)
    assert open_source(frames) is frames


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (PICTURES / 255, "the array is float64; give uint8 RGB in 0..255; multiply values in"),
        (PICTURES[..., 0], r"has shape \(5, 48, 80\).*give pictures \(H, W, 3\)"),
        (PICTURES.transpose(0, 3, 1, 2), r"has shape \(3, 48, 80\).*put the colours last"),
        (PICTURES[None], r"the array has shape \(1, 5, 48, 80, 3\)"),
        ([], "there is no frame"),
        ([PICTURES[0], PICTURES[0, :9]], "frames of different sizes"),
        (None, "None is no video"),
        ("rtsp://127.0.0.1:1/x", "allow it with --allow-network"),
        ("http://127.0.0.1:1/x.mp4", "allow it with --allow-network"),
        ("ftp://127.0.0.1/x.mp4", "only local files can be opened"),
    ],
)
def test_what_is_refused(source, message):
    with pytest.raises(InputError, match=message):
        open_source(source)


@pytest.mark.parametrize("fps", [0, -1, float("nan")])
def test_a_rate_that_is_none(fps):
    with pytest.raises(InputError, match="fps must be above 0"):
        open_source(PICTURES, fps=fps)


class StandInCamera:
    """What `cv2.VideoCapture` offers, with three pictures."""

    def __init__(self, pictures: int = 3) -> None:
        self.left, self.released = [PICTURES[i, :, :, ::-1] for i in range(pictures)], False

    def isOpened(self) -> bool:
        return True

    def read(self) -> tuple[bool, np.ndarray | None]:
        return (True, self.left.pop(0)) if self.left else (False, None)

    def get(self, what: int) -> float:
        return 25.0

    def release(self) -> None:
        self.released = True


def test_a_camera_gives_its_pictures_in_order():
    camera = StandInCamera()
    with CameraFrames(0, camera) as frames:
        assert (frames.size, frames.fps) == (SIZE, 25)
        np.testing.assert_array_equal(list(frames.iterate()), PICTURES[:3])
        with pytest.raises(InputError, match="has no number of frames"):
            len(frames)
        with pytest.raises(InputError, match="come in order only"):
            frames.read([0])
    assert camera.released


def test_a_camera_that_gives_nothing():
    camera = StandInCamera(0)
    with pytest.raises(InputError, match="camera 7 gives no picture"):
        CameraFrames(7, camera)
    assert camera.released


@pytest.fixture
def http_folder(tmp_path) -> Iterator[tuple[Path, str]]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *words: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield tmp_path, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join(10)


def test_a_video_over_http(http_folder):
    folder, address = http_folder
    write_stamped(folder / "a.mp4", Recipe(codec="libx264", suffix=".mp4", options={"crf": "1"}, size=SIZE), 7)
    with open_source(folder / "a.mp4") as local, open_source(f"{address}/a.mp4", allow_network=True) as remote:
        assert remote.size == local.size
        np.testing.assert_array_equal(list(remote.iterate()), list(local.iterate()))


@pytest.mark.parametrize("name", ["list.m3u8", "page.html", "concat.txt", "none.mp4"])
def test_what_an_address_may_not_lead_to(http_folder, name):
    folder, address = http_folder
    write_stamped(folder / "a.ts", Recipe(codec="libx264", suffix=".ts", options={}, size=SIZE), 7)
    (folder / "list.m3u8").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\na.ts\n#EXT-X-ENDLIST\n")
    (folder / "page.html").write_text("<html>no video</html>")
    (folder / "concat.txt").write_text(f"ffconcat version 1.0\nfile {folder / 'a.ts'}\n")
    with pytest.raises(InputError, match="cannot be opened as a video stream") as refused:
        open_source(f"{address}/{name}", allow_network=True)
    assert "\n" not in str(refused.value)


class StandInRTSP:
    """A server of one MJPEG stream: its packets are cut by FFmpeg's own RTP writer and sent inside the connection."""

    SDP = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=stand-in\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video 0 RTP/AVP 26\r\n"

    def __init__(self, frames: int) -> None:
        self.frames = frames
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"rtsp://127.0.0.1:{self.listener.getsockname()[1]}/live"
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self) -> None:
        connection, _ = self.listener.accept()
        with connection:
            for request in self.requests(connection):
                sequence = re.search(r"CSeq: *(\d+)", request)[1]
                method = request.split(" ", 1)[0]
                headers, body = "", ""
                if method == "OPTIONS":
                    headers = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
                elif method == "DESCRIBE":
                    body = self.SDP
                    headers = f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
                elif method == "SETUP":
                    headers = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n"
                connection.sendall(f"RTSP/1.0 200 OK\r\nCSeq: {sequence}\r\n{headers}\r\n{body}".encode())
                if method == "PLAY":
                    self.play(connection)
                    return

    def requests(self, connection: socket.socket) -> Iterator[str]:
        held = b""
        while part := connection.recv(4096):
            held += part
            while b"\r\n\r\n" in held:
                request, _, held = held.partition(b"\r\n\r\n")
                yield request.decode()

    def play(self, connection: socket.socket) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
            receiver.bind(("127.0.0.1", 0))
            receiver.settimeout(0.3)
            with av.open(f"rtp://127.0.0.1:{receiver.getsockname()[1]}", "w", format="rtp") as out:
                stream = out.add_stream("mjpeg", rate=30, options={"huffman": "default", "qmin": "2", "qmax": "3"})
                stream.width, stream.height, stream.pix_fmt = 96, 64, "yuvj420p"
                stream.codec_context.thread_count = 1  # one slice a picture
                for i in range(self.frames):
                    picture = av.VideoFrame.from_ndarray(scene(i, (64, 96)), "rgb24")
                    out.mux(stream.encode(picture))
                    self.forward(receiver, connection)
            self.forward(receiver, connection)

    def forward(self, receiver: socket.socket, connection: socket.socket) -> None:
        while True:
            try:
                packet = receiver.recv(65536)
            except TimeoutError:
                return
            if 200 <= packet[1] <= 204:  # RTCP reports
                continue
            connection.sendall(b"$\x00" + struct.pack(">H", len(packet)) + packet)


def test_a_stream_over_rtsp():
    server = StandInRTSP(frames=4)
    with open_source(server.address, allow_network=True) as frames:
        assert frames.size == (64, 96)
        got = list(frames.iterate())
    assert len(got) == 4
    for i, frame in enumerate(got):
        assert np.abs(frame.astype(int) - scene(i, (64, 96))).mean() < 12  # JPEG at 4:2:0
        others = [np.abs(frame.astype(int) - scene(j, (64, 96))).mean() for j in range(4)]
        assert int(np.argmin(others)) == i
    server.thread.join(10)


def test_nobody_answers():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(InputError, match=f"rtsp://127.0.0.1:{port}/x: cannot be opened"):
        open_source(f"rtsp://127.0.0.1:{port}/x", allow_network=True)
