"""PyTorch on a workload of the benchmarks: prints {"best": us, "median": us} a step."""
import json, statistics, sys, time
import torch, torch.nn as nn, torch.nn.functional as F

workload, epochs = sys.argv[1], int(sys.argv[2])
device = sys.argv[3] if len(sys.argv) > 3 else "cpu"
torch.set_num_threads(torch.get_num_threads())
torch.manual_seed(0)


def mlp(sizes):
    layers = []
    for i, (a, b) in enumerate(zip(sizes, sizes[1:])):
        layers += [nn.Linear(a, b)] + ([nn.ReLU()] if i < len(sizes) - 2 else [])
    return nn.Sequential(*layers)


def run(model, x, y, batch, epochs, optimizer, clip):
    loss_of, n, times = nn.CrossEntropyLoss(), len(x), []
    x, y = x.to(device), y.to(device)  # all data at once, as Sconce does
    for _ in range(epochs):
        start, total = time.perf_counter(), 0.0
        order = torch.randperm(n, device=device)
        for i in range(0, n, batch):
            rows = order[i : i + batch]
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(model(x[rows]), y[rows])
            loss.backward()
            if clip:
                for p in model.parameters():  # each weight's own norm, as Keras's clipnorm
                    torch.nn.utils.clip_grad_norm_([p], clip)
            optimizer.step()
            total += loss.detach() if device != "cpu" else loss.item()  # no wait for a GPU in every step
        float(total)
        times.append((time.perf_counter() - start) / -(-n // batch) * 1e6)
    return {"best": min(times), "median": statistics.median(times)}


class Residual(nn.Module):
    def __init__(self, inputs, filters, strides):
        super().__init__()
        self.c1 = nn.Conv2d(inputs, filters, 3, strides, 1, bias=False)
        self.c2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.b1, self.b2 = nn.BatchNorm2d(filters), nn.BatchNorm2d(filters)
        self.shortcut = nn.Identity()
        if inputs != filters:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, filters, 1, strides, bias=False), nn.BatchNorm2d(filters))

    def forward(self, x):
        return F.relu(self.b2(self.c2(F.relu(self.b1(self.c1(x))))) + self.shortcut(x))


def resnet():
    blocks = [(16, 16, 1), (16, 16, 1), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1)]
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), *(Residual(*b) for b in blocks),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
    )


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.lstm, self.out = nn.Embedding(10000, 128), nn.LSTM(128, 64, batch_first=True), nn.Linear(64, 2)

    def forward(self, x):
        return self.out(self.lstm(self.words(x))[0][:, -1])


class Transformer(nn.Module):
    def __init__(self, width=64, heads=4, hidden=128):
        super().__init__()
        self.words, self.positions = nn.Embedding(20000, width), nn.Embedding(200, width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.n1, self.n2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.f1, self.f2, self.out = nn.Linear(width, hidden), nn.Linear(hidden, width), nn.Linear(width, 2)

    def forward(self, x):
        x = self.words(x) + self.positions.weight
        x = self.n1(x + self.attention(x, x, x, need_weights=False)[0])
        x = self.n2(x + self.f2(F.relu(self.f1(x))))
        return self.out(x.mean(1))


if workload == "seed":
    model = mlp([32, 64, 10]).to(device)
    x, y = torch.randn(10000, 32), torch.randint(0, 10, (10000,))
    result = run(model, x, y, 32, epochs, torch.optim.SGD(model.parameters(), lr=0.01, fused=True), 1.0)
elif workload in ("cnn", "resnet"):
    results = []
    for memory in (torch.contiguous_format, torch.channels_last):  # the faster of the two counts
        if workload == "cnn":
            x, y, batch = torch.rand(4000, 1, 28, 28), torch.randint(0, 10, (4000,)), 128
            model = nn.Sequential(
                nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
                nn.Flatten(), nn.Dropout(0.5), nn.Linear(1600, 10),
            ).to(device, memory_format=memory)
            optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
        else:
            x, y, batch = torch.rand(1024, 3, 32, 32), torch.randint(0, 10, (1024,)), 64
            model = resnet().to(device, memory_format=memory)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, fused=True)
        results.append(run(model, x.to(memory_format=memory), y, batch, epochs, optimizer, None))
    result = min(results, key=lambda r: r["best"])
elif workload in ("lstm", "transformer"):
    if workload == "lstm":
        x, y, model = torch.randint(0, 10000, (2000, 100)), torch.randint(0, 2, (2000,)), Recurrent().to(device)
    else:
        x, y, model = torch.randint(0, 20000, (1000, 200)), torch.randint(0, 2, (1000,)), Transformer().to(device)
    result = run(model, x, y, 32, epochs, torch.optim.Adam(model.parameters(), lr=1e-3, fused=True), None)
else:
    model = mlp([784, 512, 512, 10]).to(device)
    x, y = torch.rand(20000, 784), torch.randint(0, 10, (20000,))
    result = run(model, x, y, 128, epochs, torch.optim.Adam(model.parameters(), lr=1e-3, fused=True), None)
print(json.dumps(result))
