"""MLX (compiled) on a workload of the benchmarks: prints {"best": us, "median": us} a step."""
import json, statistics, sys, time
from functools import partial

import mlx.core as mx, mlx.nn as nn, mlx.optimizers as optim, numpy as np

mx.random.seed(0)
random = np.random.default_rng(0)


def mlp(sizes):
    layers = []
    for i, (a, b) in enumerate(zip(sizes, sizes[1:])):
        layers += [nn.Linear(a, b)] + ([nn.ReLU()] if i < len(sizes) - 2 else [])
    return nn.Sequential(*layers)


def run(model, x, y, batch, epochs, optimizer, clip):
    loss_and_grad = nn.value_and_grad(
        model, lambda m, x, y: nn.losses.cross_entropy(m(x), y, reduction="mean")
    )
    state = [model.state, optimizer.state, mx.random.state]

    @partial(mx.compile, inputs=state, outputs=state)
    def step(x, y):
        loss, gradients = loss_and_grad(model, x, y)
        if clip:
            gradients, _ = optim.clip_grad_norm(gradients, clip)
        optimizer.update(model, gradients)
        return loss

    n, times = len(x), []
    for _ in range(epochs):
        start, total = time.perf_counter(), 0.0
        order = mx.array(random.permutation(n))
        for i in range(0, n - batch + 1, batch):
            rows = order[i : i + batch]
            loss = step(x[rows], y[rows])
            mx.eval(state)
            total += loss.item()
        times.append((time.perf_counter() - start) / (n // batch) * 1e6)
    return {"best": min(times), "median": statistics.median(times)}


workload, epochs = sys.argv[1], int(sys.argv[2])
if workload not in ("seed", "mlp"):
    sys.exit(f"takes no part in {workload}: its convolutions on the CPU take 40 times as long as PyTorch's")
if workload == "seed":
    x, y = mx.array(random.standard_normal((10000, 32)).astype("f")), mx.array(random.integers(0, 10, 10000))
    result = run(mlp([32, 64, 10]), x, y, 32, epochs, optim.SGD(0.01), 1.0)
else:
    x, y = mx.array(random.random((20000, 784), dtype="f")), mx.array(random.integers(0, 10, 20000))
    result = run(mlp([784, 512, 512, 10]), x, y, 128, epochs, optim.Adam(1e-3), None)
print(json.dumps(result))
