"""A pre-training step as one writes it first: equal to ours, and what ours is measured against.

This is how the reference implementation works, written anew from a description of it: attention with its matrix of
scores, all patches projected before most are dropped, positions resized at every step, full-length sequences in every
decoder, losses on whole maps, one parameter after the other in the optimizer, and a host that asks for every number.
The weights are those of a `MultiMAEPretraining`, used by their names in the checkpoints.
"""

from collections.abc import Mapping

import torch
from timm.models.vision_transformer import Attention, Block
from torch import Tensor, nn
from torch.distributions import Dirichlet
from torch.nn import functional as F  # noqa: N812

from multimae.backbone import MultiMAE
from multimae.input_adapters import InputAdapter, LabelInputAdapter
from multimae.layers import CrossAttention, FixedPositions, Grid, fold_patches, unfold_patches
from multimae.masking import Masking
from multimae.output_adapters import SpatialOutputAdapter
from multimae.pretraining import MultiMAEPretraining
from multimae.shapes import Bool, Float, Int
from multimae.tables.modalities import modality


def new_optimizer(model: MultiMAEPretraining, *, lr: float) -> torch.optim.Optimizer:
    """Make an AdamW that goes through the parameters one by one, with the settings of pre-training."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return torch.optim.AdamW(trained, lr=lr, betas=(0.9, 0.95), weight_decay=0.05, foreach=False, fused=False)


def train_step(
    model: MultiMAEPretraining, inputs: Mapping[str, Tensor], *, optimizer: torch.optim.Optimizer
) -> dict[str, float]:
    """Train on one batch; return `loss`, their sum, and the losses."""
    maps = next(iter(inputs.values()))
    num_tokens = dict.fromkeys(model.backbone.modalities, model.backbone.grid(inputs).num_tokens)
    # Our sampler, so that both forms hide the same patches; drawing takes a thousandth of a step.
    masking = model.sampler(num_tokens, batch_size=maps.shape[0], device=maps.device)
    losses = compute_losses(model, inputs, masking=masking)
    total = torch.stack(list(losses.values())).sum()
    values = {"loss": total.item(), **{name: loss.item() for name, loss in losses.items()}}
    optimizer.zero_grad(set_to_none=False)
    torch.autograd.backward(total)
    optimizer.step()
    return values


def compute_losses(
    model: MultiMAEPretraining, inputs: Mapping[str, Tensor], *, masking: Masking
) -> dict[str, Float[Tensor, ""]]:
    """Return `loss_<output>` for every output; what it predicts must be an input."""
    grid = model.backbone.grid(inputs)
    encoded = _encode(model.backbone, inputs, masking=masking)
    masks = masking.split()
    losses = {}
    for name, decoder in model.output_adapters.items():
        assert isinstance(decoder, SpatialOutputAdapter)
        prediction = _decode(decoder, encoded, masking=masking, grid=grid)
        errors = _errors(name, prediction=prediction, target=inputs[decoder.modality], patch_size=decoder.patch_size)
        losses[f"loss_{name}"] = _mean_where(errors, mask=masks[decoder.modality], grid=grid)
    return losses


def draw_masks(
    num_tokens: Mapping[str, int], *, num_visible: int, batch_size: int, device: torch.device | str = "cpu"
) -> Masking:
    """Draw masks as `MaskSampler` with alphas of 1: shares on the host, one sort a modality, two for the order."""
    shares = Dirichlet(torch.ones(len(num_tokens))).sample((batch_size,)).to(device)
    budgets = (shares * num_visible).round().long()
    proposals = []
    for size, budget in zip(num_tokens.values(), budgets.T, strict=True):
        permutation = torch.rand(batch_size, size, device=device).argsort(dim=1)
        proposals.append(torch.where(permutation < budget[:, None], 0, 1))
    proposal = torch.cat(proposals, dim=1)
    order = (proposal + torch.rand(proposal.shape, device=device)).argsort(dim=1)
    ids_restore = order.argsort(dim=1)
    mask = torch.ones_like(proposal)
    mask[:, :num_visible] = 0
    return Masking(
        ids_keep=order[:, :num_visible],
        ids_restore=ids_restore,
        mask=mask.gather(1, ids_restore).bool(),
        num_tokens=dict(num_tokens),
    )


def _encode(
    backbone: MultiMAE, inputs: Mapping[str, Tensor], *, masking: Masking
) -> Float[Tensor, "batch visible_and_global dim"]:
    """Make the tokens of all patches, keep the visible ones, encode them with the global tokens."""
    embedded = [_embed(backbone.input_adapters[name], inputs[name]) for name in backbone.modalities]
    visible = _gather(torch.cat(embedded, dim=1), ids=masking.ids_keep)
    tokens = torch.cat([visible, backbone.global_tokens.expand(visible.shape[0], -1, -1)], dim=1)
    for block in backbone.encoder:
        tokens = _block(block, tokens)
    return tokens


def _embed(adapter: nn.Module, maps: Tensor) -> Float[Tensor, "batch tokens dim"]:
    assert isinstance(adapter, InputAdapter)
    if isinstance(adapter, LabelInputAdapter):
        # [batch, height, width, channels] -> [batch, channels, height, width]
        maps = adapter.class_emb(maps).permute(0, 3, 1, 2)
    projected = adapter.proj(maps)
    rows, columns = projected.shape[-2:]
    # [batch, dim, rows, columns] -> [batch, rows * columns, dim]
    tokens: Tensor = projected.flatten(2).transpose(1, 2) + _positions(adapter, grid=Grid(rows, columns))
    return tokens


def _decode(
    decoder: SpatialOutputAdapter,
    encoded: Float[Tensor, "batch visible_and_global dim"],
    *,
    masking: Masking,
    grid: Grid,
) -> Float[Tensor, "batch channels height width"]:
    """Predict a map: queries are the modality's part of the full sequence, the context is gathered from it again."""
    visible, global_tokens = decoder.proj_context(encoded).tensor_split([masking.num_visible], dim=1)
    batch, num_all = masking.ids_restore.shape
    hidden = decoder.mask_token.expand(batch, num_all - masking.num_visible, -1)
    positions = _positions(decoder, grid=grid)
    embeddings = [positions + decoder.task_embeddings[name] for name in masking.num_tokens]
    tokens = _gather(torch.cat([visible, hidden], dim=1), ids=masking.ids_restore) + torch.cat(embeddings, dim=1)

    start = list(masking.num_tokens).index(decoder.modality) * grid.num_tokens
    queries = decoder.query_norm(tokens[:, start : start + grid.num_tokens])
    context = decoder.context_norm(torch.cat([_gather(tokens, ids=masking.ids_keep), global_tokens], dim=1))
    tokens = _cross_attend(decoder.decoder, queries, context=context)
    tokens = tokens + decoder.mlp(decoder.out_norm(tokens))
    for block in decoder.decoder_transformer:
        tokens = _block(block, tokens)
    return fold_patches(decoder.out_proj(tokens), grid=grid, patch_size=decoder.patch_size)


