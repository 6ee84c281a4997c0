"""One thread per test process: on a busy machine waiting threads cost more than they bring."""

import os

import torch

os.environ.setdefault("OMP_NUM_THREADS", "1")  # of the processes that tests start
torch.set_num_threads(1)
