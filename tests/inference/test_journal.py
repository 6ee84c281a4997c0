import json
import multiprocessing

import pytest

from saliency.errors import InputError
from saliency.inference.journal import FILE, Done, Journal, identity, stamp


def files(folder, *names):
    paths = []
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        paths.append(path)
    return paths


def done(source, folder, settings="s"):
    return Done(
        name="x", source=identity(source), stamp=stamp(source), settings=settings, frames=3, files=(str(folder / "o"),)
    )


def test_sources_of_one_name_never_meet(tmp_path):
    sources = files(tmp_path, "a/clip.mp4", "b/clip.mp4", "b/clip.avi", "c/CLIP.mov", "c/other.mp4", "d/clip-2.mp4")
    out = tmp_path / "out"
    names = ["clip", "clip-2", "clip-3", "CLIP-4", "other", "clip-2-2"]
    assert [job.name for job in Journal(out).claim(sources)] == names
    # a later call, in another order, and with one more
    more = [*reversed(sources), *files(tmp_path, "e/clip.mp4")]
    assert [job.name for job in Journal(out).claim(more)] == [*reversed(names), "clip-5"]


def test_what_is_done_is_known_until_something_changes(tmp_path):
    (source,) = files(tmp_path, "clip.mp4")
    journal = Journal(tmp_path / "out")
    assert journal.done("s") == {}
    (tmp_path / "out").mkdir()
    files(tmp_path / "out", "o")
    journal.note(done(source, tmp_path / "out"))
    with (tmp_path / "out" / FILE).open("a") as file:
        file.write('{"done": {"na')  # a process was killed here
    assert set(journal.done("s")) == {identity(source)} and journal.done("other settings") == {}
    source.write_text("changed since")
    assert journal.done("s") == {}
    (tmp_path / "out" / FILE).write_text(json.dumps({"done": {"name": "of another version"}}) + "\n")
    assert journal.done("s") == {}


def test_a_claim_after_half_a_line_is_kept(tmp_path):
    first, second = files(tmp_path, "a/clip.mp4", "b/clip.mp4")
    out = tmp_path / "out"
    out.mkdir()
    (out / FILE).write_text('{"done": {"na')  # a process was killed here
    assert [job.name for job in Journal(out).claim([first])] == ["clip"]
    assert [job.name for job in Journal(out).claim([second])] == ["clip-2"]


def test_what_is_begun_again_is_not_done(tmp_path):
    """Its files may be of either call when the later one dies."""
    one, other = files(tmp_path, "one.mp4", "other.mp4")
    files(tmp_path / "out", "o")
    journal = Journal(tmp_path / "out")
    for source in (one, other):
        journal.note(done(source, tmp_path / "out"))
    journal.begin([one])
    assert set(journal.done("s")) == {identity(other)}
    journal.note(done(one, tmp_path / "out"))
    assert set(journal.done("s")) == {identity(one), identity(other)}


def test_outputs_that_were_removed_are_made_again(tmp_path):
    (source,) = files(tmp_path, "clip.mp4")
    files(tmp_path / "out", "o")
    journal = Journal(tmp_path / "out")
    journal.note(done(source, tmp_path / "out"))
    assert journal.done("s")
    (tmp_path / "out" / "o").unlink()
    assert journal.done("s") == {}


def test_processes_claim_in_turns(tmp_path):
    groups = [files(tmp_path, *(f"{k}-{i}/clip.mp4" for i in range(5))) for k in range(4)]
    with multiprocessing.get_context("fork").Pool(4) as pool:
        claimed = pool.map(Journal(tmp_path / "out").claim, groups, chunksize=1)
    names = [job.name for jobs in claimed for job in jobs]
    assert len(names) == len(set(names)) == 20


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file/out: cannot be written to .*choose another --out"):
        Journal(tmp_path / "file" / "out").claim([tmp_path])
