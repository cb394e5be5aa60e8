"""What to tune at all: everything, the last blocks or the head alone, and the step size."""

from optuna.distributions import CategoricalDistribution as Choice
from optuna.distributions import FloatDistribution as Float
from optuna.distributions import IntDistribution as Int

from experiments.searches.space import only_if

SPACE = {
    "tuning": Choice(["full", "partial", "frozen"]),
    "num_tuned_blocks": only_if(Int(1, 6), tuning="partial"),
    "layer_decay": only_if(Float(0.5, 1.0), tuning=("full", "partial")),
    "lr": Float(1e-5, 1e-2, log=True),
}
