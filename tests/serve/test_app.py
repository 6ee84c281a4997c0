"""The addresses, asked over HTTP as a browser or a program does."""

import csv
import json
import time
import urllib.error
import urllib.request

import numpy as np
import pytest

from saliency.errors import InputError
from saliency.io.frames import open_frames


def wait(client, id):
    while (state := client.state(id))["state"] in ("waiting", "running"):
        time.sleep(0.02)
    return state


def raw(client, path, *, body=None, method=None, headers=None):
    """Status, headers and body of an answer, whatever the status."""
    request = urllib.request.Request(client.address + path, data=body, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


def left(tmp_path):
    """Names of uploads that are on the disk."""
    return sorted(path.name for path in (tmp_path / "server" / "videos").rglob("*") if path.is_file())


def test_a_video_from_upload_to_files(served, film, tmp_path):
    client = served()
    states = []
    numbers = client.report(
        *(film, tmp_path / "out"),
        regions={"box": [96, 20, 16, 20], "left": [[0, 0], [64, 0], [64, 72], [0, 72]]},
        crop="9:16",
        thumbnails=1,
        maps="npz",
        on_state=states.append,
    )
    box = 320 * 250**2
    assert numbers["regions"]["box"]["attention"] == pytest.approx(box / (box + (72 * 128 - 320) * 20**2), abs=0.02)
    assert numbers["regions"]["left"]["area"] == pytest.approx(0.5)
    assert numbers["crop"]["kept"] > 0.8 > numbers["crop"]["fixed"]
    names = {"report.html", "frames.csv", "overlay.mp4", "crop.mp4", "maps.npz", "thumb_1.png"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    with (tmp_path / "out" / "frames.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 12
    with open_frames(tmp_path / "out" / "overlay.mp4", expected=12) as overlay:
        assert overlay.size == (72, 128)
    with np.load(tmp_path / "out" / "maps.npz") as maps:
        assert maps["0001"].shape == (72, 128) and maps["0001"].argmax() // 128 in range(20, 40)
    assert "my ad.mp4" in (tmp_path / "out" / "report.html").read_text()
    assert left(tmp_path) == []


def test_the_same_upload_can_be_measured_again_with_other_regions(served, film):
    client = served()
    video = client.upload(film)
    assert video["found"] == {"width": 128, "height": 72, "frames": 12, "fps": 10.0, "still": False}
    client.measure(video["id"], thumbnails=2)
    assert [file["name"] for file in wait(client, video["id"])["files"]][-1] == "thumb_2.png"
    client.measure(video["id"], regions={"box": [96, 20, 16, 20]})
    again = wait(client, video["id"])
    assert again["numbers"]["regions"]["box"]["peak_frames"] == 12
    assert [file["name"] for file in again["files"]] == ["report.html", "frames.csv", "overlay.mp4"]


def test_a_picture(served, tmp_path):
    from PIL import Image

    Image.fromarray(np.full((40, 60, 3), 90, dtype=np.uint8)).save(tmp_path / "photo.png")
    client = served(seconds=1)
    client.report(tmp_path / "photo.png", tmp_path / "out", crop="1:1")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("report.html", "frames.csv", "overlay.png", "crop.png")
    }


def test_frames_to_draw_on(served, film):
    client = served()
    id = client.upload(film)["id"]
    status, headers, jpeg = raw(client, f"/api/videos/{id}/frames/11.jpg")
    assert (status, headers["content-type"], jpeg[:2]) == (200, "image/jpeg", b"\xff\xd8")
    status, _, body = raw(client, f"/api/videos/{id}/frames/12.jpg")
    assert (status, json.loads(body)["error"]) == (400, "my ad.mp4: has no frame 12; its frames are 0 to 11")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("page.mp4", b"<!DOCTYPE html><p>not a film</p>" * 50, "page.mp4: is not a video file that can be read"),
        ("list.mp4", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "list.mp4: "),
        ("photo.jpg", b"GIF89a", "photo.jpg: is not an image that can be read"),
        ("nothing.mp4", b"", "nothing.mp4: is empty"),
        ("../../etc/x\n.mp4", b"text", "x_.mp4: is not a video file"),
    ],
)
def test_what_is_no_video(served, tmp_path, name, content, words):
    client = served()
    path = f"/api/videos?name={urllib.request.quote(name)}"
    status, _, body = raw(client, path, body=content, method="POST")
    said = json.loads(body)["error"]
    assert status == 400 and said.startswith(words)
    assert str(tmp_path) not in said and "\n" not in said
    assert left(tmp_path) == []


def test_too_large_too_long_too_many(served, film, tmp_path):
    client = served(megabytes=0.0001)
    status, _, body = raw(client, "/api/videos?name=a.mp4", body=b"0" * 200, method="POST")
    assert status == 413 and json.loads(body)["error"].startswith("a.mp4: is larger than the 0.0001 MB that this page")
    parts = iter([b"0" * 60, b"0" * 60])  # a body whose length nobody said
    status, _, body = raw(client, "/api/videos?name=a.mp4", body=parts, method="POST")
    assert status == 413
    with pytest.raises(InputError, match=r"has 0.0 MB; http://127.0.0.1:\d+ takes up to 0.0001 MB"):
        client.upload(film)
    client = served(seconds=1, videos=1)
    with pytest.raises(InputError, match=r"my ad\.mp4: lasts 1\.2 seconds and this page takes up to 1; cut out"):
        client.upload(film)
    assert left(tmp_path) == []


