"""Light and sensor noise of whole camera pictures, fast enough for video."""

import cv2
import numpy as np

from model.types import Image


class Light:
    """Light on pictures BGR uint8 of one size: a factor, and a slope from the left to the right edge."""

    def __init__(self, width_px: int, height_px: int) -> None:
        self._ones = np.ones((height_px, width_px, 3), np.float32)
        slope = np.linspace(-0.5, 0.5, width_px, dtype=np.float32)[np.newaxis, :, np.newaxis]
        self._slope = np.ascontiguousarray(np.broadcast_to(slope, self._ones.shape))
        self._gain = np.empty_like(self._ones)

    def shine(self, picture: Image, light: float, slope: float) -> Image:
        """The picture times `light`, plus `slope` times it from half as much less on the left to half more on the right."""
        if slope:
            cv2.addWeighted(self._ones, light, self._slope, slope, 0, dst=self._gain)
            return cv2.multiply(picture, self._gain, dtype=cv2.CV_8U)
        return picture if light == 1.0 else cv2.convertScaleAbs(picture, alpha=light)


class IntegerNoise:
    """Gaussian sensor noise in whole grey levels, which pictures of 8 bits cannot tell from finer noise.

    Read from a sheet of four times a picture's size, at another place for every picture. Kept as what is added and
    what is taken away: OpenCV adds bytes to bytes an order of magnitude faster than floats.
    """

    def __init__(self, sigma: float, shape: tuple[int, int, int], seed: int) -> None:
        height, width, channels = shape
        rng = np.random.default_rng([0x5E, seed])
        sheet = np.rint(rng.standard_normal((2 * height, 2 * width, channels), dtype=np.float32) * np.float32(sigma))
        self._more = np.clip(sheet, 0, 255).astype(np.uint8)
        self._less = np.clip(-sheet, 0, 255).astype(np.uint8)
        self._shape, self._seed = shape, seed

    def photograph(self, picture: Image, index: int) -> Image:
        """Picture `index` of a video as it arrives."""
        height, width, _ = self._shape
        top, left = np.random.default_rng((self._seed, index)).integers(0, (height, width))
        view = (slice(top, top + height), slice(left, left + width))
        return cv2.subtract(cv2.add(picture, self._more[view]), self._less[view])
