"""Resizing equals Pillow's, normalising torchvision's; clips have the model's order; maps keep their range."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torchvision import transforms

from saliency.io.stamped import scene
from saliency.io.transforms import (
    _interpolate,
    make_batch,
    make_clip,
    normalise,
    resize_frames,
    resize_map,
    resized_view,
)
from saliency.types import IMAGENET_MEAN, IMAGENET_STD, InputSpec


@pytest.fixture(scope="module")
def frames():
    return torch.from_numpy(np.stack([scene(i, (180, 320)) for i in range(3)]))


@pytest.mark.parametrize("size", [(56, 96), (64, 114), (17, 33), (180, 320), (200, 400), (1, 1)])
def test_resize_equals_pillow_within_one_level(frames, size):
    found = resize_frames(frames, size)
    assert found.shape == (3, 3, *size) and found.dtype == torch.uint8 and found.is_contiguous()
    for frame, small in zip(frames.numpy(), found.permute(0, 2, 3, 1).numpy(), strict=True):
        wanted = np.asarray(Image.fromarray(frame).resize(size[::-1], Image.Resampling.BILINEAR))
        difference = np.abs(small.astype(int) - wanted.astype(int))
        assert difference.max() <= 1
        assert (difference == 0).mean() > 0.99


def test_resize_equals_torchvisions_within_one_level(frames):
    wanted = transforms.Resize((56, 96), antialias=True)(frames.permute(0, 3, 1, 2))
    assert (resize_frames(frames, (56, 96)).int() - wanted.int()).abs().max() <= 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_resize_is_the_same_on_a_gpu(frames):
    for size in ((56, 96), (200, 400)):
        on_gpu = resize_frames(frames.cuda(), size).cpu()
        difference = (on_gpu.int() - resize_frames(frames, size).int()).abs()
        assert difference.max() <= 1 and (difference == 0).float().mean() > 0.95


def test_the_way_of_other_devices_equals_that_of_the_cpu(frames):
    for size in ((56, 96), (200, 400)):
        planes = frames.permute(0, 3, 1, 2).float()
        found = _interpolate(_interpolate(planes, (180, size[1])), size)
        difference = (found - resize_frames(frames, size)).abs()
        assert difference.max() <= 1 and (difference == 0).float().mean() > 0.95


def test_resize_refuses_other_layouts(frames):
    for bad in (frames.float(), frames[0], frames.permute(0, 3, 1, 2)):
        with pytest.raises(ValueError, match="uint8"):
            resize_frames(bad, (8, 8))


def test_normalise_equals_torchvisions(frames):
    picture = frames[0].numpy()
    wanted = transforms.Compose([transforms.ToTensor(), transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)])(picture)
    before = frames.clone()
    found = normalise(frames.permute(0, 3, 1, 2), IMAGENET_MEAN, IMAGENET_STD)
    assert found.is_contiguous() and found.dtype == torch.float32
    torch.testing.assert_close(found[0], wanted, atol=0, rtol=0)
    torch.testing.assert_close(frames, before)


def test_clip_has_channels_before_time(frames):
    spec = InputSpec(length=3, size=(20, 40), mean=(0.1, 0.2, 0.3), std=(1, 2, 3))
    small = resize_frames(frames, spec.size)
    clip = make_clip(small, spec)
    assert clip.shape == (3, 3, 20, 40) and clip.is_contiguous()
    for t in range(3):
        torch.testing.assert_close(clip[:, t], normalise(small[t], spec.mean, spec.std), atol=0, rtol=0)
    batch = make_clip(torch.stack([small, small.flip(0)]), spec, torch.bfloat16)
    assert batch.shape == (2, 3, 3, 20, 40) and batch.dtype == torch.bfloat16
    torch.testing.assert_close(batch[1].float(), clip.flip(1).bfloat16().float())


@pytest.mark.parametrize("size", [(20, 40), (180, 320)])
def test_a_batch_is_the_clips_of_its_samples(frames, size):
    spec = InputSpec(length=5, size=size, mean=(0.1, 0.2, 0.3), std=(1, 2, 3))
    orders = [[0, 0, 1, 2, 2], [2, 1, 0, 1, 0]]
    contiguous = [resize_frames(frames, size), resize_frames(frames.flip(0), size)]
    wanted = make_clip(torch.stack([f[order] for f, order in zip(contiguous, orders, strict=True)]), spec)
    views = [resized_view(frames, size), resized_view(frames.flip(0), size)]
    assert not views[0].is_contiguous()
    for given in (contiguous, views):
        found = make_batch(given, orders, spec)
        assert found.is_contiguous() and found.equal(wanted)
    with pytest.raises(ValueError, match="expected frames"):
        make_batch(views, [orders[0], orders[1][:4]], spec)


def test_clip_of_wrong_length_or_size(frames):
    small = resize_frames(frames, (20, 40))
    for spec in (InputSpec(length=4, size=(20, 40)), InputSpec(length=3, size=(20, 41))):
        with pytest.raises(ValueError, match="expected frames"):
            make_clip(small, spec)


def test_resize_map_is_bilinear_and_keeps_the_range():
    maps = torch.rand(2, 3, 7, 11)
    found = resize_map(maps, (21, 30))
    assert found.shape == (2, 3, 21, 30)
    wanted = F.interpolate(maps, (21, 30), mode="bilinear", align_corners=False)
    torch.testing.assert_close(found, wanted)
    assert found.min() >= maps.min() and found.max() <= maps.max()
    assert resize_map(maps[0, 0], (4, 4)).shape == (4, 4)
    assert resize_map(maps, (7, 11)) is maps
