"""Networks of transformers at a size that labels an image in milliseconds: real architectures, random weights."""

import json
from pathlib import Path
from typing import Any

import torch
import transformers as hf

VIT = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 32}
SWIN = {"image_size": 64, "embed_dim": 8, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 1, 1], "window_size": 4}
SWIN = {**SWIN, "out_features": ["stage1", "stage2", "stage3", "stage4"]}
IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}


def write(folder: Path, *, kind: str, seed: int = 0, **changes: Any) -> Path:
    """Save a network of this kind and its image processor's settings to `folder` and return it."""
    hf.utils.logging.set_verbosity_error()
    hf.utils.logging.disable_progress_bar()
    torch.manual_seed(seed)
    network, processor = _KINDS[kind](**changes)
    _spread(network)
    network.save_pretrained(folder)
    settings = {"do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, **processor}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    if kind == "oneformer":
        _write_tokenizer(folder)
    return folder


def _spread(network: torch.nn.Module) -> None:
    """Enlarge the fresh weights, which would give nearly the same output everywhere."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            ends_depth = name.startswith("head.") and len(parameter) == 1
            if parameter.dim() > 1 and "relative_position" not in name:
                scale = 0.1 if ends_depth else 4.0 if "quer" in name else 1.0
                parameter.copy_(scale * torch.randn_like(parameter) * (2 / parameter[0].numel()) ** 0.5)
            elif name == "head.head.4.bias":
                parameter.fill_(20.0)  # DPT's last ReLU would make most depths 0


def _dpt(**changes: Any) -> tuple[Any, dict[str, Any]]:
    own = {"image_size": 64, "patch_size": 16, "backbone_out_indices": [0, 1, 2, 3]}
    own |= {"neck_hidden_sizes": [8, 8, 16, 16], "fusion_hidden_size": 8}
    network = hf.DPTForDepthEstimation(hf.DPTConfig(**{**VIT, **own, **changes}))
    processor = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "size": {"height": 64, "width": 64}}
    return network, processor


def _dpt_hybrid(**changes: Any) -> tuple[Any, dict[str, Any]]:
    backbone = {"model_type": "bit", "global_padding": "same", "layer_type": "bottleneck", "depths": [1, 1, 1]}
    backbone |= {"hidden_sizes": [8, 16, 32], "embedding_size": 8, "num_groups": 2, "embedding_dynamic_padding": True}
    backbone |= {"out_features": ["stage1", "stage2", "stage3"]}
    hybrid = {"is_hybrid": True, "backbone_config": backbone, "backbone_featmap_shape": [1, 32, 4, 4]}
    return _dpt(**{**hybrid, "neck_hidden_sizes": [8, 16, 16, 16], **changes})


def _depth_anything(**changes: Any) -> tuple[Any, dict[str, Any]]:
    vit = {**VIT, "mlp_ratio": 2, "image_size": 56, "patch_size": 14, "reshape_hidden_states": False}
    backbone = hf.Dinov2Config(**vit, out_indices=[1, 2, 3, 4])
    own = {"neck_hidden_sizes": [8, 8, 16, 16], "fusion_hidden_size": 8, "reassemble_hidden_size": 16}
    config = hf.DepthAnythingConfig(**{"backbone_config": backbone, **own, "head_hidden_size": 8, **changes})
    return hf.DepthAnythingForDepthEstimation(config), {**IMAGENET, "size": {"height": 56, "width": 56}}


def _zoedepth() -> tuple[Any, dict[str, Any]]:
    beit = {**VIT, "image_size": 64, "patch_size": 16, "use_relative_position_bias": True}
    backbone = hf.BeitConfig(**beit, out_indices=[1, 2, 3, 4], reshape_hidden_states=False)
    neck = {"neck_hidden_sizes": [8, 8, 16, 16], "fusion_hidden_size": 8, "bottleneck_features": 8}
    bins = {"num_relative_features": 8, "bin_embedding_dim": 8, "num_attractors": [2, 2, 1, 1]}
    config = hf.ZoeDepthConfig(backbone_config=backbone, **neck, **bins)
    return hf.ZoeDepthForDepthEstimation(config), {**IMAGENET, "size": {"height": 64, "width": 64}}


def _decoder(num_labels: int) -> dict[str, Any]:
    return {
        "feature_size": 32,  # its norms have 32 groups
        "mask_feature_size": 32,
        "hidden_dim": 32,
        "encoder_layers": 1,
        "num_attention_heads": 2,
        "num_queries": 8,
        "num_labels": num_labels,
    }


def _mask2former(*, num_labels: int = 133) -> tuple[Any, dict[str, Any]]:
    config = hf.Mask2FormerConfig(
        backbone_config=hf.SwinConfig(**SWIN),
        **_decoder(num_labels),
        encoder_feedforward_dim=32,
        dim_feedforward=32,
        decoder_layers=2,
    )
    size = {"shortest_edge": 64, "longest_edge": 128}
    return hf.Mask2FormerForUniversalSegmentation(config), {**IMAGENET, "size": size}


def _oneformer(*, num_labels: int = 133) -> tuple[Any, dict[str, Any]]:
    config = hf.OneFormerConfig(
        backbone_config=hf.SwinConfig(**SWIN),
        num_queries=8,
        num_labels=num_labels,
        hidden_dim=32,
        conv_dim=32,
        mask_dim=32,
        encoder_layers=1,
        encoder_feedforward_dim=32,
        dim_feedforward=32,
        decoder_layers=2,
        num_attention_heads=2,
        query_dec_layers=1,
        text_encoder_width=32,
        text_encoder_num_layers=1,
        text_encoder_vocab_size=600,
        text_encoder_context_length=12,
        task_seq_len=12,
        max_seq_len=12,
        is_training=False,
    )
    return hf.OneFormerForUniversalSegmentation(config), {**IMAGENET, "size": {"shortest_edge": 64}}


def _segformer(*, num_labels: int = 150) -> tuple[Any, dict[str, Any]]:
    sizes = {"hidden_sizes": [8, 8, 16, 16], "num_attention_heads": [1, 1, 2, 2], "depths": [1, 1, 1, 1]}
    config = hf.SegformerConfig(**sizes, decoder_hidden_size=16, num_labels=num_labels)
    return hf.SegformerForSemanticSegmentation(config), {**IMAGENET, "size": {"height": 64, "width": 64}}


def _write_tokenizer(folder: Path) -> None:
    """Save a CLIP tokenizer that knows the letters."""
    letters = list("abcdefghijklmnopqrstuvwxyz")
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    vocabulary = {word: number for number, word in enumerate(words, start=1)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "CLIPTokenizer"}))


_KINDS = {
    "dpt": _dpt,
    "dpt_hybrid": _dpt_hybrid,
    "depth_anything": _depth_anything,
    "zoedepth": _zoedepth,
    "mask2former": _mask2former,
    "oneformer": _oneformer,
    "segformer": _segformer,
}
