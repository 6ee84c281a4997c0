"""Shards hold what they were written from, come from anywhere, take bounded room, and are read in their order."""

import functools
import http.server
import itertools
import json
import pickle
import shutil
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor

import fsspec
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from saliency.commands import prepare
from saliency.config.run import Learner, Optimizer, Run, Stage, Training
from saliency.data.clips import SaliencyClips
from saliency.data.shard_order import shard_order
from saliency.datasets.dhf1k import DHF1K
from saliency.datasets.folder import Folder
from saliency.datasets.mini import Mini
from saliency.datasets.shards import Shards, _index
from saliency.errors import InputError, MissingData
from saliency.io.shard_store import STAMP
from saliency.models.vinet_s import ViNetSConfig
from saliency.preparation.sharding import write_shards
from saliency.serve.example import write_study
from saliency.tasks.saliency import SaliencyTask
from saliency.training.sampler import Steps
from saliency.training.trainer import train
from saliency.types import InputSpec

ONE_EACH = 1
"""Bytes of a shard so that each holds a single video."""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    root = tmp_path_factory.mktemp("study")
    write_study(root, videos=6, frames=6, size=(36, 64))
    return Folder(root=root, splits={"train": "scene_[1-5]", "val": "scene_6"})


@pytest.fixture
def written(study, tmp_path):
    """Shards of the study, one video each, and the data set that reads them."""
    out = tmp_path / "shards"
    write_shards({name: study.videos(name) for name in study.splits}, out, limit=ONE_EACH)
    _index.cache_clear()
    return Shards(address=str(out), cache=tmp_path / "cache", mixed=2)


def same(video, other):
    """Whether two videos are told apart by nothing that training sees."""
    assert (video.id, video.num_frames, video.size) == (other.id, other.num_frames, other.size)
    with video.open() as one, other.open() as two:
        np.testing.assert_array_equal(one.read(range(len(one))), two.read(range(len(two))))
    for i in range(video.num_frames):
        np.testing.assert_array_equal(video.density(i), other.density(i))
        np.testing.assert_array_equal(video.fixations(i), other.fixations(i))
        assert video.points_outside(i) == other.points_outside(i)


def test_gaze_comes_back_as_it_was(study, written):
    for split in ("train", "val"):
        for video, other in zip(written.videos(split), study.videos(split), strict=True):
            same(video, other)
            np.testing.assert_array_equal(video.observers(), other.observers())


def test_maps_come_back_as_they_were_in_eight_bits_and_in_more(tmp_path, gaze_video):
    mini = Mini(train_videos=0, val_videos=0, test_videos=1, size=(36, 64), min_frames=4, max_frames=4, cache=tmp_path)
    (eight,) = DHF1K(root=(mini.videos("test"), mini.root)[1], splits={"all": "1"}, register=False).videos("all")
    more = gaze_video()
    shutil.copyfile(eight.path, tmp_path / "001.avi")
    more = type(more)(id="float", path=tmp_path / "001.avi", num_frames=4, size=(36, 64), gaze=more.gaze)
    written = write_shards({"train": [eight], "val": [more]}, tmp_path / "out", limit=10**6)
    assert (written.videos, written.shards) == (2, 2)
    data = Shards(address=str(tmp_path / "out"), cache=tmp_path / "cache")
    for split, suffix, video in (("train", ".png", eight), ("val", ".npy", more)):
        (found,) = data.videos(split)
        assert found.maps == suffix and found.observers() is None
        same(found, video)


def test_shards_are_in_the_layout_of_webdataset(written, study):
    write_shards({"all": study.videos("train")}, written.cache / "one", limit=10**9)
    with tarfile.open(written.cache / "one" / "all-000000.tar") as archive:
        names = archive.getnames()
    keys = [name.split(".", 1)[0] for name in names]
    assert [key for key, _ in itertools.groupby(keys)] == [f"{k:06d}" for k in range(5)]  # members of a key together
    assert names[:3] == ["000000.avi", "000000.gaze.csv", "000000.json"]


def test_shards_come_by_http_by_file_and_by_whatever_fsspec_knows(written, study, tmp_path):
    folder = tmp_path / "shards"
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    handler.log_message = lambda *_: None
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    memory = fsspec.filesystem("memory")
    memory.put(f"{folder}/", "/shards/", recursive=True)
    try:
        for k, address in enumerate((f"http://127.0.0.1:{server.server_port}/", f"file://{folder}", "memory://shards")):
            data = Shards(address=address, cache=tmp_path / f"cache_{k}")
            same(data.videos("val")[0], study.videos("val")[0])
    finally:
        server.shutdown()
        memory.rm("/shards", recursive=True)


