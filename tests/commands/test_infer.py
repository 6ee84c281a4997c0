"""`tools/infer.py` as a user runs it: N frames in, N maps out, upright, with sound; bad input is one line."""

from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from PIL import Image

from saliency.commands.main import main
from saliency.io.frames import open_frames
from saliency.io.maps import read_density
from saliency.io.stamped import Recipe, scene, write_stamped
from saliency.io.weights import save_model
from saliency.models.vinet_s import ViNetSConfig
from saliency.types import InputSpec

SIZE = (48, 80)
RECIPE = Recipe(codec="libx264", suffix=".mp4", options={"preset": "ultrafast", "crf": "16", "g": "10"}, size=SIZE)


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """A tiny untrained model; it looks both ways in time."""
    torch.manual_seed(0)
    config = ViNetSConfig(input=InputSpec(length=8, size=(32, 64), target="middle"), width=0.125)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_model(path, config.build(), config)
    return path


@pytest.fixture
def infer(weights, tmp_path, capsys):
    """Run the tool in this process; returns exit status, standard output and error."""

    def call(*arguments, defaults=True):
        extra = ["--weights", str(weights), "--out", str(tmp_path / "out"), "--device", "cpu"] if defaults else []
        capsys.readouterr()
        with pytest.raises(SystemExit) as done:
            main(["infer", *map(str, arguments), *extra])
        out, err = capsys.readouterr()
        return done.value.code, out, err

    return call


def stamped(path, frames, **changes):
    recipe = Recipe(**{"codec": RECIPE.codec, "suffix": ".mp4", "options": RECIPE.options, "size": SIZE} | changes)
    write_stamped(path, recipe, frames)
    return path


def refused(result, *words):
    """The tool said what is wrong in one line and failed."""
    status, _, err = result
    assert status == 2, result
    assert err.startswith("error: ") and err.count("\n") == 1, err
    for word in words:
        assert word in err


@pytest.mark.parametrize("frames", [1, 2, 31, 100])
def test_as_many_maps_as_frames(infer, tmp_path, frames):
    video = stamped(tmp_path / "clip.mp4", frames)
    status, out, _ = infer("--video", video, "--maps", "png")
    assert status == 0
    assert "model: tiny (sha256" in out and f"{frames} frames" in out
    result = tmp_path / "out" / "clip_saliency.mp4"
    with open_frames(result, expected=frames) as painted, open_frames(video) as source:
        assert (painted.size, painted.fps) == (source.size, source.fps)
        np.testing.assert_allclose(painted.timestamps, source.timestamps, atol=1e-4)
    maps = sorted((tmp_path / "out" / "clip_maps").glob("*.png"))
    assert [m.name for m in maps] == [f"{i:04d}.png" for i in range(1, frames + 1)]
    for name in maps[:3]:
        density = read_density(name)
        assert density.shape == SIZE and density.max() == 1
    assert sorted(p.name for p in (tmp_path / "out").glob("[!.]*")) == ["clip_maps", "clip_saliency.mp4"]


def test_maps_are_those_of_the_model(infer, weights, tmp_path):
    from saliency.io.transforms import make_clip, resize_frames, resize_map
    from saliency.io.weights import load_model

    video = stamped(tmp_path / "clip.mp4", 9)
    assert infer("--video", video, "--maps", "npy", "--batch-size", 3)[0] == 0
    loaded = load_model(weights)
    spec = loaded.config.input
    with open_frames(video) as source, torch.no_grad():
        for t in range(9):
            frames = torch.from_numpy(source.read(spec.frames(t, 9)))
            map_ = loaded.model(make_clip(resize_frames(frames, spec.size), spec)[None])
            wanted = resize_map(map_, SIZE)[0].numpy()
            found = read_density(tmp_path / "out" / "clip_maps" / f"{t + 1:04d}.npy")
            np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_shorter_video_leaves_no_old_maps(infer, tmp_path):
    for frames in (5, 3):
        video = stamped(tmp_path / "clip.mp4", frames)
        assert infer("--video", video, "--maps", "png")[0] == 0
        assert len(list((tmp_path / "out" / "clip_maps").glob("*.png"))) == frames


