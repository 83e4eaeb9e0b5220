"""Training runs of models with attention and with plain operations, in the form of `functional_training`."""

import keras
import numpy as np
from keras import layers, ops, optimizers

from .common import normal, rng
from .functional_training import CLASSES, ROWS, VALIDATION_ROWS, Run, training_group

SPARSE = "sparse_categorical_crossentropy"
STEPS, WORDS = 6, 7


def make(_folder):
    return training_group("attention_training", runs(Data(rng(1503))))


class Data:
    def __init__(self, draw):
        rows = ROWS + VALIDATION_ROWS
        self.labels = draw.integers(0, CLASSES, rows)
        self.steps = (normal(draw, (rows, STEPS, 3)) + self.labels[:, None, None]).astype(np.float32)
        # Steps that are padded are zero, and each row keeps its first one.
        keep = np.arange(STEPS)[None, :] < draw.integers(1, STEPS + 1, rows)[:, None]
        self.padded = self.steps * keep[:, :, None].astype(np.float32)
        # Each word follows from the one before, as a rule.
        words = [draw.integers(0, WORDS, rows)]
        for _ in range(STEPS):
            words.append((words[-1] * 3 + (draw.uniform(size=rows) < 0.2)) % WORDS)
        self.words = np.stack(words, axis=1)
        self.padded_words = np.where(keep, self.words[:, :-1] % (WORDS - 1) + 1, 0)
        time = np.arange(STEPS + 1)[None, :] * 0.7 + draw.uniform(0, 6, rows)[:, None]
        self.waves = np.sin(time)[:, :, None].astype(np.float32)


def compiled(loss=SPARSE, optimizer=lambda: optimizers.SGD(0.05, momentum=0.9), **more):
    more.setdefault("metrics", ["accuracy"] if loss == SPARSE else None)
    return lambda: {"optimizer": optimizer(), "loss": loss, **more}


def block(h, name, attend):
    """A block of a Transformer, normalized before each part."""
    h = layers.Add(name=f"{name}_add")([h, attend(layers.LayerNormalization(name=f"{name}_norm")(h))])
    y = layers.LayerNormalization(name=f"{name}_norm_2")(h)
    y = layers.Dense(8, activation="gelu", name=f"{name}_wide")(y)
    return layers.Add(name=f"{name}_add_2")([h, layers.Dense(4, name=f"{name}_narrow")(y)])


def encoder(use_bias=True):
    """Classes of padded sequences."""
    x = keras.Input((STEPS, 3), name="steps")
    h = layers.Dense(4, name="features")(layers.Masking(name="masking")(x))
    h = block(h, "block", lambda h: layers.MultiHeadAttention(2, 3, use_bias=use_bias, name="heads")(h, h))
    h = layers.GlobalAveragePooling1D(name="mean")(h)
    return keras.Model(x, layers.Dense(CLASSES, activation="softmax", name="a")(h))


def gpt():
    """The next word at each step, of words and positions that are counted within the model."""
    ids = keras.Input((STEPS,), dtype="int32", name="ids")
    places = ops.cumsum(ops.ones_like(ids), axis=1) - 1
    h = layers.Dense(4, use_bias=False, name="words")(ops.one_hot(ids, WORDS))
    h = h + layers.Dense(4, use_bias=False, name="places")(ops.one_hot(places, STEPS))
    for i in range(2):
        attend = lambda h: layers.MultiHeadAttention(2, 2, name=f"heads_{i}")(h, h, use_causal_mask=True)
        h = block(h, f"block_{i}", attend)
    return keras.Model(ids, layers.Dense(WORDS, activation="softmax", name="a")(layers.LayerNormalization(name="end")(h)))


def embedded_gpt():
    """The next word at each step, of vectors of words and of places: two blocks, logits."""
    ids = keras.Input((STEPS,), dtype="int32", name="ids")
    places = layers.Embedding(STEPS, 4, name="places")(ops.cumsum(ops.ones_like(ids), axis=1) - 1)
    h = layers.Embedding(WORDS, 4, name="words")(ids) + places
    for i in range(2):
        attend = lambda h: layers.MultiHeadAttention(2, 2, use_bias=False, dropout=0.0, name=f"heads_{i}")(
            h, h, use_causal_mask=True
        )
        h = block(h, f"block_{i}", attend)
    return keras.Model(ids, layers.Dense(WORDS, name="logits")(layers.LayerNormalization(name="end")(h)))


