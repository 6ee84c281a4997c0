from saliency.report.tables import LeaderboardRow, VideoMean, build_tables
from saliency.report.transfer_report import transfer_text


def row(stage: str, sim: list[float], kld: list[float]) -> LeaderboardRow:
    videos = {
        name: {f"{i}": VideoMean(value, 5) for i, value in enumerate(values)}
        for name, values in (("sim", sim), ("kld", kld))
    }
    means = {"sim": sum(sim) / len(sim), "kld": sum(kld) / len(kld)}
    return LeaderboardRow(name="net", dataset="toy", stage=stage, metrics=means, videos=videos, protocol="p")


def test_a_significant_loss_is_named_as_such_with_its_p():
    """Ten videos that all lose 0.02 SIM: p = 2 / 2^10. KL falls, which is a gain, on all of them."""
    tables = build_tables([row("control", [0.3] * 10, [1.0] * 10), row("bi_kd", [0.28] * 10, [0.9] * 10)])
    text = transfer_text(tables, "control", "bi_kd")
    assert "toy, net, bi_kd minus control: " in text
    assert "significant loss of sim -0.020 (p 0.0020)" in text
    assert "significant gain of kld -0.100 (p 0.0020)" in text


def test_what_is_not_significant_is_not_said():
    tables = build_tables([row("control", [0.3, 0.3], [1.0, 1.0]), row("bi_kd", [0.28, 0.28], [1.0, 1.0])])
    assert transfer_text(tables, "control", "bi_kd").endswith("nothing significant (or too few videos to tell)")
