"""The material of one training run and the work done on it: cross-validation, and the network that is exported."""

import argparse
import logging

import numpy as np
from tensorflow import keras

from services.ml_worker.training import crossval, network, ood, splits
from services.ml_worker.training.backbones import BACKBONES
from services.ml_worker.training.fit import Material, Plan, fine_tune
from services.ml_worker.training.frozen import Frozen
from services.ml_worker.training.prepare import Images
from services.ml_worker.training.views import Views

log = logging.getLogger("training")


class Workshop:
    """Holds what is computed once: middle maps of the plain images and of every epoch's views."""

    def __init__(self, images: Images, arguments: argparse.Namespace) -> None:
        self.images = images
        self.backbone = BACKBONES[arguments.backbone](arguments.weights)
        self._arguments = arguments
        self._weights = self.backbone.upper.get_weights()
        lower = Frozen(self.backbone.lower)
        self._plain = lower(images.pixels)
        mixed = np.isin(images.sources, [path.stem for path in arguments.mixed])
        views = Views(
            images.pixels,
            np.where(mixed, arguments.repeat, arguments.share).tolist(),
            lower,
            seed=arguments.seed,
        )
        self.material = Material(views, images.labels, splits.weights(images.samples))
        seen = views.epoch(0)
        self.kind = ood.Material(
            plain=ood.statistics(self._plain),
            weights=splits.source_weights(images.samples),
            seen=ood.statistics(seen.middle),
            owner=seen.owner,
        )
        self._start = crossval.start(self._fresh, self._plain, self.material)

    def cross_validate(self) -> crossval.HeldOut:
        """Grouped folds, all sources in each."""
        arguments = self._arguments
        fold = splits.folds(self.images.samples, self.images.groups, arguments.folds, arguments.seed)
        return crossval.cross_validate(self._start, self.material, fold, self._plan(arguments.epochs))

    def final(self, epochs: int) -> keras.Model:
        """The network to export, trained on every image, from earlier weights where `--trained` has some."""
        log.info("final training: %d epochs on all %d images", epochs, len(self.images.samples))
        everything = np.ones(len(self.images.samples), dtype=np.bool_)
        keras.utils.set_random_seed(self._arguments.seed)
        upper, head = crossval.begin(self._start, self.material, everything)
        model = network.classifier(upper, head)
        kept = self._arguments.trained
        if kept is not None and kept.exists():
            model.load_weights(kept)
        for _ in fine_tune(model, self.material, everything, self._plan(epochs)):
            pass
        if kept is not None:
            model.save_weights(kept)
        gate = self.kind.gate(everything)
        trained = network.Backbone(self.backbone.title, self.backbone.lower, upper)
        return network.explain(trained, head, gate)

    def _plan(self, epochs: int) -> Plan:
        arguments = self._arguments
        return Plan(epochs=epochs, batch=arguments.batch, rate=arguments.rate, seed=arguments.seed)

    def _fresh(self) -> keras.Model:
        upper = BACKBONES[self._arguments.backbone](None).upper
        upper.set_weights(self._weights)
        return upper
