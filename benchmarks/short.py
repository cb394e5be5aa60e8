"""The short recipes: every kind of training cut to what two CPU cores finish in minutes, shared by all data sets.

Sizes, batches and learning rates were chosen on the rooms; the learning rates are the best of five tried there.
"""

from benchmarks.kinds.classification import ClassificationRecipe
from benchmarks.kinds.pretraining import PretrainingRecipe
from benchmarks.recipes import TransferRecipe

PRETRAINING = PretrainingRecipe(
    epochs=40,
    warmup_epochs=4,
    batch_size=16,
    lr=1e-3,
    beta2=0.95,
    input_size=96,
    num_visible_tokens=18,
    val_ratio=0.1,
    store_size=120,
    cache="memory",
)

SEMSEG = TransferRecipe(
    epochs=5,
    warmup_epochs=1,
    batch_size=8,
    lr=2e-3,
    input_size=96,
    scale_min=0.8,
    scale_max=1.6,
    color_jitter_prob=0.0,
    val_ratio=0.1,
    store_size=120,
    cache="memory",
)

DEPTH = TransferRecipe(
    epochs=5,
    warmup_epochs=1,
    batch_size=8,
    lr=1e-3,
    weight_decay=1e-4,
    drop_path_rate=0.0,
    color_jitter_prob=0.0,
    input_size=96,
    val_ratio=0.1,
    store_size=120,
    cache="memory",
)

CLASSIFICATION = ClassificationRecipe(
    epochs=10,
    warmup_epochs=1,
    batch_size=16,
    lr=1e-3,
    scale_min=0.5,
    input_size=96,
    val_ratio=0.1,
    store_size=120,
    cache="memory",
)

REGRESSION = TransferRecipe(
    epochs=5,
    warmup_epochs=1,
    batch_size=8,
    lr=1e-3,
    hflip_prob=0.0,
    input_size=96,
    val_ratio=0.1,
    store_size=120,
    cache="memory",
)
