# %% [markdown]
# # Quick start
#
# From a video to maps, numbers and a film that shows where people would look. Half a minute on one CPU core.
#
# The video is drawn here, so that nothing has to be downloaded. Take one of your own: everything below works with any
# video file, photograph, folder of pictures or array.

# %%
from pathlib import Path

import numpy as np
from PIL import Image

import saliency
from saliency.inference.overlay import Overlay
from saliency.serve.example import write_example

video = Path("clip.mp4")
write_example(video, frames=45, size=(180, 320))

# %% [markdown]
# ## A map for each frame
#
# `saliency.predict` yields a map for each frame, or for every n-th. A map has the size of the video, is nowhere negative
# and sums to 1: the share of all looks that falls on each pixel.

# %%
model = saliency.load_model()  # the default one; saliency.list_models() names the others
maps = list(model.predict(video, every=5))
first = maps[0]
print(model.name, first.values.shape, first.values.dtype, f"sums to {first.values.sum():.3f}")

# %% [markdown]
# Painted on its frame: the warmer, the more people are expected to look there.

# %%
with saliency.open_video(video) as frames:
    pictures = frames.read([map.frame for map in maps])  # (n, H, W, 3) uint8 RGB

paint = Overlay()
shown = (0, 4, 8)
Image.fromarray(np.hstack([paint.paint(pictures[k], maps[k].values) for k in shown]))

# %% [markdown]
# ## Numbers
#
# Whatever you want to know of a region is a sum over the map. How much of the attention does the right half get, and
# where is the strongest place?

# %%
for map in maps:
    row, column = np.unravel_index(map.values.argmax(), map.values.shape)
    right = map.values[:, map.values.shape[1] // 2 :].sum()
    print(f"{map.time:.2f} s  right half {right:4.0%}  strongest at {column:3d},{row:3d}  {map.confidence:.1f} bits")

# %% [markdown]
# The last column says how far to trust the map: the bits per fixation that it is expected to gain over a guess at the
# middle of the picture. 0 means that it is expected to say no more than that guess.

# %% [markdown]
# ## The same as a command
#
# `saliency infer` writes the film with the map painted on it. `saliency report` writes a page with regions, and
# `saliency serve` is that page in a browser; see the [tutorials](../docs/tutorials/README.md).

# %% language="bash"
# saliency infer clip.mp4 --out look.mp4

# %%
with saliency.open_video("look.mp4") as film:
    print(len(film), "frames of", film.size)