def _block(block: Block, tokens: Float[Tensor, "batch tokens dim"]) -> Float[Tensor, "batch tokens dim"]:
    attended = tokens + _self_attend(block.attn, block.norm1(tokens))
    transformed: Tensor = attended + block.mlp(block.norm2(attended))
    return transformed


def _self_attend(attention: Attention, tokens: Float[Tensor, "batch tokens dim"]) -> Float[Tensor, "batch tokens dim"]:
    # [batch, tokens, 3 * dim] -> query, key and value, each [batch, heads, tokens, dim / heads]
    fused = attention.qkv(tokens).unflatten(-1, (3, attention.num_heads, -1)).permute(2, 0, 3, 1, 4)
    attended: Tensor = attention.proj(_attend(*fused.unbind(0)))
    return attended


def _cross_attend(
    attention: CrossAttention,
    queries: Float[Tensor, "batch queries dim"],
    *,
    context: Float[Tensor, "batch context dim"],
) -> Float[Tensor, "batch queries dim"]:
    # [batch, tokens, dim] -> [batch, heads, tokens, dim / heads]
    query = attention.q(queries).unflatten(-1, (attention.num_heads, -1)).transpose(1, 2)
    # [batch, tokens, 2 * dim] -> key and value, each [batch, heads, tokens, dim / heads]
    fused = attention.kv(context).unflatten(-1, (2, attention.num_heads, -1)).permute(2, 0, 3, 1, 4)
    attended: Tensor = attention.proj(_attend(query, *fused.unbind(0)))
    return attended


def _attend(
    query: Float[Tensor, "batch heads queries dim"],
    key: Float[Tensor, "batch heads tokens dim"],
    value: Float[Tensor, "batch heads tokens dim"],
) -> Float[Tensor, "batch queries all_heads"]:
    scores = query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5
    # [batch, heads, queries, dim] -> [batch, queries, heads * dim]
    attended: Tensor = scores.softmax(dim=-1) @ value
    return attended.transpose(1, 2).flatten(2)


def _positions(module: FixedPositions, *, grid: Grid) -> Float[Tensor, "1 tokens dim"]:
    table = F.interpolate(module.pos_emb, size=tuple(grid), mode=module.resize_mode, align_corners=False)
    # [1, dim, rows, columns] -> [1, rows * columns, dim]
    return table.flatten(2).transpose(1, 2)


def _gather(
    tokens: Float[Tensor, "batch tokens dim"], *, ids: Int[Tensor, "batch chosen"]
) -> Float[Tensor, "batch chosen dim"]:
    return tokens.gather(1, ids[:, :, None].expand(-1, -1, tokens.shape[-1]))


def _errors(
    output: str, *, prediction: Float[Tensor, "batch channels height width"], target: Tensor, patch_size: int
) -> Float[Tensor, "batch height width"]:
    """Return the error of every pixel, channels averaged."""
    loss = modality(output.removeprefix("norm_")).loss
    if loss == "cross_entropy":
        return F.cross_entropy(prediction, target, reduction="none")
    if output.startswith("norm_"):
        patches = unfold_patches(target, patch_size=patch_size)
        mean, variance = patches.mean(dim=-1, keepdim=True), patches.var(dim=-1, keepdim=True)
        normalised = (patches - mean) / (variance + 1e-6).sqrt()
        rows, columns = (side // patch_size for side in target.shape[-2:])
        target = fold_patches(normalised, grid=Grid(rows, columns), patch_size=patch_size)
    compare = F.l1_loss if loss == "l1" else F.mse_loss
    return compare(prediction, target, reduction="none").mean(dim=1)


def _mean_where(
    errors: Float[Tensor, "batch height width"], *, mask: Bool[Tensor, "batch tokens"], grid: Grid
) -> Float[Tensor, ""]:
    """Average the errors over each sample's hidden patches, then over the samples that have any."""
    if mask.sum() == 0:
        return errors.new_zeros(())
    # [batch, rows * columns] -> [batch, height, width]
    patches = mask.float().reshape(-1, 1, grid.height, grid.width)
    weights = F.interpolate(patches, size=tuple(errors.shape[1:]), mode="nearest").squeeze(1)
    samples = (errors * weights).flatten(1).sum(dim=1) / weights.flatten(1).sum(dim=1)
    return samples.nanmean()
