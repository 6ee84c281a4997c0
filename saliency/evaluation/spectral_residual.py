"""A classic baseline that learns nothing: what stands out of a picture's smooth spectrum."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saliency.data.video import AnnotatedVideo


@dataclass(frozen=True, slots=True, kw_only=True)
class SpectralResidual:
    """Hou and Zhang, "Saliency Detection: A Spectral Residual Approach", CVPR 2007.

    The log amplitude spectrum of the grey frame, made `width` pixels wide, less its local mean over 3x3; transformed
    back with the frame's own phase, squared and blurred. (The paper makes the smaller side 64 pixels and blurs with
    sigma 8 at an unstated size; the blur here is a share of the width.)

    Attributes:
        name: what tables call it.
        width: of the small frame in pixels.
        sigma: of the blur, as a share of the width.
    """

    name: str = "spectral residual"
    width: int = 64
    sigma: float = 0.05

    @property
    def metadata(self) -> Mapping[str, object]:
        """How it was made."""
        return {"width": self.width, "sigma": self.sigma}

    def maps(self, video: AnnotatedVideo, frames: Sequence[int]) -> Iterator[tuple[int, Tensor]]:
        """Yield the map of each frame at the small size."""
        with video.open() as source:
            for frame in frames:
                yield frame, torch.from_numpy(self.map(source.read([frame])[0]))

    def map(self, frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the map (h, w) of a frame (H, W, 3)."""
        height = max(4, round(self.width * frame.shape[0] / frame.shape[1]))
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float64)
        small = cv2.resize(grey, (self.width, height), interpolation=cv2.INTER_AREA)
        spectrum = np.fft.fft2(small)
        log_amplitude = np.log(np.abs(spectrum) + 1e-9)
        residual = log_amplitude - cv2.blur(log_amplitude, (3, 3))
        back = np.fft.ifft2(np.exp(residual + 1j * np.angle(spectrum)))
        return cv2.GaussianBlur(np.abs(back) ** 2, (0, 0), self.sigma * self.width).astype(np.float32)
