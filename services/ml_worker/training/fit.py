"""The seed's four steps: ImageNet base, frozen features, a head on them, then the upper blocks fine-tuned.

What is kept is the running average of the weights (Polyak and Juditsky 1992), since single epochs swing.
"""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow import keras

from services.ml_worker.training import network
from services.ml_worker.training.frozen import Middle
from services.ml_worker.training.views import Views

Weights = NDArray[np.float32]
Labels = NDArray[np.int64]

HEAD_EPOCHS = 15
HEAD_BATCH = 64

log = logging.getLogger("training")


@dataclass(frozen=True)
class Plan:
    """How long and how fast."""

    epochs: int = 4
    batch: int = 32
    #: Adam's step at the start; falls to a hundredth along half a cosine.
    rate: float = 2e-4
    #: Share of the old average that survives one step.
    average: float = 0.98
    smoothing: float = 0.05
    seed: int = 0


@dataclass(frozen=True)
class Material:
    """What to learn from; `views` are of the same images as the rest."""

    views: Views
    labels: Labels
    weights: Weights


def embed(model: keras.Model, middle: Middle, batch: int = 64) -> NDArray[np.float32]:
    """[n, ...]: `model` on middle maps, a batch at a time."""
    run = tf.function(lambda part: model(part, training=False), reduce_retracing=True)
    parts = (middle[start : start + batch].astype(np.float32) for start in range(0, len(middle), batch))
    return np.concatenate([run(tf.constant(part)).numpy() for part in parts])


def fit_head(embeddings: NDArray[np.float32], labels: Labels, weights: Weights) -> keras.Sequential:
    """A head on frozen features [n, d]."""
    head = network.build_head(embeddings.shape[1])
    head.compile(keras.optimizers.Adam(1e-3), _loss(0.0))
    head.fit(
        embeddings,
        _one_hot(labels),
        sample_weight=weights,
        epochs=HEAD_EPOCHS,
        batch_size=HEAD_BATCH,
        verbose=0,
    )
    return head


def fine_tune(
    model: keras.Model, material: Material, chosen: NDArray[np.bool_], plan: Plan
) -> Iterator[tuple[int, float]]:
    """Train `model` on the views of the `chosen` images; after each epoch yields its number and mean loss.

    While the caller looks at a yielded epoch, the model holds the average of the weights.
    """
    total = plan.epochs * _steps(material.views.epoch(0).owner, chosen, plan)
    rate = keras.optimizers.schedules.CosineDecay(plan.rate, total, alpha=0.01)
    optimiser = keras.optimizers.Adam(rate, use_ema=True, ema_momentum=plan.average)
    step = _step_of(model, optimiser, _loss(plan.smoothing))
    for number in range(plan.epochs):
        started, losses = time.monotonic(), []
        for middle, truth, weight in _batches(material, chosen, plan, number):
            losses.append(float(step(middle, truth, weight)))
        raw = model.get_weights()
        optimiser.finalize_variable_values(model.trainable_variables)
        mean = float(np.mean(losses))
        log.info("epoch %d: loss %.4f, %.0f s", number + 1, mean, time.monotonic() - started)
        yield number, mean
        if number + 1 < plan.epochs:
            model.set_weights(raw)


def _loss(smoothing: float) -> keras.losses.Loss:
    return keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)


def _one_hot(labels: Labels) -> NDArray[np.float32]:
    return np.eye(2, dtype=np.float32)[labels]


def _step_of(model: keras.Model, optimiser: keras.Optimizer, loss: keras.losses.Loss) -> tf.function:
    optimiser.build(model.trainable_variables)

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]  # TensorFlow ships no types
    def step(middle: tf.Tensor, truth: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            value = loss(truth, model(middle, training=True), sample_weight=weight)
        gradients = tape.gradient(value, model.trainable_variables)
        optimiser.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return value

    return step


def _steps(owner: NDArray[np.int64], chosen: NDArray[np.bool_], plan: Plan) -> int:
    return max(1, int(chosen[owner].sum()) // plan.batch)


def _batches(
    material: Material, chosen: NDArray[np.bool_], plan: Plan, number: int
) -> Iterator[tuple[tf.Tensor, tf.Tensor, tf.Tensor]]:
    epoch = material.views.epoch(number)
    rows = np.flatnonzero(chosen[epoch.owner])
    np.random.default_rng((plan.seed, number)).shuffle(rows)
    truth = _one_hot(material.labels)
    for step in range(_steps(epoch.owner, chosen, plan)):
        at = rows[step * plan.batch : (step + 1) * plan.batch]
        owners = epoch.owner[at]
        middle = tf.constant(epoch.middle[at].astype(np.float32))
        yield middle, tf.constant(truth[owners]), tf.constant(material.weights[owners])
