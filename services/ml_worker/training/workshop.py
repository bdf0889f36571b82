"""The material of one training run and the work done on it: cross-validation, and the network that is exported."""

import argparse
import logging
from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tensorflow import keras

from services.ml_worker.training import crossval, ensemble, kept, network, ood, splits
from services.ml_worker.training.backbones import BACKBONES
from services.ml_worker.training.fit import Material, Plan, embed, fine_tune
from services.ml_worker.training.frozen import Frozen
from services.ml_worker.training.metrics import Floats
from services.ml_worker.training.network import Member
from services.ml_worker.training.prepare import Images
from services.ml_worker.training.scored import Scored
from services.ml_worker.training.views import Views

_CLASSES = 2

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

    @cached_property
    def _start(self) -> crossval.Start:
        return crossval.start(self._fresh, self._plain, self.material)

    def cross_validate(self, seed: int) -> crossval.HeldOut:
        """Grouped folds, all sources in each; `seed` is that of folds and networks, views are the same for all."""
        arguments = self._arguments
        fold = splits.folds(self.images.samples, self.images.groups, arguments.folds, seed)
        return crossval.cross_validate(self._start, self.material, fold, self._plan(arguments.epochs, seed))

    def train(self, epochs: int) -> Member:
        """A network trained on every image."""
        log.info("final training: %d epochs on all %d images", epochs, len(self.images.samples))
        keras.utils.set_random_seed(self._arguments.seed)
        member = Member(*crossval.begin(self._start, self.material, self._everything))
        return self._trained(member, epochs)

    def resume(self, folder: Path, epochs: int) -> Member:
        """A network from the weights kept in `folder`, trained for some epochs more, or none."""
        log.info("%d epochs from the weights in %s", epochs, folder)
        keras.utils.set_random_seed(self._arguments.seed)
        member = Member(self._fresh(), network.build_head(self.backbone.depth))
        kept.load_network(folder, network.classifier(*member))
        return self._trained(member, epochs) if epochs else member

    def explain(self, members: Sequence[Member]) -> keras.Model:
        """The network to export."""
        return network.explain(self.backbone.lower, members, self.kind.gate(self._everything))

    def without(self, source: str, epochs: int) -> Iterator[Scored]:
        """One source's images, by networks trained on the others: the head on frozen features, then fine-tuned.

        Nothing in one group with an image of that source is trained on. Empty where the others lack a class.
        """
        held = self.images.sources == source
        chosen = ~splits.sharing(self.images.groups, held)
        if len(np.unique(self.images.labels[chosen])) < _CLASSES:
            log.info("without %s one class is left, or none: nothing to train on", source)
            return
        log.info("without %s: %d images to train on, %d held out", source, chosen.sum(), held.sum())
        keras.utils.set_random_seed(self._arguments.seed)
        member = Member(*crossval.begin(self._start, self.material, chosen))
        distance = self.kind.gate(chosen).distance(self.kind.plain[held])
        model = network.classifier(*member)
        yield self._scored(model, held, distance)
        for _ in fine_tune(model, self.material, chosen, self._plan(epochs, self._arguments.seed)):
            pass
        yield self._scored(model, held, distance)

    def _scored(self, model: keras.Model, held: NDArray[np.bool_], distance: Floats) -> Scored:
        logits = embed(model, self._plain[held])
        return Scored(self.images.labels[held], self.images.groups[held], logits, distance)

    def _trained(self, member: Member, epochs: int) -> Member:
        plan = self._plan(epochs, self._arguments.seed)
        for _ in fine_tune(network.classifier(*member), self.material, self._everything, plan):
            pass
        return member

    @property
    def _everything(self) -> NDArray[np.bool_]:
        return np.ones(len(self.images.samples), dtype=np.bool_)

    def _plan(self, epochs: int, seed: int) -> Plan:
        arguments = self._arguments
        return Plan(epochs=epochs, batch=arguments.batch, rate=arguments.rate, seed=seed)

    def _fresh(self) -> keras.Model:
        upper = BACKBONES[self._arguments.backbone](None).upper
        upper.set_weights(self._weights)
        return upper


def held_out(
    workshop: Workshop, chosen: NDArray[np.bool_], arguments: argparse.Namespace
) -> list[crossval.HeldOut]:
    """One run a seed; for an ensemble the average of its members'."""
    images = workshop.images
    if arguments.ensemble:
        members = [kept.runs(folder, len(images.samples)) for folder in arguments.ensemble]
        return ensemble.averaged(members, images.labels, chosen)
    return [
        kept.cross_validated(
            arguments.keep, seed, len(images.samples), partial(workshop.cross_validate, seed)
        )
        for seed in range(arguments.seed, arguments.seed + arguments.seeds)
    ]
