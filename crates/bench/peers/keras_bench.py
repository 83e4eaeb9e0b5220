"""Keras on a backend on a workload of the benchmarks: prints {"best": us, "median": us} a step."""
import json, os, statistics, sys, time

os.environ["KERAS_BACKEND"] = sys.argv[3] if len(sys.argv) > 3 else "jax"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras, numpy as np
from keras import layers

keras.utils.set_random_seed(0)


class Clock(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.times = []

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.times.append(time.perf_counter() - self.start)


workload, epochs = sys.argv[1], int(sys.argv[2])
random = np.random.default_rng(0)
if workload == "seed":
    x, y, batch = random.standard_normal((10000, 32)).astype("f"), random.integers(0, 10, 10000), 32
    model = keras.Sequential([keras.Input((32,)), layers.Dense(64, activation="relu"), layers.Dense(10)])
    optimizer = keras.optimizers.SGD(0.01, clipnorm=1.0)
elif workload == "cnn":
    x, y, batch = random.random((4000, 28, 28, 1), dtype="f"), random.integers(0, 10, 4000), 128
    model = keras.Sequential(
        [keras.Input((28, 28, 1)), layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D(2),
         layers.Conv2D(64, 3, activation="relu"), layers.MaxPooling2D(2), layers.Flatten(), layers.Dropout(0.5),
         layers.Dense(10)]
    )
    optimizer = keras.optimizers.Adam(1e-3)
else:
    x, y, batch = random.random((20000, 784), dtype="f"), random.integers(0, 10, 20000), 128
    model = keras.Sequential(
        [keras.Input((784,))] + [layers.Dense(512, activation="relu") for _ in range(2)] + [layers.Dense(10)]
    )
    optimizer = keras.optimizers.Adam(1e-3)
model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
clock = Clock()
model.fit(x, y, epochs=epochs, batch_size=batch, verbose=0, callbacks=[clock])
steps = -(-len(x) // batch)
times = [t / steps * 1e6 for t in clock.times]
print(json.dumps({"best": min(times), "median": statistics.median(times)}))
