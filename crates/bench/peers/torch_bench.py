"""PyTorch on a workload of the benchmarks: prints {"best": us, "median": us} a step."""
import json, statistics, sys, time
import torch, torch.nn as nn

torch.set_num_threads(torch.get_num_threads())
torch.manual_seed(0)


def mlp(sizes):
    layers = []
    for i, (a, b) in enumerate(zip(sizes, sizes[1:])):
        layers += [nn.Linear(a, b)] + ([nn.ReLU()] if i < len(sizes) - 2 else [])
    return nn.Sequential(*layers)


def run(model, x, y, batch, epochs, optimizer, clip):
    loss_of, n, times = nn.CrossEntropyLoss(), len(x), []
    for _ in range(epochs):
        start, total = time.perf_counter(), 0.0
        order = torch.randperm(n)
        for i in range(0, n, batch):
            rows = order[i : i + batch]
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(model(x[rows]), y[rows])
            loss.backward()
            if clip:
                for p in model.parameters():  # each weight's own norm, as Keras's clipnorm
                    torch.nn.utils.clip_grad_norm_([p], clip)
            optimizer.step()
            total += loss.item()
        times.append((time.perf_counter() - start) / -(-n // batch) * 1e6)
    return {"best": min(times), "median": statistics.median(times)}


workload, epochs = sys.argv[1], int(sys.argv[2])
if workload == "seed":
    model = mlp([32, 64, 10])
    x, y = torch.randn(10000, 32), torch.randint(0, 10, (10000,))
    result = run(model, x, y, 32, epochs, torch.optim.SGD(model.parameters(), lr=0.01, fused=True), 1.0)
elif workload == "cnn":
    x, y = torch.rand(4000, 1, 28, 28), torch.randint(0, 10, (4000,))
    results = []
    for memory in (torch.contiguous_format, torch.channels_last):  # the faster of the two counts
        model = nn.Sequential(
            nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Dropout(0.5), nn.Linear(1600, 10),
        ).to(memory_format=memory)
        adam = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
        results.append(run(model, x.to(memory_format=memory), y, 128, epochs, adam, None))
    result = min(results, key=lambda r: r["best"])
else:
    model = mlp([784, 512, 512, 10])
    x, y = torch.rand(20000, 784), torch.randint(0, 10, (20000,))
    result = run(model, x, y, 128, epochs, torch.optim.Adam(model.parameters(), lr=1e-3, fused=True), None)
print(json.dumps(result))