def test_no_more_lies_unpacked_than_may(written):
    (largest,) = {max(video.file.num_bytes for video in written.videos("train"))}
    data = Shards(address=written.address, cache=written.cache, keep_gb=2.5 * largest / 1e9, mixed=1)
    videos = data.videos("train")

    def there():
        return {video.id for video in videos if video.path.is_file()}

    assert there() == set()  # reading the index brings nothing
    for k, video in enumerate(videos):
        video.fixations(0)
        assert there() == {each.id for each in videos[max(0, k - 1) : k + 1]}
    videos[0].fixations(0)  # brought again
    assert there() == {videos[0].id, videos[-1].id}
    with pytest.raises(InputError, match="raise it, or mix fewer shards"):
        Shards(address=written.address, mixed=3, keep_gb=2.5 * largest / 1e9).videos("train")


def test_a_shard_that_another_process_removes_while_it_is_read_is_brought_again(written):
    video = written.videos("train")[0]
    seen = []

    def read(folder):
        seen.append(folder)
        if len(seen) == 1:
            shutil.rmtree(folder)
        return (folder / "000000.gaze.csv").read_bytes()

    assert video.store.reading(video.file, read).startswith(b"observer,frame,x,y")
    assert len(seen) == 2
    with pytest.raises(FileNotFoundError):  # nobody removed anything: the error is its own
        video.store.reading(video.file, lambda folder: (folder / "other").read_bytes())


def test_many_who_read_at_once_in_little_room_get_what_is_there(written, study):
    largest = max(video.file.num_bytes for video in written.videos("train"))
    data = Shards(address=written.address, cache=written.cache, keep_gb=2.1 * largest / 1e9, mixed=1)
    videos, truth = data.videos("train"), [video.fixations(3) for video in study.videos("train")]

    def read(start):
        return [(k, videos[k].fixations(3)) for j in range(10) for k in [(start * (j + 1) + j) % 5]]

    with ThreadPoolExecutor(4) as pool:
        for k, fixations in itertools.chain(*pool.map(read, range(4))):
            np.testing.assert_array_equal(fixations, truth[k])


def test_what_another_process_is_unpacking_makes_no_room(written):
    largest = max(video.file.num_bytes for video in written.videos("train"))
    data = Shards(address=written.address, cache=written.cache, keep_gb=1.1 * largest / 1e9, mixed=1)
    videos = data.videos("train")
    place = videos[0].store.place(videos[0].file)
    unpacking = place.with_name(f".{place.name}.another")
    unpacking.mkdir(parents=True)
    (unpacking / STAMP).write_text(f"{largest} 0 1")
    for video in videos:
        video.fixations(3)
    assert unpacking.is_dir()


def test_samples_are_those_of_the_folder_and_travel_to_worker_processes(written, study):
    views = {"a": InputSpec(length=2, size=(18, 32))}
    near, far = (SaliencyClips(source=source, grid=(18, 32), flip=True).training(views) for source in (study, written))
    far = pickle.loads(pickle.dumps(far))
    assert far.fingerprint() != near.fingerprint() and far.order(0, 0) and near.order(0, 0) is None
    for key in [(7, epoch, index) for epoch in (0, 1) for index in range(5)]:
        one, two = near[key], far[key]
        assert one.id == two.id and torch.equal(one.density, two.density) and torch.equal(one.fixations, two.fixations)
        assert all(torch.equal(one.frames[size], two.frames[size]) for size in one.frames)


def test_what_is_damaged_or_away_is_named_and_what_is_away_is_not_replaced(written, tmp_path):
    samples = SaliencyClips(source=written, grid=(18, 32)).training({"a": InputSpec(length=2, size=(18, 32))})
    first = tmp_path / "shards" / "train-000000.tar"
    whole = first.read_bytes()
    first.write_bytes(whole[:600] + b"x" + whole[601:])
    with pytest.raises(InputError, match=r"train-000000\.tar: is not the shard of the index"):
        written.videos("train")[0].density(0)
    assert samples[0, 0, 0].problems[0][0] == "scene_1"  # damage is set aside
    first.unlink()
    with pytest.raises(MissingData, match=r"train-000000\.tar: cannot be read"):
        samples[0, 0, 0]
    first.write_bytes(whole)
    assert samples[0, 0, 0].problems == ()
    assert not list(written.videos("train")[0].store.folder.glob(".train*[!k]"))  # no half-unpacked ones stay
    with pytest.raises(MissingData, match=r"saliency prepare shards writes it"):
        Shards(address=str(tmp_path / "nowhere")).videos("train")
    (tmp_path / "index.json").write_text(json.dumps({"version": 2}))
    with pytest.raises(InputError, match="has format 2"):
        Shards(address=str(tmp_path)).videos("train")
    with pytest.raises(InputError, match=r"has no split 'test'; it has train, val"):
        written.videos("test")