def test_limits_on_what_is_kept_and_what_waits(served, film, bright):
    client = served(videos=4, waiting=2)
    bright.pause.clear()
    ids = [client.upload(film)["id"] for _ in range(4)]
    with pytest.raises(InputError, match="holds as many videos as it can keep"):
        client.upload(film)
    client.measure(ids[0])
    while client.state(ids[0])["state"] != "running":
        time.sleep(0.02)
    assert [client.measure(id)["before"] for id in ids[1:3]] == [1, 2]
    with pytest.raises(InputError, match=r"2 videos wait already"):
        client.measure(ids[3])
    with pytest.raises(InputError, match=r"my ad\.mp4: is waiting already"):
        client.measure(ids[1])
    client.remove(ids[1])
    assert client.state(ids[2])["before"] == 1
    bright.pause.set()
    assert wait(client, ids[2])["state"] == "done"


def test_a_video_that_is_being_measured_can_be_removed(served, film, bright, tmp_path):
    client = served()
    bright.pause.clear()
    id = client.upload(film)["id"]
    client.measure(id)
    while client.state(id)["state"] != "running":
        time.sleep(0.02)
    client.remove(id)
    bright.pause.set()
    with pytest.raises(InputError, match="not here any more"):
        client.state(id)
    after = client.upload(film)["id"]
    client.measure(after)
    assert wait(client, after)["state"] == "done"
    assert left(tmp_path) == ["frames.csv", "my ad.mp4", "overlay.mp4", "report.html"]  # of the second one


def test_what_nobody_looks_at_is_removed(served, film, tmp_path, monkeypatch):
    monkeypatch.setattr("saliency.serve.app._SWEEP", 0.05)
    client = served(minutes=0.5 / 60)
    client.upload(film)
    assert left(tmp_path) == ["my ad.mp4"]
    until = time.monotonic() + 10
    while left(tmp_path):
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_fault_of_the_program_fails_one_video_only(served, film, caplog):
    client = served()
    id = client.upload(film)["id"]
    client.measure(id, model="broken")
    state = wait(client, id)
    assert state["state"] == "failed" and "a fault of this server" in state["message"]
    assert "a fault of the program" in caplog.text
    client.measure(id)
    assert wait(client, id)["state"] == "done"


def test_a_region_outside_is_told_in_words_of_the_page(served, film):
    client = served()
    id = client.upload(film)["id"]
    client.measure(id, regions={"logo": [500, 0, 10, 10]})
    said = wait(client, id)["message"]
    assert said == "region logo=500,0,10,10: lies outside the picture, which is 128 wide and 72 high"


def test_of_a_damaged_video_the_part_before_is_there(served, make_video, tmp_path):
    path = make_video(tmp_path / "whole.avi", 40)
    (tmp_path / "cut.avi").write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    client = served()
    id = client.upload(tmp_path / "cut.avi")["id"]
    client.measure(id)
    state = wait(client, id)
    assert state["state"] == "done" and 0 < state["numbers"]["frames"] < 40
    assert state["message"].startswith("cut.avi: ")
    names = [file["name"] for file in state["files"]]
    assert names == ["report.html", "frames.csv", "overlay.partial.mp4"]
    assert raw(client, f"/api/videos/{id}/files/overlay.partial.mp4")[0] == 200


def test_no_file_of_this_computer_can_be_asked_for(served, film, tmp_path):
    client = served()
    id = client.upload(film)["id"]
    client.measure(id)
    wait(client, id)
    for path in (
        "files/..%2fvideo%2fmy ad.mp4",
        "files/%2e%2e",
        "files/my%20ad.mp4",
        "files/frames.txt",
        "frames/-1.jpg",
    ):
        assert raw(client, f"/api/videos/{id}/{path.replace(' ', '%20')}")[0] == 404, path
    (tmp_path / "secret.csv").write_text("frame,x,y,width,height\n0,1,1,9,9\n")
    with pytest.raises(InputError, match="region r: must be \\[left, top, width, height\\]"):
        client.measure(id, regions={"r": str(tmp_path / "secret.csv")})


def test_other_sites_are_not_listened_to(served):
    client = served()
    status, headers, _ = raw(client, "/")
    assert status == 200
    assert (
        "default-src 'none'" in headers["content-security-policy"] and "http" not in headers["content-security-policy"]
    )
    for asked in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}):
        assert raw(client, "/api/videos/example", body=b"", method="POST", headers=asked)[0] == 403, asked
    assert raw(client, "/api", headers={"Host": "localhost:1"})[0] == 200


def test_the_page_names_no_other_address(served):
    client = served()
    for path in ("/", "/page.css", "/page.js"):
        text = raw(client, path)[2].decode()
        assert "//" not in text.replace("http://www.w3.org/2000/svg", "").replace("  // ", "").replace("\n// ", "\n"), (
            path
        )
