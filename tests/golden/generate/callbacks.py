"""The callbacks: what Keras's own do when given these values epoch by epoch.

Each case drives a callback as `fit` does, with a stand-in for the model whose only weight is the
number of the epoch it comes from. All values are multiples of 1/64, exact in every float type.
"""

import importlib.metadata
import tempfile
from pathlib import Path

import keras

from .common import dumps, rng

EPOCHS = 14


class Model:
    """Counts what a callback does to it."""

    metrics = []

    def __init__(self):
        self.stop_training = False
        self.weights = None
        self.saved = []

    def get_weights(self):
        return self.weights

    def set_weights(self, weights):
        self.weights = weights

    def save(self, path, overwrite):
        self.saved.append(path)

    save_weights = save


def run(callback, logs):
    """Drives a callback until it stops the run; returns the model and the number of epochs run."""
    model = Model()
    callback.set_model(model)
    callback.on_train_begin()
    epochs = 0
    for epoch, values in enumerate(logs):
        callback.on_epoch_begin(epoch)
        model.weights = epoch
        callback.on_epoch_end(epoch, dict(values))
        epochs += 1
        if model.stop_training:
            break
    callback.on_train_end()
    return model, epochs


def series(generator):
    """Values that mostly go down and sometimes stay; now and then an epoch is not validated."""
    steps = generator.integers(-12, 10, EPOCHS).cumsum() / 64 + 2
    missing = generator.random(EPOCHS) < generator.choice([0.0, 0.0, 0.3])
    return [
        {"loss": float(v) / 2} if gone else {"loss": float(v) / 2, "val_loss": float(v)}
        for v, gone in zip(steps, missing)
    ]


def early_stopping(generator):
    config = {
        "patience": int(generator.integers(0, 5)),
        "min_delta": float(generator.choice([0.0, 0.0, 0.0625, -0.0625])),
        "mode": str(generator.choice(["auto", "min", "max"])),
        "baseline": [None, None, 1.75, 2.125][generator.integers(4)],
        "restore_best_weights": bool(generator.random() < 0.7),
        "start_from_epoch": int(generator.choice([0, 0, 0, 3])),
        "monitor": str(generator.choice(["val_loss", "val_loss", "loss"])),
    }
    logs = series(generator)
    model, epochs = run(keras.callbacks.EarlyStopping(**config), logs)
    return {"config": config, "logs": logs, "epochs": epochs, "weights_of_epoch": model.weights}


def model_checkpoint(generator):
    config = {
        "filepath": str(generator.choice([
            "best.keras", "{epoch:02d}.keras", "{epoch}-{loss:.2f}.keras", "e{epoch:3d}_{loss:08.3f}.keras",
            "{loss:.1e}-{epoch:d}.keras", "{{{epoch}}}{loss:+.1%}.keras", "{loss:<8.3f}{epoch:>4}.keras",
        ])),
        "save_best_only": bool(generator.random() < 0.6),
        "mode": str(generator.choice(["auto", "min", "max"])),
        "initial_value_threshold": [None, None, 0.875][generator.integers(3)],
        "monitor": "loss",
    }
    logs = [{"loss": values["loss"]} for values in series(generator)]
    model, _ = run(keras.callbacks.ModelCheckpoint(**config), logs)
    return {"config": config, "logs": logs, "saved": model.saved}


def csv_logger(generator):
    config = {"separator": str(generator.choice([",", ";", "\t"]))}
    logs = series(generator)[:4]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.csv"
        run(keras.callbacks.CSVLogger(path, **config), logs)
        return {"config": config, "logs": logs, "bytes": path.read_bytes().decode()}


def reduce_lr_on_plateau(generator):
    config = {
        "patience": int(generator.integers(0, 4)),
        "factor": float(generator.choice([0.5, 0.1, 0.9])),
        "cooldown": int(generator.choice([0, 0, 1, 3])),
        "min_lr": float(generator.choice([0.0, 0.0, 0.02])),
        "min_delta": float(generator.choice([1e-4, 0.0625, -0.0625])),
        "mode": str(generator.choice(["auto", "min", "max"])),
        "monitor": str(generator.choice(["val_loss", "val_loss", "loss"])),
    }
    logs = series(generator)
    model, callback = Model(), keras.callbacks.ReduceLROnPlateau(**config)
    model.optimizer = keras.optimizers.SGD(0.1)
    callback.set_model(model)
    callback.on_train_begin()
    rates = []
    for epoch, values in enumerate(logs):
        callback.on_epoch_end(epoch, dict(values))
        rates.append(float(model.optimizer.learning_rate))
    return {"config": config, "logs": logs, "rates": rates}


