"""Text written token by token by PyTorch: prints microseconds a token of the best text.

    python generate_bench.py lstm 10000 256 5    # or gpt: workload, words, tokens, texts
"""
import sys, time
import torch, torch.nn as nn, torch.nn.functional as F

workload, words, tokens, runs = sys.argv[1], *map(int, sys.argv[2:])
torch.manual_seed(0)
CONTEXT = 128


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.lstm, self.out = nn.Embedding(words, 128), nn.LSTM(128, 256, batch_first=True), nn.Linear(256, words)

    def forward(self, x, states):
        h, states = self.lstm(self.words(x), states)
        return self.out(h[:, -1]), states


class Block(nn.Module):
    def __init__(self, width=64, heads=4):
        super().__init__()
        self.heads = heads
        self.n1, self.n2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.merge = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.f1, self.f2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        batch, steps, width = x.shape
        split = lambda a: a.view(batch, steps, self.heads, -1).transpose(1, 2)
        q, k, v = map(split, self.qkv(self.n1(x)).split(width, -1))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.merge(y.transpose(1, 2).reshape(batch, steps, width))
        return x + self.f2(F.relu(self.f1(self.n2(x))))


class GPT(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        self.words, self.places = nn.Embedding(words, width), nn.Embedding(CONTEXT, width)
        self.blocks = nn.Sequential(Block(), Block())
        self.norm, self.out = nn.LayerNorm(width), nn.Linear(width, words)

    def forward(self, x):
        h = self.words(x) + self.places(torch.arange(x.shape[1]))
        return self.out(self.norm(self.blocks(h)[:, -1]))


@torch.no_grad()
def write(model):
    text, states = [1], None
    while len(text) <= tokens:
        if workload == "lstm":
            logits, states = model(torch.tensor([[text[-1]]]), states)
        else:
            logits = model(torch.tensor([text[-CONTEXT:]]))
        text.append(int(logits.argmax()))


model = (Recurrent() if workload == "lstm" else GPT()).eval()
times = []
for _ in range(runs + 1):
    start = time.perf_counter()
    write(model)
    times.append(time.perf_counter() - start)
print(min(times[1:]) / tokens * 1e6)
