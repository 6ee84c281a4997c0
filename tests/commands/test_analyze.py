import pytest

from saliency.commands import analyze
from saliency.config.run import Learner, Run, Stage, Training
from saliency.distillation.bi_kd import BiKD
from saliency.errors import InputError
from saliency.tasks.saliency import SaliencyTask
from saliency.testing import ToyData, ToyNetConfig
from saliency.training.trainer import train


def test_a_finished_run_is_analysed(tmp_path, capsys):
    run = Run(
        name="toy",
        task=SaliencyTask(),
        data=ToyData(size=4, held_out=2),
        learners={"a": Learner(model=ToyNetConfig()), "b": Learner(model=ToyNetConfig(width=2))},
        stages=(Stage(name="before", epochs=1), Stage(name="bi_kd", epochs=1, start="before", distiller=BiKD())),
        train=Training(batch_size=2, device="cpu", threads=1),
    )
    train(run, tmp_path / "run")
    arguments = [str(tmp_path / "run"), "--out", str(tmp_path / "out"), "--device", "cpu"]
    analyze.main(arguments)
    assert "Recovered" in capsys.readouterr().out
    assert (tmp_path / "out/analysis.md").is_file()
    assert (tmp_path / "out/taught_bi_kd.svg").is_file()


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(InputError, match="is not the folder of a run: train first"):
        analyze.main([str(tmp_path)])
    (tmp_path / "seed-0").mkdir()
    (tmp_path / "seed-0/config.json").touch()
    with pytest.raises(InputError, match=r"name the folder of one seed, such as .*seed-0$"):
        analyze.main([str(tmp_path)])
