# %% [markdown]
# # Add a model
#
# A model is a config dataclass and a module. Here one is written, tried, trained beside a model of the project, taught
# by it, and used, all in a minute. To keep it, put the two classes into a file in `models/`:
# [docs/add-a-model.md](../docs/add-a-model.md) goes on from there.

# %%
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

import saliency
from saliency.backbones.layers import spatial_size, upsample
from saliency.config.run import Learner, Optimizer, Run, Stage, Training
from saliency.data.clips import SaliencyClips
from saliency.datasets.mini import Mini
from saliency.distillation.bi_kd import BiKD
from saliency.inference.overlay import Overlay
from saliency.io.weights import load_model
from saliency.models.vinet_s import ViNetSConfig
from saliency.tasks.saliency import SaliencyTask
from saliency.training.seeds import train_seeds
from saliency.types import Init, InputSpec

# %% [markdown]
# ## The model
#
# The config says which clip the model wants: four frames up to the target frame, 32x48 pixels. The module turns
# `(B, 3, T, H, W)` into `(B, H, W)` in (0, 1).


# %%
@dataclass(frozen=True, slots=True, kw_only=True)
class MotionNetConfig:
    """Contrast in the target frame and change over the clip, joined by one convolution."""

    input: InputSpec = field(default_factory=lambda: InputSpec(length=4, size=(32, 48)))
    width: int = 8

    def build(self, init: Init = "scratch") -> "MotionNet":
        """Make the model."""
        return MotionNet(self)


class MotionNet(nn.Module):
    """(B, 3, T, H, W) normalised clip -> (B, H, W) saliency in (0, 1)."""

    def __init__(self, config: MotionNetConfig) -> None:
        super().__init__()
        c = config.width
        self.features = nn.Conv3d(3, c, (1, 5, 5), stride=(1, 2, 2), padding=(0, 2, 2))
        self.join = nn.Conv3d(2 * c, c, (1, 5, 5), padding=(0, 2, 2))
        self.out = nn.Conv3d(c, 1, 1)

    def forward(self, clip: Tensor) -> Tensor:
        """Predict the saliency map of the clip's last frame."""
        x = F.relu(self.features(clip))  # (B, C, T, H/2, W/2)
        now = x[:, :, -1:]
        motion = (x - now).abs().mean(dim=2, keepdim=True)
        x = F.relu(self.join(torch.cat((now, motion), dim=1)))  # (B, C, 1, H/2, W/2)
        x = upsample(self.out(x), spatial_size(clip))  # (B, 1, 1, H, W)
        return torch.sigmoid(x).squeeze(2).squeeze(1)  # (B, H, W)


# %% [markdown]
# Three things every model has to keep to: any size of clip, samples that do not influence each other, and a gradient
# for every parameter.

# %%
model = MotionNetConfig().build().eval()
clips = torch.randn(3, 3, 4, 32, 48)
assert model(clips).shape == (3, 32, 48)
assert model(torch.randn(1, 3, 1, 17, 31)).shape == (1, 17, 31)
torch.testing.assert_close(model(clips)[1:2], model(clips[1:2]))
model(clips).sum().backward()
assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters())
print(sum(parameter.numel() for parameter in model.parameters()), "parameters")

# %% [markdown]
# ## Train it, and let it learn from another model
#
# A run names the learners and the stages. Both are trained alone, then they teach each other (Bi-KD); the control is the
# same further training without transfer, the only fair comparison. A few simulated videos and three epochs: to see that
# it works, not to learn much.

# %%
vinet_s = ViNetSConfig(input=InputSpec(length=8, size=(32, 64)), width=0.125, norm_momentum=0.1)
adam = Optimizer(lr=3e-3)
run = Run(
    name="motion_net",
    task=SaliencyTask(),
    data=SaliencyClips(
        source=Mini(train_videos=6, val_videos=2, test_videos=1, size=(48, 72), min_frames=16, max_frames=16),
        grid=(32, 48),
        clips_per_video=4,
        cache="memory",
    ),
    learners={
        "motion_net": Learner(model=MotionNetConfig(), optimizer=adam),
        "vinet_s": Learner(model=vinet_s, optimizer=adam),
    },
    stages=(
        Stage(name="scratch", epochs=3),
        Stage(name="control", epochs=1, start="scratch"),
        Stage(name="bi_kd", epochs=1, start="scratch", distiller=BiKD()),
    ),
    train=Training(batch_size=4, device="cpu"),
)
train_seeds(run, Path("runs/motion_net"))

# %% [markdown]
# ## Use it
#
# The weights hold the config: one file is the model. (Here the class lives in the notebook, so only this notebook can load it;
# from `models/` every command can.)

# %%
loaded = load_model(Path("runs/motion_net/bi_kd/motion_net.safetensors"))
print(type(loaded.model).__name__, loaded.config.input)

# %%
motion_net = saliency.load_model("runs/motion_net/bi_kd/motion_net.safetensors")
video = run.data.source.videos("test")[0]
with video.open() as source:
    frame = source.read([12])[0]
map = list(motion_net.predict(video.path))[12]
paint = Overlay()
pair = Image.fromarray(np.hstack([paint.paint(frame, map.values), paint.paint(frame, video.density(12))]))
pair.resize((pair.width * 3, pair.height * 3))

# %% [markdown]
# Left the model, right the simulated viewers.
