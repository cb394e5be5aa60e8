"""The encoder: tokens of several modalities and a few global tokens through one transformer."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from os import PathLike
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from multimae.checkpoints.describing import settings_of
from multimae.checkpoints.initialising import ADVICE, ModelFromFile
from multimae.checkpoints.loading import load_backbone, load_read, read_file
from multimae.checkpoints.reading import Reading, Which
from multimae.checkpoints.report import LoadReport, abbreviated
from multimae.input_adapters import InputAdapter, build_input_adapter
from multimae.layers import EncoderOutput, Grid, initialise, make_blocks, new_token
from multimae.masking import Masking
from multimae.registry import MODELS
from multimae.shapes import Float
from multimae.tables.modalities import modality


@MODELS.register_module()
class MultiMAE(ModelFromFile):
    """Encode one or several modalities (section 3 of the paper); there is no norm after the last block.

    Inputs are float [batch, channels, height, width], and int64 [batch, height, width] for labels, whose sides are
    `stride_level` times smaller. Sides of images are multiples of `patch_size` pixels. Forward passes raise ValueError
    where modalities are missing or their patch grids differ.
    `image_size`, in pixels, only sets the size of the position tables: they are resized for inputs of other sizes and
    shapes.
    `semseg_padding="extra_class"` lets label `num_semseg_classes` mean "unlabelled or padding". `out_indices`
    (0-based, default the last block) and `out_modalities` (default all) choose what `forward` returns.
    `init_cfg=dict(type="Pretrained", checkpoint=...)`, or mmsegmentation's short form `pretrained=...`, loads a file as
    `load_backbone` does when mmengine initialises the model.
    """

    def __init__(
        self,
        *,
        modalities: Sequence[str],
        image_size: int,
        dim: int,
        depth: int,
        num_heads: int,
        patch_size: int = 16,
        mlp_ratio: float = 4.0,
        num_global_tokens: int = 1,
        drop_path_rate: float = 0.0,
        num_semseg_classes: int = 133,
        semseg_padding: Literal["none", "extra_class"] = "none",
        dim_class_emb: int = 64,
        out_indices: Sequence[int] | None = None,
        out_modalities: Sequence[str] | None = None,
        pretrained: str | None = None,
        init_cfg: dict[str, Any] | list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(init_cfg=_with_pretrained(init_cfg, checkpoint=pretrained))
        self.modalities = _known_modalities(modalities)
        self.out_modalities = self.modalities if out_modalities is None else tuple(out_modalities)
        self.out_indices = (depth - 1,) if out_indices is None else tuple(out_indices)
        _check_choice(self.out_modalities, among=self.modalities, setting="out_modalities")
        _check_choice(self.out_indices, among=range(-depth, depth), setting="out_indices")
        self.image_size, self.patch_size = image_size, patch_size
        self.dim, self.depth = dim, depth
        self.num_global_tokens = num_global_tokens
        self.num_semseg_classes = num_semseg_classes

        self.input_adapters = nn.ModuleDict(
            {
                name: build_input_adapter(
                    name,
                    image_size=image_size,
                    patch_size=patch_size,
                    dim=dim,
                    num_classes=num_semseg_classes,
                    padding=semseg_padding,
                    dim_class_emb=dim_class_emb,
                )
                for name in self.modalities
            }
        )
        self.global_tokens = new_token(dim, num_tokens=num_global_tokens)
        self.encoder = make_blocks(
            dim=dim, depth=depth, num_heads=num_heads, mlp_ratio=mlp_ratio, drop_path_rate=drop_path_rate
        )
        initialise(self)

    @classmethod
    def from_pretrained(
        cls,
        name_or_file: str | PathLike[str],
        *,
        modalities: Sequence[str] | None = None,
        new_modalities: Sequence[str] = (),
        weights: Which = "auto",
        pixels: str = "auto",
        **settings: Any,
    ) -> "MultiMAE":
        """Build the encoder that a file's weights are of, and load them; `load_report` says what was done.

        `name_or_file`, `new_modalities`, `weights` and `pixels` are as in `load_backbone`. `modalities`: by default
        all that the file has input adapters for. Sizes, patch size and number of global tokens are the file's, and the
        number of heads is that of published models of its width; `settings` of the class win.
        """
        read = read_file(name_or_file, reading=Reading(weights=weights, pixels=pixels))
        try:
            own = settings_of(read.state, modalities=modalities, num_heads=settings.get("num_heads"))
        except ValueError as error:
            raise ValueError(f"no encoder can be built for the weights of {name_or_file}: {error}") from error
        backbone = cls(**{**own, **settings})
        backbone.load_report = load_read(backbone, read, path=name_or_file, new_modalities=new_modalities)
        return backbone

    def load_file(self, path: str, **settings: Any) -> LoadReport:
        """Load a file as `load_backbone` does."""
        return load_backbone(self, path, **settings)

    def check_state(self, state: Mapping[str, Tensor]) -> None:
        """Raise ValueError for a state dict that would leave a part of the encoder at random, or is of another size."""
        super().check_state(state)
        wanted = self.state_dict()
        encoder = [name for name in wanted if name.startswith("encoder.")]
        lacking = [name for name in encoder if name not in state]
        if lacking and len(lacking) < len(encoder):
            raise ValueError(f"the parameters hold a part of the encoder, they lack {abbreviated(lacking)}; {ADVICE}")
        wrong = [name for name in state if name in wanted and state[name].shape != wanted[name].shape]
        if wrong:
            shapes = [f"{name} {tuple(state[name].shape)}, wanted {tuple(wanted[name].shape)}" for name in wrong[:6]]
            raise ValueError(f"{len(wrong)} parameters have another shape: {'; '.join(shapes)}; {ADVICE}")

    def forward(
        self, inputs: Tensor | Mapping[str, Tensor]
    ) -> tuple[Float[Tensor, "batch channels height width"], ...]:
        """Return the feature maps that a decode head reads, one per `out_indices`.

        A bare tensor holds the channels of all modalities in order: 3 for RGB, 4 for RGB and depth.
        """
        maps = self._split_channels(inputs) if isinstance(inputs, Tensor) else inputs
        encoded = self.forward_layers(maps)
        return tuple(encoded.feature_map(layer=index) for index in self.out_indices)

    def forward_layers(self, inputs: Mapping[str, Tensor]) -> EncoderOutput:
        """Return the tokens after every block; inputs that are no modality of this encoder are not looked at."""
        grid = self.grid(inputs)
        tokens = self._append_global_tokens(
            torch.cat([adapter(inputs[name]) for name, adapter in self._adapters()], dim=1)
        )
        layers = []
        for block in self.encoder:
            tokens = block(tokens)
            layers.append(tokens)
        return EncoderOutput(
            layers=tuple(layers),
            modalities=self.modalities,
            out_modalities=self.out_modalities,
            grid=grid,
            num_global_tokens=self.num_global_tokens,
        )

    def forward_visible(
        self, inputs: Mapping[str, Tensor], *, masking: Masking
    ) -> Float[Tensor, "batch visible_and_global dim"]:
        """Return the last block's tokens of the visible patches, in the order of `ids_keep`, and of the globals."""
        masks = masking.split()
        tokens = torch.cat(
            [adapter.forward_visible(inputs[name], hidden=masks[name]) for name, adapter in self._adapters()], dim=1
        )
        # [batch, visible] -> [batch, visible, dim]
        ids_keep = masking.ids_keep[:, :, None].expand(-1, -1, self.dim)
        encoded: Tensor = self.encoder(self._append_global_tokens(tokens.gather(1, ids_keep)))
        return encoded

    def grid(self, inputs: Mapping[str, Tensor]) -> Grid:
        """Return the patch grid of some inputs, which must be the same for every modality."""
        missing = [name for name in self.modalities if name not in inputs]
        if missing:
            raise ValueError(
                f"inputs lack {missing}: got {list(inputs)}, the encoder reads {list(self.modalities)}; "
                "build it with fewer modalities or load the missing ones"
            )
        grids = {name: adapter.grid(inputs[name]) for name, adapter in self._adapters()}
        if len(set(grids.values())) > 1:
            sizes = {name: tuple(grid) for name, grid in grids.items()}
            raise ValueError(f"the modalities' patch grids differ: {sizes}; crop or resize them together")
        return grids[self.modalities[0]]

    def _adapters(self) -> list[tuple[str, InputAdapter]]:
        return [(name, cast(InputAdapter, adapter)) for name, adapter in self.input_adapters.items()]

    def _append_global_tokens(self, tokens: Float[Tensor, "batch tokens dim"]) -> Float[Tensor, "batch more dim"]:
        return torch.cat([tokens, self.global_tokens.expand(tokens.shape[0], -1, -1)], dim=1)

    def _split_channels(self, stacked: Float[Tensor, "batch channels height width"]) -> dict[str, Tensor]:
        channels = {name: modality(name).num_channels for name in self.modalities}
        if 0 in channels.values() or stacked.shape[1] != sum(channels.values()):
            raise ValueError(
                f"a bare tensor with {stacked.shape[1]} channels is not the stack of the modalities {channels} "
                "(channels of each, 0 for label maps, which cannot be stacked): pass a mapping from modality to tensor"
            )
        ends = list(accumulate(channels.values()))
        return dict(zip(channels, stacked.tensor_split(ends[:-1], dim=1), strict=True))


def _with_pretrained(init_cfg: Any, *, checkpoint: str | None) -> Any:
    if checkpoint is None:
        return init_cfg
    if init_cfg is not None:
        raise ValueError(f"pretrained={checkpoint!r} is short for an init_cfg, but there is one, too: {init_cfg}")
    return {"type": "Pretrained", "checkpoint": checkpoint}


def _known_modalities(names: Sequence[str]) -> tuple[str, ...]:
    known = tuple(modality(name).name for name in names)
    if not known or len(set(known)) != len(known):
        raise ValueError(f"modalities must be one or several different names, got {list(names)}")
    return known


def _check_choice(chosen: Sequence[object], *, among: Sequence[object], setting: str) -> None:
    wrong = [item for item in chosen if item not in among]
    if wrong or not chosen:
        raise ValueError(f"{setting}={list(chosen)} must be some of {list(among)}; wrong: {wrong}")
