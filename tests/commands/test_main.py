"""The command `saliency` itself: one screen, help without waiting, mistakes in one line."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

import saliency
from saliency.commands.main import COMMANDS, main, set_up_process

HERE = Path(__file__).parent


def call(*words: str, capsys) -> tuple[object, str, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as done:
        main(words)
    out, err = capsys.readouterr()
    return done.value.code, out, err


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",)])
def test_one_screen_with_every_command_and_three_examples(words, capsys):
    status, out, err = call(*words, capsys=capsys)
    assert (status or 0, err) == (0, "")
    assert len(out.splitlines()) <= 30 and max(map(len, out.splitlines())) <= 100
    assert all(f"  {name} " in out for name in COMMANDS)
    assert out.count("\n  saliency ") >= 3


def test_version(capsys):
    assert call("--version", capsys=capsys) == (0, f"saliency {saliency.__version__}\n", "")


def test_memory_and_waiting_are_set_up_unless_the_user_says_otherwise(monkeypatch):
    names = ("THP_MEM_ALLOC_ENABLE", "GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    for name in names:
        monkeypatch.setenv(name, "")  # so that what is set here is undone
        monkeypatch.delenv(name)
    set_up_process()
    assert [os.environ.get(name) for name in names] == ["1", "1000", None]
    monkeypatch.setenv("THP_MEM_ALLOC_ENABLE", "0")
    monkeypatch.setenv("GOMP_SPINCOUNT", "5")
    set_up_process()
    assert [os.environ.get(name) for name in names] == ["0", "5", None]
    monkeypatch.delenv("GOMP_SPINCOUNT")
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    set_up_process()
    assert os.environ.get("GOMP_SPINCOUNT") is None


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
@pytest.mark.parametrize(("variables", "kept"), [({}, True), ({"MALLOC_ARENA_MAX": "1"}, False)])
def test_freed_memory_is_kept_unless_the_user_decides(variables, kept):
    code = (
        "import resource\nfrom saliency.runtime.freed_memory import keep_all\nkeep_all()\n"
        "def faults():\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "    bytearray(b'x') * (1 << 26)\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before\n"
        "print(faults(), faults())"
    )
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=clean | variables
    )
    first, second = map(int, out.stdout.split())
    assert (second < first / 10) is kept


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_a_screen_and_needs_nothing_heavy(command):
    """`--help` answers at once: neither torch nor a decoder is loaded for it."""
    code = (
        "import sys\nfrom saliency.commands.main import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print('LOADED', sorted({'torch', 'torchvision', 'av', 'cv2', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, command, "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    *said, loaded = done.stdout.splitlines()
    assert loaded == "LOADED []"
    assert said[0].startswith(f"usage: saliency {command}")
    assert len(said) <= 40


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("infr",), "no command 'infr'; did you mean 'infer'?"),
        (("infer", "--vedeo", "a.mp4"), "unknown option --vedeo; did you mean '--video'?"),
        (("train", "--restart"), "unknown option --restart: it belongs to 'saliency evaluate'"),
        (("infer", "a.mp4", "--batch-size", "x"), "--batch-size: 'x' is no whole number"),
        (("infer", "--batch-size"), "--batch-size needs a value"),
        (("infer", "a.mp4", "--opacity", "60%"), "--opacity: '60%' is no number"),
        (("infer", "a.mp4", "--fps", "abc"), "--fps: 'abc' is no number"),
        (("infer", "a.mp4", "--style", "blur"), "--style: 'blur' is none of 'overlay', 'heat', 'contour'"),
        (("infer", "a.mp4", "--model", "b"), "unknown option --model: here it is called --weights"),
        (("infer", "a.mp4", "-o", "b"), "unknown option -o: here it is called --out"),
        (("infer", "--input", "a.mp4"), "unknown option --input: files stand without one"),
        (("infer", str(HERE / "test_main.py"), "--weights", "a,b"), "names are separated by spaces"),
        (("infer", str(HERE / "test_main.py"), "--out", str(HERE / "test_main.py")), "is a file; name a folder"),
        (("report", "a.mp4", "b.mp4"), "b.mp4: more than this command takes"),
        (("report", "a.mp4", "--out", "a.pdf"), "--out a.pdf: a folder is written, with report.html in it"),
        (("evaluate", "a.mp4"), "a.mp4: more than this command takes"),
        (("data", "get"), "saliency data get lacks an argument: which set"),
        ((str(HERE / "test_main.py"),), "is no command but a file or folder; say what to do: saliency infer /"),
        (("train", "--epochs", "3"), "settings of a run are written like stages.scratch.epochs=3"),
        (("train", "mini_tmfi_vinet", "batch_size=4"), "did you mean 'train.batch_size'?"),
        (("train", str(HERE)), "is a folder, no config; to train on a folder of your own"),
        (("train",), "name a config (mini_tmfi_vinet)"),
        (("train", "mini_tmfi_vine"), "there is no config 'mini_tmfi_vine'; did you mean 'mini_tmfi_vinet'?"),
        (("prepare", "verfy"), "saliency prepare has no 'verfy'; did you mean 'verify'?"),
    ],
)
def test_mistakes_are_one_line(words, message, capsys):
    status, out, err = call(*words, capsys=capsys)
    assert status == 2 and not out
    assert err.startswith("error: ") and message in err and err.count("\n") == 1


def test_debug_shows_where_it_was_noticed(capsys):
    status, _, err = call("infer", "none.mp4", "--debug", capsys=capsys)
    assert status == 2 and "Traceback" in err and "error: none.mp4: no such file or folder; " in err


def test_a_closed_pipe_ends_silently():
    command = f"{sys.executable} -m saliency train mini_tmfi_vinet --options"
    done = subprocess.run(
        ["bash", "-c", f"{command} | head -1; exit ${{PIPESTATUS[0]}}"], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("name=mini_tmfi_vinet")