def test_an_epoch_visits_every_sample_once_and_few_shards_at_a_time():
    shards = [k // 10 for k in range(240)]  # 24 shards of 10
    order = shard_order(shards, seed=3, epoch=1, lanes=4, mixed=2)
    assert sorted(order) == list(range(240)) and order == shard_order(shards, seed=3, epoch=1, lanes=4, mixed=2)
    assert order != shard_order(shards, seed=3, epoch=2, lanes=4, mixed=2)
    assert order != shard_order(shards, seed=4, epoch=1, lanes=4, mixed=2)
    for at in range(0, 240, 80):  # 4 lanes of 2 shards of 10
        assert len({shards[k] for k in order[at : at + 80]}) == 8
    first = [shards[k] for k in order[:80:4]]  # one lane: two shards, mixed
    assert len(set(first)) == 2 and len(list(itertools.groupby(first))) > 5
    uneven = shard_order([0] * 7 + [1] * 2 + [2], seed=0, epoch=0, lanes=2, mixed=1)
    assert sorted(uneven) == list(range(10))


def test_each_process_needs_the_shards_of_its_own_lanes_only():
    shards = [k // 10 for k in range(240)]
    steps = [
        Steps(
            seed=1,
            size=240,
            epochs=1,
            batch_size=8,
            rank=rank,
            world=2,
            order=lambda seed, epoch: shard_order(shards, seed=seed, epoch=epoch, lanes=4, mixed=2),
        )
        for rank in (0, 1)
    ]
    needed = [{shards[key[2]] for batch in each for key in batch} for each in steps]
    assert len(needed[0]) == len(needed[1]) == 12 and not needed[0] & needed[1]


def test_steps_go_on_in_the_middle_of_an_epoch_where_they_were(written):
    samples = SaliencyClips(source=written, clips_per_video=3).training({"a": InputSpec(length=2, size=(18, 32))})
    settings = {"seed": 5, "size": len(samples), "epochs": 3, "batch_size": 4, "order": samples.order}
    whole = list(Steps(**settings))
    assert len(whole) == 9 and list(Steps(**settings, first=5)) == whole[5:]
    assert sorted(key[2] for batch in whole[:3] for key in batch) != sorted(key[2] for b in whole[3:6] for key in b)


def test_a_training_from_shards_is_resumed_in_the_middle_of_an_epoch_to_the_last_bit(written, tmp_path):
    run = Run(
        name="streamed",
        task=SaliencyTask(),
        data=SaliencyClips(source=written, grid=(18, 32), clips_per_video=2),
        learners={
            "a": Learner(
                model=ViNetSConfig(input=InputSpec(length=8, size=(32, 32)), width=0.0625), optimizer=Optimizer(lr=1e-3)
            )
        },
        stages=(Stage(name="only", epochs=2),),
        train=Training(batch_size=2, checkpoint_every=1, device="cpu"),
    )
    train(run, tmp_path / "whole")
    taken = 0
    read = type(written.videos("train")[0]).density

    class Stop(Exception):
        """Ends the first attempt."""

    def density(self, i):
        nonlocal taken
        taken += 1
        if taken == 8:  # in the second epoch's first half
            raise Stop
        return read(self, i)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("saliency.datasets.shards.ShardVideo.density", density)
        with pytest.raises(Stop):
            train(run, tmp_path / "stopped")
    shutil.rmtree(written.cache)  # on another machine
    train(run, tmp_path / "stopped", resume=True)
    one, two = (load_file(tmp_path / name / "only" / "a.safetensors") for name in ("whole", "stopped"))
    assert one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_the_command_writes_shards(study, tmp_path, capsys):
    out = tmp_path / "out"
    words = ["shards", "folder", str(study.root), str(out), "--split", "train=scene_[1-4]"]
    assert prepare.main([*words, "--split", "val=scene_5"]) == 0
    assert "5 videos in 2 shards" in capsys.readouterr().out
    assert [video.id for video in Shards(address=str(out)).videos("train")] == [f"scene_{k}" for k in range(1, 5)]
    with pytest.raises(InputError, match="is there already"):
        prepare.main(words)
