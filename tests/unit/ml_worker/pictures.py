"""Head-like slices, drawn by code: something for the network to look at that no patient ever lay for."""

import numpy as np
from PIL import Image


def head_slice(seed: int, side: int = 224) -> Image.Image:
    """An ellipse with noise and waves in it, and a bright blob somewhere; mode L, the same for the same seed."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side - 0.5
    inside = (x / 0.36) ** 2 + (y / 0.44) ** 2 < 1
    waves = np.sin(x * rng.uniform(10, 40)) * np.cos(y * rng.uniform(10, 40))
    spot = np.hypot(x - rng.uniform(-0.2, 0.2), y - rng.uniform(-0.2, 0.2)) < rng.uniform(0.02, 0.1)
    values = inside * (90 + 30 * waves + 90 * spot + rng.normal(0, 8, x.shape))
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))
