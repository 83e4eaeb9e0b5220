"""Layers of attention: with and without masks, causal, with scores."""

import numpy as np
from keras import layers

from .layer_case import LayerCases


def make(_folder):
    cases = LayerCases("layers_attention", 1502)
    q, v, k = cases.normal(2, 3, 4), cases.normal(2, 5, 6), cases.normal(2, 5, 4)
    w, same = cases.normal(2, 5, 4), cases.normal(2, 4, 4)
    q_mask = np.array([[True, True, False], [True, False, True]])
    v_mask = np.array([[True, True, False, True, False], [False, True, True, True, True]])
    masks = [q_mask, v_mask]
    for name, make_layer in {
        "attention": layers.Attention,
        "attention/scale": lambda: layers.Attention(use_scale=True),
        "attention/concat": lambda: layers.Attention(score_mode="concat"),
        "attention/concat_scale": lambda: layers.Attention(score_mode="concat", use_scale=True),
        "additive": layers.AdditiveAttention,
        "additive/no_scale": lambda: layers.AdditiveAttention(use_scale=False),
    }.items():
        cases.add(name, make_layer, q, w)
        cases.add(f"{name}/key", make_layer, q, v, k)
        cases.add(f"{name}/masks", make_layer, q, w, masks=masks)
        cases.add(f"{name}/causal", make_layer, q, w, masks=[None, np.array([[True] * 5] * 2)], use_causal_mask=True)
        cases.add(f"{name}/scores", make_layer, q, v, k, masks=[*masks, None], return_attention_scores=True)

    seen = np.array([[[1, 1, 0, 1, 0], [0, 1, 1, 1, 1], [0, 0, 0, 0, 1]], [[1, 1, 1, 1, 1], [0, 0, 1, 0, 0], [1, 0, 1, 0, 1]]]) > 0
    nothing = np.array([[[0, 0, 0, 0, 0], [0, 1, 1, 1, 1], [0, 0, 0, 0, 1]]] * 2) > 0
    for name, make_layer in {
        "multi_head": lambda: layers.MultiHeadAttention(2, 3),
        "multi_head/output": lambda: layers.MultiHeadAttention(3, 2, use_bias=False, output_shape=7),
        "multi_head/gate": lambda: layers.MultiHeadAttention(2, 3, use_gate=True, sliding_window=2),
        "group_query": lambda: layers.GroupQueryAttention(3, 4, 2),
        "group_query/one": lambda: layers.GroupQueryAttention(2, 3, 1, use_bias=False, use_gate=True),
        "group_query/window": lambda: layers.GroupQueryAttention(2, 2, 2, sliding_window=3),
    }.items():
        add = lambda label, *x, **more: cases.add(f"{name}{label}", make_layer, *x, spread=True, **more)
        add("", q, w)
        add("/self_causal", same, same, use_causal_mask=True)
        add("/causal", q, w, use_causal_mask=True)
        add("/key", q, w, cases.normal(2, 5, 3))
        add("/masks", q, w, masks=masks)
        add("/key_mask", q, w, k, masks=[None, None, v_mask])
        add("/attention_mask", q, w, attention_mask=seen)
        add("/unseen", q, w, attention_mask=nothing)
        add("/all", q, w, masks=masks, attention_mask=seen, use_causal_mask=True)
        add("/scores", q, w, masks=masks, attention_mask=seen, return_attention_scores=True)
        add("/scores_unseen", q, w, attention_mask=nothing, return_attention_scores=True)
        add("/scores_causal", same, same, use_causal_mask=True, return_attention_scores=True)
    for name, make_layer in {
        "multi_head": lambda **more: layers.MultiHeadAttention(2, 3, activity_regularizer="l2", **more),
        "group_query": lambda **more: layers.GroupQueryAttention(3, 4, 2, activity_regularizer="l1", **more),
    }.items():
        cases.add(f"{name}/activity", make_layer, q, w, spread=True)
        gated = lambda: make_layer(use_gate=True)
        cases.add(f"{name}/activity/scores", gated, q, w, spread=True, return_attention_scores=True)
    several = lambda: layers.MultiHeadAttention(2, 3, output_shape=(2, 3))
    cases.add("multi_head/output_shape", several, q, w, spread=True)
    dropped = lambda: layers.MultiHeadAttention(2, 3, dropout=0.3)
    cases.add("multi_head/dropout", dropped, q, w, spread=True, masks=masks, attention_mask=nothing)
    # Keras on JAX has no other width of values without scores.
    wide = lambda: layers.MultiHeadAttention(2, 3, value_dim=5)
    cases.add("multi_head/value_dim", wide, q, w, spread=True, masks=masks, return_attention_scores=True)
    images, others = cases.normal(2, 2, 3, 4), cases.normal(2, 2, 2, 4)
    cases.add("multi_head/images", lambda: layers.MultiHeadAttention(2, 3), images, others, spread=True)
    one = lambda: layers.MultiHeadAttention(2, 3, attention_axes=2)
    cases.add("multi_head/one_axis", one, images, others, spread=True)
    cases.add("multi_head/one_axis/scores", one, images, others, spread=True, return_attention_scores=True)
    first = lambda: layers.MultiHeadAttention(2, 3, attention_axes=(1,))
    cases.add("multi_head/first_axis", first, images, cases.normal(2, 4, 3, 4), spread=True)
    mask = np.array([[[1, 1], [0, 1], [1, 0]]] * 2) > 0
    cases.add("multi_head/one_axis/mask", one, images, others, spread=True, attention_mask=mask)
    return cases.group
