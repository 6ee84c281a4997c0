# %% [markdown]
# # Evaluate your own method
#
# Any function that turns a frame into a map can be scored beside the project's models and the usual floors and ceilings:
# by a call for one map, or by a command for a whole folder.
#
# The study is drawn here: five short videos and the gaze of 17 simulated viewers. With recordings of your own, the
# [gaze study](gaze_study.ipynb) makes such a folder.

# %%
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

import saliency
from saliency.datasets.folder import Folder
from saliency.serve.example import write_study

study = Path("my_study")
write_study(study)
videos = Folder(root=study).videos("test")
print([f"{video.id}: {video.num_frames} frames of {video.size}" for video in videos])

# %% [markdown]
# ## The method
#
# A frame in, a map out. Its scale does not matter, and its size may be another than the video's. This one says that
# people look where the colour differs from the frame's mean colour.


# %%
def unlike_the_rest(frame: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 -> (H, W) float32 >= 0."""
    lab = cv2.cvtColor(frame, cv2.COLOR_RGB2LAB).astype(np.float32)
    distance = np.linalg.norm(lab - lab.mean(axis=(0, 1)), axis=2)
    return cv2.GaussianBlur(distance, (0, 0), 5)


# %% [markdown]
# ## One map
#
# `saliency.score` takes the map, the viewers' density map and their fixations.

# %%
video, i = videos[0], 15
with video.open() as source:
    frame = source.read([i])[0]
density, fixations = video.density(i), video.fixations(i)
map = unlike_the_rest(frame)
saliency.score(map, density, fixations)

# %% [markdown]
# Always look at it: the frame, the method's map, where the viewers look.


# %%
def grey(values: np.ndarray) -> np.ndarray:
    """Values from 0 to their maximum as a grey picture, (H, W, 3) uint8."""
    return np.repeat((values / values.max() * 255).astype(np.uint8)[..., None], 3, axis=2)


Image.fromarray(np.hstack([frame, grey(map), grey(density)]))

# %% [markdown]
# ## All of them
#
# Write a map for each frame, a folder for each video, numbered like the frames: PNG, NPY, NPZ or one grey video. Then the
# command scores the folder as if it were a model.

# %%
for video in videos:
    folder = Path("maps") / video.id
    folder.mkdir(parents=True, exist_ok=True)
    with video.open() as source:
        for i, frame in enumerate(source.iterate()):
            np.save(folder / f"{i + 1:04d}.npy", unlike_the_rest(frame))

# %% language="bash"
# saliency evaluate --data my_study --every 3 --out scores \
#     --maps "unlike the rest=maps" --weights "default=real_gaze" \
#     --baselines chance centre-prior one-observer other-observers

# %% [markdown]
# Read it from below. *Chance* and the *centre prior* are the floor: a method that does not beat the middle of the picture has
# learnt nothing about the picture. *One observer* is what a single viewer says of all others, and *other observers* is
# the ceiling of the metrics of fixations.
#
# ## A table to publish
#
# With intervals over videos, and a paired test against the centre prior. Five videos are too few for either to be
# narrow: that is the point of showing them.

# %% language="bash"
# saliency leaderboard scores --baseline "centre prior" --format md

# %% [markdown]
# `--format tex` writes LaTeX with booktabs. How numbers are made, and which published ones they may be compared with:
# [protocols](../docs/protocol.md), [metrics](../docs/metrics.md).
