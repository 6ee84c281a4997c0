"""Downloads against a server of our own: all of a set or nothing, every file checked, one line when it fails."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from saliency.errors import InputError
from saliency.preparation import downloads, open_data
from saliency.preparation.downloads import blob_id, get
from saliency.preparation.open_data import Source, read_register

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {"video/a b.avi": b"moving\n" * 1000, "gaze/P1/P1.txt": b"1 2 3\n", "gaze/P2/P2.txt": b"", "LICENSE": b"MIT\n"}


@pytest.fixture(autouse=True)
def quick(tmp_path, monkeypatch):
    monkeypatch.setenv("SALIENCY_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(downloads, "PAUSES", (0.0, 0.0))
    monkeypatch.setattr(open_data, "REGISTERS", tmp_path)


@pytest.fixture
def source(tmp_path):
    rows = [f"# github.com/some/where commit {COMMIT}: mode type id path"]
    for path, content in FILES.items():
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        rows.append(f"100644 blob {blob}\t{path}")
    (tmp_path / "toy.txt").write_text("\n".join(rows) + "\n")
    (tmp_path / "toy.md").write_text("# By somebody\n")
    return Source(
        name="toy", about="toy", licence="MIT", folder="set/toy", needed="video/a b.avi", register="toy", megabytes=0.1
    )


@pytest.fixture
def server():
    """Serves FILES; `answers` replaces the answer to a path: a status, or other bytes; `asked` lists the paths."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            prefix = f"/some/where/{COMMIT}/"
            path = self.path.removeprefix(prefix).replace("%20", " ")
            http.asked.append(path)
            answer = http.answers.get(path, FILES.get(path, 404))
            if isinstance(answer, list):
                answer = answer.pop(0) if answer else FILES[path]
            if isinstance(answer, int):
                self.send_error(answer)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(FILES[path])))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.answers, http.asked = {}, []
    http.base = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, args=(0.01,))
    thread.start()
    yield http
    http.shutdown()
    thread.join()
    http.server_close()


