# %% [markdown]
# # Train on your own videos
#
# A folder of videos and where people looked in them is enough; no Python file is needed. The folder is drawn here: five
# short videos with the gaze of 17 simulated viewers. The runs below are cut short, to a minute on one CPU core; leave the
# changes of settings away for real work.

# %%
from pathlib import Path

import numpy as np
from PIL import Image

import saliency
from saliency.inference.overlay import Overlay
from saliency.serve.example import write_study

write_study(Path("my_study"))
sorted(str(path) for path in Path("my_study").rglob("*.*"))

# %% [markdown]
# A gaze file has a line for each viewer and frame (or time in seconds), in pixels of the video:

# %%
print(*Path("my_study/gaze/scene_1.csv").read_text().splitlines()[:4], sep="\n")

# %% [markdown]
# ## Adapt the default model
#
# Small steps from the weights that come with the project, and then the mean of the weights before and after. One epoch of 12
# samples here; 5 epochs of 160 samples without the two changes at the end.

# %% language="bash"
# saliency train --data my_study --from default --out adapted \
#     stages.train.epochs=1 data.clips_per_video=3

# %% [markdown]
# The table compares the weights before, after, and their mean on the videos that were kept apart to validate on. If the mean is
# no better than before, the default model is the better choice, and the command says so. One epoch on four videos
# seldom is.
#
# ## Train a model from scratch
#
# `--model` names one ([all of them](../docs/own-data.md)). Its samples are clips of 16 frames; this run sees three of them.

# %% language="bash"
# saliency train --data my_study --model vinet_s-small --out scratch \
#     stages.train.epochs=1 data.clips_per_video=1 train.batch_size=3 \
#     --splits train=scene_1,scene_2,scene_4 val=scene_3

# %% [markdown]
# Everything about the run stands in its folder: weights, config, log, a page with curves.

# %%
sorted(path.name for path in Path("scratch").iterdir())

# %% [markdown]
# ## Use it
#
# Left the default model, right the adapted one, on a frame of the video that neither was trained on here.

# %%
weights = Path("adapted/adapted.safetensors")
video = "my_study/videos/scene_3.avi"
paint = Overlay()
with saliency.open_video(video) as source:
    frame = source.read([0])[0]
pair = [paint.paint(frame, next(saliency.predict(video, model)).values) for model in (None, weights)]
Image.fromarray(np.hstack(pair))

# %% [markdown]
# Then score it on videos that it never saw, beside the model that it started from:
# `saliency evaluate --data my_study --splits test=scene_5 --weights adapted/adapted.safetensors real_gaze`. The weights
# remember what they were trained on, and the command warns when a video was among it.
