# %% [markdown]
# # A gaze study
#
# From an eye tracker's recordings to maps, regions per viewer, and models beside the viewers. The recordings are written
# here in the layout of one vendor's export, so that every step can be tried before the first participant comes:
# simulated viewers, a screen of 1280x800, a video shown in the middle of it.

# %%
import csv
from pathlib import Path

import numpy as np
from PIL import Image

from saliency.datasets.folder import Folder
from saliency.inference.overlay import Overlay
from saliency.serve.example import write_study

study, drawn = Path("my_study"), Path("drawn")
write_study(drawn, videos=1, frames=60)
(study / "videos").mkdir(parents=True, exist_ok=True)
(study / "videos" / "cat.avi").write_bytes((drawn / "videos" / "scene_1.avi").read_bytes())
gaze = Folder(root=drawn).videos("test")[0].observers()  # (viewers, frames, 2) x, y in pixels of the video
print(gaze.shape)

# %% [markdown]
# ## Recordings
#
# Six of the viewers as tables with tabs: microseconds, pixels of the screen, what the tracker's software calls a fixation,
# and a message when the video began. The video of 192x108 pixels was shown at 1280x720, 40 pixels below the upper edge.

# %%
SCALE, TOP, RATE = 1280 / 192, 40, 120
rng = np.random.default_rng(0)
for viewer in range(6):
    lines = [
        "Recording timestamp [us]\tParticipant name\tEvent\tGaze point X\tGaze point Y\tValidity left\tEye movement type"
    ]
    lines.append(f"4000000\tPerson {viewer}\tVideoStimulusStart cat\t\t\t\t")
    for k in range(2 * RATE):
        x, y = gaze[viewer, k * 30 // RATE] * SCALE + (0, TOP) + rng.normal(0, 3, 2)
        seen = np.isfinite(x)
        place = f"{x:.0f}\t{y:.0f}\tValid\tFixation" if seen else "\t\tInvalid\tEyesNotFound"
        lines.append(f"{4_000_000 + k * 1_000_000 // RATE}\tPerson {viewer}\t\t{place}")
    Path(f"P{viewer + 1:02d}.tsv").write_text("\n".join(lines) + "\n")

# %% [markdown]
# ## Onto the video
#
# The geometry of the screen and the message of the onset bring the looks onto the video; the width of the screen and the
# distance of the eyes say what a degree is. Viewers lose their names.

# %% language="bash"
# saliency gaze import P0*.tsv --screen 1280x800 --video-rect 0,40,1280,720 \
#     --onset "VideoStimulusStart cat" --screen-cm 48 --distance-cm 60 --out my_study/gaze/cat.csv

# %% [markdown]
# Look at it before you believe it: the frame, and the viewers' density map on it.

# %%
(video,) = Folder(root=study).videos("test")
with video.open() as source:
    painted = [Overlay().paint(source.read([i])[0], video.density(i)) for i in (15, 30, 45)]
Image.fromarray(np.hstack(painted))

# %% [markdown]
# ## Regions per viewer
#
# How long, how soon and how often each viewer looked at a region, in pixels of the video.

# %% language="bash"
# saliency gaze areas my_study cat --roi left=0,0,96,108 right=96,0,96,108

# %%
with Path("my_study/areas/cat.csv").open(newline="") as file:
    rows = list(csv.DictReader(file))
for row in rows[:4]:
    print(row)

# %% [markdown]
# ## Models beside the viewers
#
# The default model, the centre prior as the floor, what one observer says of the others, and the other observers as the
# ceiling; and a page with the best and worst frames.

# %% language="bash"
# saliency evaluate --data my_study --every 10 --shuffled video --out scores

# %% [markdown]
# How many viewers and videos a study needs to see a difference, `saliency analyze power my_study` says from a pilot of
# several videos. All of it in detail, and what to think of before you keep recordings of people:
# [the eye-tracking laboratory](../docs/how-to/eye-tracking-laboratory.md).