def test_side_by_side_shows_the_original_left(infer, tmp_path):
    video = stamped(tmp_path / "clip.mp4", 4)
    assert infer("--video", video, "--side-by-side")[0] == 0
    with open_frames(tmp_path / "out" / "clip_saliency.mp4", expected=4) as painted, open_frames(video) as source:
        assert painted.size == (SIZE[0], 2 * SIZE[1])
        left = painted.read([2])[0][:, : SIZE[1]]
        assert np.abs(left.astype(int) - source.read([2])[0]).mean() < 6


def test_phone_video_comes_out_upright(infer, tmp_path):
    video = stamped(tmp_path / "phone.mp4", 3, rotation=90)
    assert infer("--video", video, "--side-by-side", "--maps", "png")[0] == 0
    upright = np.rot90(scene(1, SIZE))
    with open_frames(tmp_path / "out" / "phone_saliency.mp4", expected=3) as painted:
        assert painted.rotation == 0 and painted.size == (SIZE[1], 2 * SIZE[0])
        left = painted.read([1])[0][:, : SIZE[0]]
        assert np.abs(left.astype(int) - upright).mean() < 10
    assert read_density(tmp_path / "out" / "phone_maps" / "0002.png").shape == (SIZE[1], SIZE[0])


def test_varying_rate_keeps_its_times(infer, tmp_path):
    video = stamped(tmp_path / "vfr.mp4", 12, times=lambda i: i + i // 4 * 6)
    assert infer("--video", video)[0] == 0
    with open_frames(tmp_path / "out" / "vfr_saliency.mp4") as painted, open_frames(video) as source:
        np.testing.assert_allclose(painted.timestamps, source.timestamps, atol=1e-4)


def test_folder_of_images(infer, tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for i in range(7):
        Image.fromarray(scene(i, SIZE)).save(folder / f"{i + 1}.jpg")
    assert infer("--video", folder, "--fps", 10, "--maps", "png")[0] == 0
    with open_frames(tmp_path / "out" / "frames_saliency.mp4", expected=7) as painted:
        assert painted.fps == 10
    assert len(list((tmp_path / "out" / "frames_maps").glob("*.png"))) == 7


def test_sound_is_kept(infer, tmp_path):
    video = tmp_path / "talk.avi"
    with av.open(str(video), "w") as container:
        pictures = container.add_stream("mpeg4", rate=25)
        pictures.height, pictures.width, pictures.pix_fmt = *SIZE, "yuv420p"
        sound = container.add_stream("libmp3lame", rate=16000)
        sound.layout = "mono"
        for i in range(25):
            picture = av.VideoFrame.from_ndarray(scene(i, SIZE), format="rgb24").reformat(format="yuv420p")
            picture.pts, picture.time_base = i, Fraction(1, 25)
            container.mux(pictures.encode(picture))
            tone = (np.sin(np.arange(640) / 5) * 9000).astype(np.int16)
            piece = av.AudioFrame.from_ndarray(tone[None], format="s16", layout="mono")
            piece.sample_rate, piece.pts, piece.time_base = 16000, 640 * i, Fraction(1, 16000)
            container.mux(sound.encode(piece))
        container.mux(pictures.encode(None))
        container.mux(sound.encode(None))
    assert infer("--video", video)[0] == 0
    with av.open(str(tmp_path / "out" / "talk_saliency.mp4")) as container:
        assert container.streams.audio[0].codec_context.codec.canonical_name == "mp3"
        samples = sum(f.samples for f in container.decode(audio=0))
        assert samples / 16000 == pytest.approx(1, abs=0.15)


# --- bad input --------------------------------------------------------------------------------------------


def test_wrong_path_text_file_and_address(infer, tmp_path):
    refused(infer("--video", tmp_path / "none.mp4"), "none.mp4", "no such file")
    (tmp_path / "text.mp4").write_text("no video " * 100)
    refused(infer("--video", tmp_path / "text.mp4"), "text.mp4", "not a video file")
    (tmp_path / "empty.mp4").write_bytes(b"")
    refused(infer("--video", tmp_path / "empty.mp4"), "empty.mp4", "not a video file")
    refused(infer("--video", "https://example.org/a.mp4"), "only local files")
    (tmp_path / "nothing").mkdir()
    refused(infer("--video", tmp_path / "nothing"), "holds no video and no picture")
    assert not (tmp_path / "out").exists()


def test_audio_only(infer, tmp_path):
    with av.open(str(tmp_path / "song.wav"), "w") as container:
        sound = container.add_stream("pcm_s16le", rate=8000)
        sound.layout = "mono"
        piece = av.AudioFrame.from_ndarray(np.zeros((1, 4000), dtype=np.int16), format="s16", layout="mono")
        piece.sample_rate = 8000
        container.mux(sound.encode(piece))
        container.mux(sound.encode(None))
    refused(infer("--video", tmp_path / "song.wav"), "song.wav", "no video in it")


def test_truncated_video_leaves_its_good_frames_playable(infer, tmp_path):
    whole = stamped(tmp_path / "whole.mp4", 60)
    with (
        av.open(str(whole)) as given,
        av.open(str(tmp_path / "fast.mp4"), "w", options={"movflags": "faststart"}) as out,
    ):
        copy = out.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(given.streams.video[0]):
            if packet.size:
                packet.stream = copy
                out.mux(packet)
    data = (tmp_path / "fast.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: int(len(data) * 0.6)])
    result = infer("--video", tmp_path / "cut.mp4", "--maps", "png")
    refused(result, "cut.mp4", "damaged", "frames were written")
    with open_frames(tmp_path / "out" / "cut_saliency.partial.mp4") as painted:
        written = sum(1 for _ in painted.iterate())
        assert 20 < written == len(painted) < 60
    assert len(list((tmp_path / "out" / "cut_maps.partial").glob("*.png"))) == written
    assert f"{written} frames were written" in result[2]


def test_avi_that_lost_frames_is_named(infer, tmp_path):
    video = stamped(tmp_path / "a.avi", 40, codec="mpeg4", options={"b": "1M", "g": "5"})
    data = video.read_bytes()
    (tmp_path / "cut.avi").write_bytes(data[: int(len(data) * 0.6)])
    refused(infer("--video", tmp_path / "cut.avi"), "cut.avi", "header announces 40")
    with open_frames(tmp_path / "out" / "cut_saliency.partial.mp4") as painted:
        assert len(painted) > 10


def test_bad_options(infer, weights, tmp_path):
    video = stamped(tmp_path / "clip.mp4", 2)
    refused(infer("--video", video, "--batch-size", 0), "--batch-size")
    refused(infer("--video", video, "--peak", -1), "--peak")
    refused(infer("--video", video, "--fps", 10), "leave fps out")
    base = ["--video", video, "--out", tmp_path / "out"]
    refused(infer(*base, "--weights", weights, "--device", "cuda:77", defaults=False), "cuda:77")
    refused(infer(*base, "--weights", weights, "--device", "tpu9", defaults=False), "tpu9")
    refused(infer(*base, "--weights", tmp_path / "no.safetensors", defaults=False), "no.safetensors")
    (tmp_path / "file").write_text("")
    refused(infer("--video", video, "--weights", weights, "--out", tmp_path / "file", defaults=False), "--out")


def test_weights_that_come_with_the_project(infer, weights, tmp_path, monkeypatch):
    video = stamped(tmp_path / "clip.mp4", 2)
    bundled = tmp_path / "bundled"
    bundled.mkdir()
    monkeypatch.setattr("saliency.inference.zoo.BUNDLED", bundled)
    arguments = ["--video", video, "--out", tmp_path / "out", "--device", "cpu"]
    refused(infer(*arguments, defaults=False), "without the weights of real_gaze", "--weights")
    (bundled / "real_gaze.safetensors").write_bytes(weights.read_bytes())
    status, out, _ = infer(*arguments, defaults=False)
    assert status == 0 and "model: real_gaze (sha256" in out
    status, out, _ = infer(*arguments, "--weights", "real_gaze", defaults=False)
    assert status == 0 and "model: real_gaze (sha256" in out
    refused(infer(*arguments, "--weights", "real_gas", defaults=False), "no model of this name", "'real_gaze'?")
