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


class Positions(layers.Layer):
    def build(self, shape):
        self.positions = self.add_weight(shape=shape[1:], initializer="uniform", name="positions")

    def call(self, x):
        return x + self.positions


def convolved(x, filters, size, strides):
    x = layers.Conv2D(filters, size, strides, padding="same", use_bias=False)(x)
    return layers.BatchNormalization()(x)


def residual(x, filters, strides):
    body = convolved(layers.ReLU()(convolved(x, filters, 3, strides)), filters, 3, 1)
    same = x.shape[-1] == filters
    return layers.ReLU()(body + (x if same else convolved(x, filters, 1, strides)))


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
elif workload == "resnet":
    x, y, batch = random.random((1024, 32, 32, 3), dtype="f"), random.integers(0, 10, 1024), 64
    image = keras.Input((32, 32, 3))
    h = layers.ReLU()(convolved(image, 16, 3, 1))
    for filters, strides in [(16, 1), (16, 1), (32, 2), (32, 1), (64, 2), (64, 1)]:
        h = residual(h, filters, strides)
    model = keras.Model(image, layers.Dense(10)(layers.GlobalAveragePooling2D()(h)))
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
elif workload == "lstm":
    x, y, batch = random.integers(0, 10000, (2000, 100)), random.integers(0, 2, 2000), 32
    model = keras.Sequential(
        [keras.Input((100,), dtype="int32"), layers.Embedding(10000, 128), layers.LSTM(64), layers.Dense(2)]
    )
    optimizer = keras.optimizers.Adam(1e-3)
elif workload == "transformer":
    x, y, batch = random.integers(0, 20000, (1000, 200)), random.integers(0, 2, 1000), 32
    tokens = keras.Input((200,), dtype="int32")
    h = Positions()(layers.Embedding(20000, 64)(tokens))
    h = layers.LayerNormalization()(h + layers.MultiHeadAttention(4, 16)(h, h))
    h = layers.LayerNormalization()(h + layers.Dense(64)(layers.Dense(128, activation="relu")(h)))
    model = keras.Model(tokens, layers.Dense(2)(layers.GlobalAveragePooling1D()(h)))
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
