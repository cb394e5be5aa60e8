"""Multi-modal masked autoencoding: hide most patches of every modality, predict them all (section 3 of the paper)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from multimae.averaging import AveragedModel, Batch
from multimae.checkpoints.initialising import ModelFromFile
from multimae.checkpoints.loading import load_model
from multimae.checkpoints.report import LoadReport
from multimae.layers import Grid, initialise, unfold_patches
from multimae.losses import (
    IGNORE_LABEL,
    SampleLosses,
    normalise_patches,
    patch_cross_entropy,
    patch_l1,
    patch_mse,
)
from multimae.masking import Masking, MaskSampler, masking_from_masks
from multimae.output_adapters import SpatialOutputAdapter
from multimae.record.nearest import unknown
from multimae.registry import MODELS
from multimae.shapes import Bool, Float, Int
from multimae.tables.modalities import MODALITIES, Modality

_NORMALISED = "norm_"


@dataclass(frozen=True, kw_only=True)
class Reconstruction:
    """Hold what was predicted and from what.

    `predictions`: maps per output; logits for label maps, per-patch normalised pixels for `norm_rgb`. `losses`: per
    output and sample, for outputs whose target is known; NaN where the sample hides nothing of the modality.
    """

    predictions: Mapping[str, Float[Tensor, "batch _ _ _"]]
    losses: Mapping[str, Float[Tensor, "batch"]]
    masking: Masking
    grid: Grid


@MODELS.register_module()
class MultiMAEPretraining(ModelFromFile, AveragedModel):
    """Train a `MultiMAE` backbone by predicting hidden patches.

    `outputs`: modalities, whether inputs or not, and `norm_<image modality>`, whose target is each patch's pixels
    normalised (MultiMAE predicts `rgb` and `norm_rgb`). `num_visible_tokens` and `alphas`: see `MaskSampler`.
    `context_modalities`: those the decoders have an embedding for, default the backbone's inputs.
    `full_precision_outputs`: decoders that run in float32 whatever the rest does (the reference's: semseg).
    `loss_weighting="uncertainty"` learns s_t per output and minimises the sum of exp(-s_t) loss_t + s_t (Kendall et al.
    2018); an output that hides nothing in a batch takes no part in it.
    """

    def __init__(
        self,
        *,
        backbone: Mapping[str, Any],
        outputs: Sequence[str],
        decoder_dim: int = 256,
        decoder_depth: int = 2,
        decoder_heads: int = 8,
        num_visible_tokens: int = 98,
        alphas: float | Sequence[float] = 1.0,
        sampling: Literal["dirichlet", "uniform_subsets"] = "dirichlet",
        context_modalities: Sequence[str] | None = None,
        full_precision_outputs: Sequence[str] = (),
        loss_weighting: Literal["equal", "uncertainty"] = "equal",
        data_preprocessor: dict[str, Any] | nn.Module | None = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.backbone = MODELS.build(dict(backbone))
        self.sampler = MaskSampler(num_visible_tokens=num_visible_tokens, alphas=alphas, sampling=sampling)
        self.targets = {name: _target_of(name) for name in outputs}
        self.output_adapters = nn.ModuleDict(
            {
                name: SpatialOutputAdapter(
                    modality=target.name,
                    num_channels=target.num_channels or self.num_classes(target),
                    patch_size=self.backbone.patch_size // target.stride_level,
                    dim_encoder=self.backbone.dim,
                    dim=decoder_dim,
                    depth=decoder_depth,
                    num_heads=decoder_heads,
                    context_modalities=context_modalities or self.backbone.modalities,
                    grid_size=self.backbone.image_size // self.backbone.patch_size,
                )
                for name, target in self.targets.items()
            }
        )
        initialise(self.output_adapters)
        if unknown := sorted(set(full_precision_outputs) - set(self.targets)):
            raise ValueError(f"full_precision_outputs {unknown} are no outputs; those are {list(self.targets)}")
        self.full_precision_outputs = frozenset(full_precision_outputs)
        self.log_variances = nn.ParameterDict(
            {name: nn.Parameter(torch.zeros(())) for name in self.targets if loss_weighting == "uncertainty"}
        )

    def load_file(self, path: str, **settings: Any) -> LoadReport:
        """Load a file as `load_model` does."""
        return load_model(self, path, **settings)

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        targets: Mapping[str, Tensor] | None = None,
        meta: Mapping[str, Any] | None = None,
        mode: Literal["tensor", "loss", "predict"] = "tensor",
        masks: Mapping[str, Bool[Tensor, "batch _"]] | None = None,
        generator: torch.Generator | None = None,
        masking: Masking | None = None,
    ) -> dict[str, Tensor] | Reconstruction:
        """Dispatch as mmengine asks: "loss" to `loss`, the others to `reconstruct`.

        `meta["available"]`, where there is one, says which modalities each sample has.
        """
        available = (meta or {}).get("available")
        if mode == "loss":
            drawn = masking or self._masking(inputs, masks=masks, available=available, generator=generator)
            return self._masked_losses(inputs, targets=targets, masking=drawn, available=available)
        return self.reconstruct(inputs, targets=targets, masks=masks, available=available, generator=generator)

    def loss(
        self,
        inputs: Mapping[str, Tensor],
        *,
        targets: Mapping[str, Tensor] | None = None,
        masks: Mapping[str, Bool[Tensor, "batch _"]] | None = None,
        available: Mapping[str, Bool[Tensor, "batch"]] | None = None,
        generator: torch.Generator | None = None,
    ) -> dict[str, Float[Tensor, ""]]:
        """Return `loss_<output>` for every output, not yet weighted.

        Inputs are their own targets; `targets` adds those of outputs that are no input, in an input's format. `masks`
        (True = hidden) replaces drawing them. `available` says which samples have a modality, all of them where it says
        nothing; what stands in for a missing one is neither shown to the encoder nor a target.
        """
        masking = self._masking(inputs, masks=masks, available=available, generator=generator)
        return self._masked_losses(inputs, targets=targets, masking=masking, available=available)

    def _masked_losses(
        self,
        inputs: Mapping[str, Tensor],
        *,
        targets: Mapping[str, Tensor] | None,
        masking: Masking,
        available: Mapping[str, Bool[Tensor, "batch"]] | None,
    ) -> dict[str, Float[Tensor, ""]]:
        known = {**inputs, **(targets or {})}
        patches = self._decode(inputs, masking=masking)
        losses = self._losses(patches, targets=known, masking=masking, available=available or {})
        missing = [name for name in self.targets if name not in losses]
        if missing:
            raise ValueError(f"no target for the outputs {missing}: inputs and targets hold only {list(known)}")
        return {f"loss_{name}": sample_losses.mean() for name, sample_losses in losses.items()}

    def draw(self, batches: Sequence[Batch]) -> list[Batch]:
        """Draw the masks of a whole step together: they are the same however its samples are divided into batches."""
        maps = [batch["inputs"][self.backbone.modalities[0]] for batch in batches]
        sizes = [len(of_batch) for of_batch in maps]
        available = [(batch.get("meta") or {}).get("available", {}) for batch in batches]
        together = {name: torch.cat([of_batch[name] for of_batch in available]) for name in available[0]}
        masking = self._draw_masking(batches[0]["inputs"], batch_size=sum(sizes), available=together)
        return [{**batch, "masking": part} for batch, part in zip(batches, masking.in_batches(sizes), strict=True)]

    def counts(self, batch: Batch) -> dict[str, Tensor]:
        """Return how many samples of a batch, whose masks are drawn, have anything to predict of each output."""
        known = {**batch["inputs"], **(batch.get("targets") or {})}
        available = (batch.get("meta") or {}).get("available", {})
        masks = self._hidden(batch["masking"], available=available)
        found = {}
        for name, target in self.targets.items():
            selected = masks[name]
            if target.kind == "labels":
                labels = self._target_patches(name, maps=known[target.name])
                selected = (labels != IGNORE_LABEL).to(selected.device) & selected[:, :, None]
            found[f"loss_{name}"] = selected.flatten(1).any(dim=1).sum()
        return found

    def minimised(self, losses: Mapping[str, Float[Tensor, ""]]) -> dict[str, Float[Tensor, ""]]:
        """Return the losses with their learned weights, if there are any."""
        if not self.log_variances:
            return dict(losses)
        return {
            f"loss_{name}": torch.where(
                losses[f"loss_{name}"] == 0, 0, torch.exp(-log_variance) * losses[f"loss_{name}"] + log_variance
            )
            for name, log_variance in self.log_variances.items()
        }

    def parse_losses(
        self, losses: Mapping[str, Float[Tensor, ""]], weights: Mapping[str, Tensor | float] | None = None
    ) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """Add up what is minimised; logged are the losses as they are, and the learned weights."""
        total, logged = super().parse_losses(losses, weights)
        learned = {f"weight_{name}": torch.exp(-value.detach()) for name, value in self.log_variances.items()}
        return total, {**logged, **learned}

    def reconstruct(
        self,
        inputs: Mapping[str, Tensor],
        *,
        targets: Mapping[str, Tensor] | None = None,
        masks: Mapping[str, Bool[Tensor, "batch _"]] | None = None,
        available: Mapping[str, Bool[Tensor, "batch"]] | None = None,
        generator: torch.Generator | None = None,
    ) -> Reconstruction:
        """Predict whole maps from the visible patches; give `masks` or a seeded `generator` to repeat a result."""
        masking = self._masking(inputs, masks=masks, available=available, generator=generator)
        grid = self.backbone.grid(inputs)
        patches = self._decode(inputs, masking=masking)
        predictions = {name: decoder.fold(patches[name], grid=grid) for name, decoder in self._decoders().items()}
        losses = self._losses(
            patches, targets={**inputs, **(targets or {})}, masking=masking, available=available or {}
        )
        return Reconstruction(
            predictions={name: maps.float() for name, maps in predictions.items()},
            losses={name: loss.values.masked_fill(~loss.counted, torch.nan) for name, loss in losses.items()},
            masking=masking,
            grid=grid,
        )

    def _masking(
        self,
        inputs: Mapping[str, Tensor],
        *,
        masks: Mapping[str, Bool[Tensor, "batch _"]] | None,
        available: Mapping[str, Bool[Tensor, "batch"]] | None,
        generator: torch.Generator | None,
    ) -> Masking:
        grid = self.backbone.grid(inputs)
        maps = inputs[self.backbone.modalities[0]]
        num_tokens = dict.fromkeys(self.backbone.modalities, grid.num_tokens)
        if masks is None:
            return self._draw_masking(inputs, batch_size=len(maps), available=available, generator=generator)
        shapes = {name: tuple(mask.shape) for name, mask in masks.items()}
        wanted = dict.fromkeys(self.backbone.modalities, (maps.shape[0], grid.num_tokens))
        if shapes != wanted:
            raise ValueError(f"masks must be [batch, tokens] for every input modality: got {shapes}, wanted {wanted}")
        for name, present in (available or {}).items():
            if name in masks and not masks[name][~present.to(masks[name].device)].all():
                raise ValueError(f"masks show tokens of {name} in samples that have none: hide them there")
        return masking_from_masks({name: masks[name].to(maps.device) for name in num_tokens})

    def _draw_masking(
        self,
        inputs: Mapping[str, Tensor],
        *,
        batch_size: int,
        available: Mapping[str, Bool[Tensor, "batch"]] | None,
        generator: torch.Generator | None = None,
    ) -> Masking:
        """Draw the masks of `batch_size` samples of the inputs' size, on the model's device."""
        device = self.backbone.global_tokens.device
        return self.sampler(
            dict.fromkeys(self.backbone.modalities, self.backbone.grid(inputs).num_tokens),
            batch_size=batch_size,
            device=device,
            generator=generator,
            available=_stacked(available, names=self.backbone.modalities, batch_size=batch_size, device=device),
        )

    def _decode(self, inputs: Mapping[str, Tensor], *, masking: Masking) -> dict[str, Float[Tensor, "batch tokens _"]]:
        grid = self.backbone.grid(inputs)
        encoded = self.backbone.forward_visible(inputs, masking=masking)
        patches = {}
        for name, decoder in self._decoders().items():
            if name in self.full_precision_outputs:
                with torch.autocast(device_type=encoded.device.type, enabled=False):
                    patches[name] = decoder(encoded.float(), masking=masking, grid=grid)
            else:
                patches[name] = decoder(encoded, masking=masking, grid=grid)
        return patches

    def _decoders(self) -> dict[str, SpatialOutputAdapter]:
        return {name: cast(SpatialOutputAdapter, decoder) for name, decoder in self.output_adapters.items()}

    def _losses(
        self,
        patches: Mapping[str, Float[Tensor, "batch tokens _"]],
        *,
        targets: Mapping[str, Tensor],
        masking: Masking,
        available: Mapping[str, Bool[Tensor, "batch"]],
    ) -> dict[str, SampleLosses]:
        """Compare the outputs whose target is known, in patches; what is no input is predicted everywhere."""
        masks = self._hidden(masking, available=available)
        losses = {}
        for name, target in self.targets.items():
            if target.name in targets:
                true_patches = self._target_patches(name, maps=targets[target.name])
                losses[name] = _LOSSES[target.loss](patches[name], target=true_patches, mask=masks[name])
        return losses

    def _hidden(
        self, masking: Masking, *, available: Mapping[str, Bool[Tensor, "batch"]]
    ) -> dict[str, Bool[Tensor, "batch tokens"]]:
        """Return per output which patches are to be predicted: hidden ones, and all of what is no input."""
        masks = masking.split()
        everywhere = torch.ones_like(next(iter(masks.values())))
        hidden = {}
        for name, target in self.targets.items():
            hidden[name] = masks.get(target.name, everywhere)
            if target.name in available:
                hidden[name] = hidden[name] & available[target.name].to(masking.mask.device)[:, None]
        return hidden

    def num_classes(self, target: Modality) -> int:
        """Return how many classes labels are of: the modality's own number, or that of the backbone's data set."""
        return target.num_classes or self.backbone.num_semseg_classes

    def _target_patches(
        self, name: str, *, maps: Tensor
    ) -> Float[Tensor, "batch tokens values"] | Int[Tensor, "batch tokens pixels"]:
        patch_size = self._decoders()[name].patch_size
        if self.targets[name].kind == "labels":
            labels = unfold_patches(maps[:, None], patch_size=patch_size)
            return labels.masked_fill(labels >= self.num_classes(self.targets[name]), IGNORE_LABEL)
        patches = unfold_patches(maps, patch_size=patch_size)
        return normalise_patches(patches) if name.startswith(_NORMALISED) else patches


_LOSSES = {"mse": patch_mse, "l1": patch_l1, "cross_entropy": patch_cross_entropy}


def _stacked(
    available: Mapping[str, Bool[Tensor, "batch"]] | None,
    *,
    names: Sequence[str],
    batch_size: int,
    device: torch.device,
) -> Bool[Tensor, "batch modality"] | None:
    """Put the columns in the order of `names`; a modality that is not mentioned is there."""
    if not available:
        return None
    everywhere = torch.ones(batch_size, dtype=torch.bool, device=device)
    return torch.stack([available[name].to(device) if name in available else everywhere for name in names], dim=1)


def _target_of(output: str) -> Modality:
    """Return the modality an output predicts."""
    normalised = {_NORMALISED + name: item for name, item in MODALITIES.items() if item.kind == "image"}
    known = {**MODALITIES, **normalised}
    if output not in known:
        raise ValueError(unknown("output", output, known))
    return known[output]
