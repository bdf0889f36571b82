"""Does the heatmap show what the model uses? Completeness, randomised weights, and pointing where masks are given."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.ml_worker.image import NETWORK_SIDE
from services.ml_worker.model import Model, RawOutputs
from services.ml_worker.training.heads import Head, heads_of
from services.ml_worker.training.pixels import Grey, as_batch, grey
from services.ml_worker.training.prepare import Images

_POSITIVE = 1
#: Grey level from which a mask marks lesion.
_LESION = 128


def completeness_error(content: bytes, pixels: Grey) -> float:
    """Largest gap, over images, between the Positive logit and the sum of its map and the head's biases.

    With h the hidden layer before its ReLU: sum(CAM) + sum over h > 0 of b1 * W2 + b2 = logit, exactly; of several
    members the mean of those biases.
    """
    model, heads = Model(content, threads=2), heads_of(content)
    return max(_gap(model.infer(as_batch(image[np.newaxis])), heads) for image in pixels)


def _gap(raw: RawOutputs, heads: list[Head]) -> float:
    ends = np.cumsum([head.depth for head in heads])[:-1]
    embeddings = np.split(raw.embedding, ends)
    biases = np.mean([_biases(*each) for each in zip(heads, embeddings, strict=True)])
    return abs(float(raw.cam.sum() + biases - raw.logits[_POSITIVE]))


def _biases(head: Head, embedding: NDArray[np.float32]) -> float:
    active = head.w1 @ embedding + head.b1 > 0
    return float((active * head.b1) @ head.w2[_POSITIVE] + head.b2[_POSITIVE])


def randomised(content: bytes, seed: int = 0) -> bytes:
    """The same file with every head's kernels shuffled: same values, nothing learned left in their places."""
    heads, rng = heads_of(content), np.random.default_rng(seed)
    for kernel in (kernel for head in heads for kernel in (head.w1, head.w2)):
        stored = kernel.astype(np.float32)
        shuffled = rng.permutation(stored.ravel()).reshape(stored.shape)
        content = content.replace(stored.tobytes(), shuffled.tobytes())
    return content


def randomisation_similarity(content: bytes, pixels: Grey) -> float:
    """Mean correlation of each image's map with the one after `randomised` (Adebayo et al. 2018).

    Near 1 would mean that the map shows the image and not what the model has learned.
    """
    trained, shuffled = Model(content, threads=2), Model(randomised(content), threads=2)
    batches = [as_batch(image[np.newaxis]) for image in pixels]
    found = [np.corrcoef(trained.infer(b).cam.ravel(), shuffled.infer(b).cam.ravel())[0, 1] for b in batches]
    return float(np.nanmean(found))


def pointing_accuracy(cams: NDArray[np.float32], masks: NDArray[np.bool_]) -> float:
    """Share of the images [n, 7, 7] whose strongest cell touches the mask [n, 224, 224] (Zhang et al. 2018)."""
    cell = NETWORK_SIDE // cams.shape[1]
    hits = []
    for cam, mask in zip(cams, masks, strict=True):
        row, column = np.unravel_index(int(cam.argmax()), cam.shape)
        hits.append(mask[row * cell : (row + 1) * cell, column * cell : (column + 1) * cell].any())
    return float(np.mean(hits))


def pointing(model: Model, images: Images, masks: Path) -> float:
    """Pointing accuracy over the images that have a mask of their name in `masks`; NaN where none has."""
    files = [masks / f"{sample.path.stem}.png" for sample in images.samples]
    there = [place for place, file in enumerate(files) if file.exists()]
    if not there:
        return float("nan")
    cams = [model.infer(as_batch(images.pixels[place][np.newaxis])).cam for place in there]
    return pointing_accuracy(np.stack(cams), np.stack([read_mask(files[place]) for place in there]))


def read_mask(file: Path) -> NDArray[np.bool_]:
    """[224, 224], letter-boxed like its image; anything brighter than half is lesion."""
    return np.asarray(grey(file) >= _LESION)