def content(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_blob_id_is_gits(tmp_path):
    (tmp_path / "a").write_bytes(b"")
    assert blob_id(tmp_path / "a") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"  # git hash-object /dev/null
    (tmp_path / "a").write_bytes(b"hello\n")
    assert blob_id(tmp_path / "a") == "ce013625030ba8dba906f756967f9e9ca394464a"  # echo hello | git hash-object


def test_all_files_and_the_attribution_arrive(source, server, tmp_path):
    seen = []
    folder = get(source, base=server.base, progress=lambda done, total: seen.append((done, total)))
    assert folder == tmp_path / "data/set/toy"
    assert content(folder) == {**FILES, "ATTRIBUTION.md": b"# By somebody\n"}
    assert seen == [(k, 4) for k in (1, 2, 3, 4)]
    assert [p.name for p in folder.parent.iterdir()] == ["toy"]  # nothing is left of the work
    assert get(source, base="http://nowhere.invalid") == folder  # it is there: nothing is asked for


def test_a_changed_file_is_refused_and_nothing_appears(source, server, tmp_path):
    server.answers["gaze/P1/P1.txt"] = b"9 9 9\n"
    with pytest.raises(InputError, match=r"P1\.txt: what came is not the pinned file") as error:
        get(source, base=server.base)
    assert "\n" not in str(error.value) and "--from FOLDER" in str(error.value)
    assert not (tmp_path / "data/set/toy").exists()


def test_an_interrupted_download_goes_on(source, server, tmp_path):
    server.answers["LICENSE"] = 404
    with pytest.raises(InputError, match=r"LICENSE: the server answers 404"):
        get(source, base=server.base)
    assert not (tmp_path / "data/set/toy").exists()
    del server.answers["LICENSE"]
    before, server.asked[:] = set(server.asked), []
    assert content(get(source, base=server.base)) == {**FILES, "ATTRIBUTION.md": b"# By somebody\n"}
    assert "LICENSE" in server.asked and before == set(FILES)
    assert "video/a b.avi" not in server.asked  # it had come whole


def test_passing_troubles_are_waited_out(source, server):
    server.answers["LICENSE"] = [503, b"MI"]  # then a connection that breaks off, then the file
    assert content(get(source, base=server.base))["LICENSE"] == b"MIT\n"
    assert server.asked.count("LICENSE") == 3


def test_without_a_network_one_line_says_what_to_do(source, tmp_path):
    with pytest.raises(InputError) as error:
        get(source, base="http://127.0.0.1:9")  # nobody listens
    text = str(error.value)
    assert "\n" not in text and "cannot be reached" in text
    assert f"github.com/some/where/archive/{COMMIT}.zip" in text and "saliency data get toy --from FOLDER" in text


def test_from_a_folder_whatever_its_layout(source, tmp_path):
    given = tmp_path / "given"
    for path, bytes_ in FILES.items():
        place = given / "deep" / path.rpartition("/")[2]  # flat
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(bytes_)
    (given / "LICENSE").write_bytes(b"another one")  # of the same name, and first
    folder = get(source, given=given)
    assert content(folder) == {**FILES, "ATTRIBUTION.md": b"# By somebody\n"}


def test_from_a_folder_that_lacks_a_file(source, tmp_path):
    given = tmp_path / "given"
    (given / "video").mkdir(parents=True)
    (given / "video/a b.avi").write_bytes(b"other")
    with pytest.raises(InputError, match=r"4 of 4 files of toy .*first: video/a b.avi differs"):
        get(source, given=given)
    assert not (tmp_path / "data/set/toy").exists()


def test_a_converter_fills_the_set_and_its_failure_leaves_nothing(source, server, tmp_path):
    def convert(originals, target):
        (target / "video").mkdir()
        (target / "video/a b.avi").write_bytes((originals / "video/a b.avi").read_bytes()[:6])
        if fail:
            raise InputError("cannot be converted")

    fields = {name: getattr(source, name) for name in source.__slots__}
    converted = Source(**{**fields, "convert": convert})
    fail = True
    with pytest.raises(InputError, match="cannot be converted"):
        get(converted, base=server.base)
    assert not (tmp_path / "data/set/toy").exists()
    fail, server.asked[:] = False, []
    folder = get(converted, base=server.base)
    assert content(folder) == {"video/a b.avi": b"moving", "ATTRIBUTION.md": b"# By somebody\n"}
    assert server.asked == []  # the originals were kept for the second attempt
    assert [p.name for p in folder.parent.iterdir()] == ["toy"]


def test_places_that_cannot_be_used(source, server, tmp_path, monkeypatch):
    (tmp_path / "data/set/toy").mkdir(parents=True)
    with pytest.raises(InputError, match=r"in the way.*no video/a b.avi"):
        get(source, base=server.base)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SALIENCY_DATA", str(tmp_path / "file"))
    with pytest.raises(InputError, match="SALIENCY_DATA to a folder that can be written"):
        get(source, base=server.base)


def test_a_full_disk_is_said(source, server, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(downloads.shutil, "copyfileobj", full)
    with pytest.raises(InputError, match="No space left on device"):
        get(source, base=server.base)
    assert not (tmp_path / "data/set/toy").exists()


def test_registers_are_read_strictly(tmp_path):
    path = tmp_path / "bad.txt"
    for text in (
        "no head\n",
        f"# github.com/a/b commit {COMMIT}\n100644 blob 12\tx\n",
        f"# github.com/a/b commit {COMMIT}\n100644 blob {COMMIT}\t../x\n",
        f"# github.com/a/b commit {COMMIT}\n040000 tree {COMMIT}\tx\n",
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"bad\.txt"):
            read_register(path)


@pytest.mark.parametrize("source", open_data.SOURCES, ids=lambda source: source.name)
def test_every_entry_of_the_table_is_whole(source, monkeypatch):
    monkeypatch.undo()
    register = source.pinned()
    assert len({file.path for file in register.files}) == len(register.files) > 0
    assert register.repository in source.attribution() and register.commit in source.attribution()
    if source.convert is None:
        assert source.needed in {file.path for file in register.files}