def multi_optimizer(generator):
    """A real run of two weights, each with an optimizer of its own, whose rates a callback changes."""
    callback, config = [
        ("ReduceLROnPlateau", {"monitor": "loss", "patience": 1, "factor": 0.5, "min_lr": 0.03, "min_delta": 100.0}),
        ("LearningRateScheduler", None),
    ][generator.integers(2)]
    x = generator.integers(-8, 8, (6, 1)).astype("float32") / 8
    layer = keras.layers.Dense(1, kernel_initializer="ones", name="dense")
    model = keras.Sequential([keras.Input([1]), layer])
    optimizers = keras.optimizers.OptimizerMap(keras.optimizers.SGD(0.25, name="slow"))
    optimizers[".*kernel"] = keras.optimizers.SGD(0.0625, name="fast")
    model.compile(keras.optimizers.MultiOptimizer(optimizers), "mse")
    made = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.75)
    if config is not None:
        made = keras.callbacks.ReduceLROnPlateau(**config)
    fit = {"epochs": 5, "batch_size": 2, "shuffle": False, "verbose": 0}
    history = model.fit(x, -x, callbacks=[made], **fit)
    return {"callback": callback, "config": config, "x": x[:, 0].tolist(), "history": history.history}


def swap_ema_weights(generator):
    """A real run of one weight: losses with the averaged weight, and what remains."""
    config = {"swap_on_epoch": bool(generator.random() < 0.5)}
    x = generator.integers(-8, 8, (6, 1)).astype("float32") / 8
    model = keras.Sequential([keras.Input([1]), keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")])
    optimizer = keras.optimizers.SGD(0.25, use_ema=True, ema_momentum=0.75)
    model.compile(optimizer, "mse")
    epochs = int(generator.integers(1, 4))
    fit = {"epochs": epochs, "batch_size": 2, "shuffle": False, "verbose": 0}
    history = model.fit(x, -x, validation_data=(x, -x), callbacks=[keras.callbacks.SwapEMAWeights(**config)], **fit)
    return {
        "config": config,
        "x": x[:, 0].tolist(),
        "epochs": epochs,
        "history": history.history,
        "weight": float(model.get_weights()[0][0, 0]),
        "average": float(optimizer._model_variables_moving_average[0][0, 0]),
    }


def terminate_on_nan(generator):
    config = {"raise_error": bool(generator.random() < 0.5)}
    losses = [1.0, 2.0, str(generator.choice(["nan", "inf", "-inf"])), 1.0]
    model, callback = Model(), keras.callbacks.TerminateOnNaN(**config)
    callback.set_model(model)
    for batch, loss in enumerate(losses):
        try:
            callback.on_batch_end(batch, {"loss": float(loss)})
        except RuntimeError:
            return {"config": config, "losses": losses, "raised": batch}
        if model.stop_training:
            return {"config": config, "losses": losses, "stopped": batch}


CASES = {
    "EarlyStopping": (early_stopping, 90),
    "ModelCheckpoint": (model_checkpoint, 40),
    "CSVLogger": (csv_logger, 8),
    "ReduceLROnPlateau": (reduce_lr_on_plateau, 60),
    "MultiOptimizer": (multi_optimizer, 4),
    "SwapEMAWeights": (swap_ema_weights, 6),
    "TerminateOnNaN": (terminate_on_nan, 4),
}


class Cases:
    """`callbacks.json`, a case a line; there are no tensors."""

    def __init__(self):
        self.cases = []

    def write(self, folder):
        head = {
            "group": "callbacks",
            "about": "logs: an epoch each; epochs: how many ran; weights_of_epoch: whose weights remain; saved: in order",
            "versions": {p: importlib.metadata.version(p) for p in ("keras",)},
        }
        lines = ",\n".join(dumps(case) for case in self.cases)
        (folder / "callbacks.json").write_text(f'{dumps(head)[:-1]}, "cases": [\n{lines}\n]}}\n')
        print(f"callbacks: {len(self.cases)} cases")


def make(_folder):
    import warnings

    warnings.simplefilter("ignore")  # Missing monitors are part of the cases.
    cases = Cases()
    for name, (case, count) in CASES.items():
        generator = rng(2024)
        for number in range(count):
            cases.cases.append({"name": f"{name}/{number}", **case(generator)})
    return cases