def padded_encoder():
    """Classes of padded texts: the masks of words reach attention and the mean over steps by themselves."""
    ids = keras.Input((STEPS,), dtype="int32", name="ids")
    h = layers.Embedding(WORDS, 4, mask_zero=True, name="words")(ids)
    a = layers.MultiHeadAttention(2, 2, use_bias=False, name="heads")(h, h)
    h = layers.LayerNormalization(name="norm")(layers.Add(name="add")([h, a]))
    f = layers.Dense(4, name="narrow")(layers.Dense(8, activation="relu", name="wide")(h))
    h = layers.LayerNormalization(name="norm_2")(layers.Add(name="add_2")([h, f]))
    h = layers.GlobalAveragePooling1D(name="mean")(h)
    return keras.Model(ids, layers.Dense(CLASSES, activation="softmax", name="a")(h))


def computed_masks():
    """Masks that the model computes: of steps that are not all 0, and of pairs of them."""
    x = keras.Input((STEPS, 3), name="steps")
    mask = ops.any(ops.not_equal(x, 0.0), axis=-1)
    pairs = ops.logical_and(ops.expand_dims(mask, 1), ops.expand_dims(mask, 2))
    h = layers.Dense(4, name="features")(x)
    h = h + layers.MultiHeadAttention(2, 2, use_bias=False, name="heads")(h, h, attention_mask=pairs)
    memory = layers.LSTM(4, name="memory")(h, mask=mask)
    mean = layers.GlobalAveragePooling1D(name="steps_mean")(h, mask=mask)
    share = ops.mean(ops.cast(mask, "float32"), axis=1, keepdims=True)
    h = layers.Concatenate(name="all")([memory, mean, share])
    return keras.Model(x, layers.Dense(CLASSES, activation="softmax", name="a")(h))


def grouped():
    """Two values of a series from those before, by heads that share keys, with a gate and a window."""
    x = keras.Input((STEPS, 1), name="waves")
    h = layers.Dense(4, name="features")(x)
    h = h + layers.GroupQueryAttention(2, 4, 2, use_gate=True, sliding_window=4, name="heads")(h, h, use_causal_mask=True)
    h = ops.concatenate([h[:, -1], ops.mean(h, axis=1), ops.max(h, axis=1)], axis=-1)
    return keras.Model(x, layers.Dense(1, name="a")(h))


def compared():
    """Attention and additive attention over the steps of another sequence."""
    x, other = keras.Input((STEPS, 3), name="steps"), keras.Input((STEPS, 3), name="other")
    q, v = layers.Dense(4, name="q")(x), layers.Dense(4, name="v")(layers.Masking(name="masking")(other))
    a = layers.Attention(use_scale=True, score_mode="dot", name="dot")([q, v])
    b = layers.AdditiveAttention(name="additive")([q, v, layers.Dense(4, name="k")(other)])
    h = ops.stack([a, b, ops.tanh(a) * ops.sigmoid(b)], axis=2)
    left, right = ops.split(ops.reshape(h, (-1, STEPS, 12)), 2, axis=-1)
    h = ops.where(left > 0, left, ops.exp(ops.clip(right, -2.0, 1.0)) - 1.0)
    return keras.Model([x, other], layers.Dense(CLASSES, activation="softmax", name="a")(ops.transpose(h, (0, 2, 1))[..., -1]))


def runs(d):
    adam = lambda: optimizers.Adam(0.01)
    logits = lambda: {**compiled()(), "loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True)}
    return {
        "encoder": Run(encoder, compiled(), [d.padded], [d.labels]),
        # The gradient of a key's bias is 0 but for rounding, which Adam makes as large as any other.
        "encoder/adam": Run(lambda: encoder(use_bias=False), compiled(optimizer=adam), [d.padded], [d.labels]),
        "gpt": Run(gpt, compiled(), [d.words[:, :-1]], [d.words[:, 1:]]),
        "gpt/embeddings": Run(embedded_gpt, logits, [d.words[:, :-1]], [d.words[:, 1:]]),
        "encoder/words": Run(padded_encoder, compiled(optimizer=adam), [d.padded_words], [d.labels]),
        "masks/computed": Run(computed_masks, compiled(optimizer=adam), [d.padded], [d.labels]),
        "grouped": Run(grouped, compiled("mse"), [d.waves[:, :-1]], [d.waves[:, -1]]),
        "compared": Run(compared, compiled(), [d.steps, d.padded], [d.labels]),
    }
