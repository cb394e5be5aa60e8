"""Fine-tuning: step size, how much of it early layers get, and what keeps a ViT from overfitting."""

from optuna.distributions import FloatDistribution as Float

SPACE = {
    "lr": Float(1e-5, 1e-2, log=True),
    "layer_decay": Float(0.5, 1.0),
    "drop_path_rate": Float(0.0, 0.3),
    "weight_decay": Float(1e-5, 0.3, log=True),
}
