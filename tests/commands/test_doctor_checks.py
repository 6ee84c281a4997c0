"""The doctor: what is well passes, what is not comes with its fix and an exit status."""

from pathlib import Path

import numpy as np
import pytest

from saliency.commands import doctor as command
from saliency.commands import doctor_checks as doctor
from saliency.commands.doctor_checks import Finding
from saliency.io.frames import open_frames


def test_everything_needed_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "has_amx", lambda: False)  # the probe of bf16 kernels may take a minute
    monkeypatch.setattr(doctor, "driver", lambda: None)
    monkeypatch.setattr(
        doctor, "EXTRAS", {"some": ("json",), "other": ("no_such_module",)}
    )  # the real ones load slowly
    findings = doctor.examine([tmp_path / "runs"], free_gib=0.001)
    problems = [finding for finding in findings if finding.state == "problem"]
    assert not problems
    found = {finding.what: finding for finding in findings}
    assert found["decoder pyav"].state == found["extra some"].state == "ok"
    assert found["extra other"].fix == "pip install 'video-saliency[other]' (optional)"
    assert {"Python", "torch", "av", "opencv-python-headless", "CPU", "saliency.models"} <= found.keys()
    assert all(finding.fix for finding in findings if finding.state == "note" and finding.what != "GPU")
    assert not (tmp_path / "runs").exists()


def test_missing_and_old_packages_name_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    (missing,) = doctor.packages(["no_such_module_anywhere"])
    assert missing.state == "problem" and missing.fix == "pip install 'no_such_module_anywhere'"
    monkeypatch.setattr(doctor.importlib.metadata, "version", lambda name: "1.9.2+cpu")
    (old,) = doctor.packages(["torch"])
    assert old.state == "problem" and old.fix == "pip install 'torch>=2.6'"


def test_opencv_without_libgl() -> None:
    def load(module: str) -> object:
        raise ImportError("libGL.so.1: cannot open shared object file\nsecond line")

    assert doctor.import_error("cv2", load) == "libGL.so.1: cannot open shared object file"


def test_old_python() -> None:
    assert doctor.python((3, 10, 4)).fix == "install Python 3.11 or later"


@pytest.mark.parametrize(
    ("says", "built", "state", "fix"),
    [
        (None, None, "note", ""),
        ("", "13.2", "problem", "load the driver"),
        ("NVIDIA H100, 550.54", None, "problem", "download.pytorch.org"),
        ("NVIDIA H100, 470.10", "13.2", "problem", "update the driver"),
    ],
)
def test_gpu_driver_and_torch_must_match(says: str | None, built: str | None, state: str, fix: str) -> None:
    (finding,) = doctor.gpus(says, built, usable=False)
    assert finding.state == state and fix in finding.fix


def test_a_full_disk_and_a_closed_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = doctor.space(tmp_path, 1e9)
    assert full.state == "problem" and full.fix.startswith("free ")

    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctor.tempfile, "NamedTemporaryFile", refuse)
    closed = doctor.writable(tmp_path / "runs")
    assert closed.state == "problem" and "Permission denied" in closed.found and str(tmp_path) in closed.fix


def test_probe_video_has_the_frames_it_should(tmp_path: Path) -> None:
    doctor.make_video(tmp_path / "probe.mp4")
    with open_frames(tmp_path / "probe.mp4") as source:
        grey = source.read(range(len(source))).mean((1, 2, 3))
    assert np.abs(grey - doctor.levels()).max() < 8


def test_a_decoder_with_other_frames_is_no_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    doctor.make_video(tmp_path / "probe.mp4")
    monkeypatch.setattr(doctor, "levels", lambda: np.array([200, 10, 10, 10]))
    finding = doctor.decoder(tmp_path / "probe.mp4", "pyav")
    assert finding.state == "problem" and "other frames" in finding.found


def test_kernels_that_crash_or_hang_are_survived() -> None:
    crashed = doctor.bf16_on_cpu("import os; os.abort()")
    assert crashed.state == "note" and "ONEDNN_MAX_CPU_ISA" in crashed.fix
    assert "not done after" in doctor.bf16_on_cpu("import time; time.sleep(60)", seconds=0.2).found
    assert doctor.bf16_on_cpu("pass").state == "ok"


def test_amx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpuinfo").write_text("flags : avx512_bf16 amx_bf16 amx_tile\n")
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    assert doctor.has_amx(tmp_path / "cpuinfo")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_BF16")
    assert not doctor.has_amx(tmp_path / "cpuinfo")


@pytest.mark.parametrize(("state", "status"), [("ok", 0), ("note", 0), ("problem", 1)])
def test_exit_status(state, status: int, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    finding = Finding(what="thing", state=state, found="so", fix="do 'this[x]'")
    monkeypatch.setattr(doctor, "examine", lambda folders, **_: [finding])
    assert command.main([]) == status
    printed = capsys.readouterr().out
    assert "do 'this[x]'" in printed and ("1 problem(s)" in printed) == bool(status)
