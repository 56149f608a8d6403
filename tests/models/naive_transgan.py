"""TransGAN's formulas in float64, by loops and for nobody's use: what test_transgan.py holds the networks against.

Weights come as a state dict; tokens are (T, C) of one sample, so that no batch can leak into another.
"""

import math
import struct
from statistics import NormalDist

import torch

MASK = 2**64 - 1


def splitmix(x: int) -> int:
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ x >> 30) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ x >> 27) * 0x94D049BB133111EB) & MASK
    return x ^ x >> 31


def seed_of(values) -> int:
    """The seed of one sample from the bits of its float32 numbers, row by row."""
    bits = [struct.unpack("<i", struct.pack("<f", value))[0] for value in values.flatten().tolist()]
    return splitmix(sum(b * (splitmix(place) | 1) for place, b in enumerate(bits)) & MASK)


def normal(seed: int, place: int) -> float:
    uniform = splitmix((seed + splitmix(place)) & MASK) >> 41
    return NormalDist().inv_cdf((uniform + 0.5) / 2**23)


def linear(x, weights, name):
    return x @ weights[f"{name}.weight"].T + weights.get(f"{name}.bias", 0.0)


def norm(x, weights, name):
    """LayerNorm with eps 1e-5 where there are weights, else PixelNorm with eps 1e-8."""
    rows = []
    for row in x:
        if f"{name}.weight" in weights:
            mean = row.sum() / len(row)
            variance = ((row - mean) ** 2).sum() / len(row)
            rows.append((row - mean) / (variance + 1e-5) ** 0.5 * weights[f"{name}.weight"] + weights[f"{name}.bias"])
        else:
            rows.append(row / ((row**2).sum() / len(row) + 1e-8) ** 0.5)
    return torch.stack(rows)


def gelu(x):
    return x * 0.5 * (1 + torch.special.erf(x / math.sqrt(2)))


def attend(q, k, v, heads, bias=None):
    """Head by head, query by query; `bias(head, i)` is a row of numbers to add to the logits."""
    out, width = torch.zeros_like(q), q.shape[1] // heads
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        for i in range(len(q)):
            logits = k[:, part] @ q[i, part] / math.sqrt(width)
            if bias is not None:
                logits = logits + bias(head, i)
            out[i, part] = (logits.exp() / logits.exp().sum()) @ v[:, part]
    return out


def self_attention(x, weights, name, heads, side):
    """`side`: of the square the tokens fill; its table of relative positions is used where there is one."""
    q, k, v = linear(x, weights, f"{name}.qkv").split(x.shape[1], dim=1)
    table, bias = weights.get(f"{name}.bias.table"), None
    if table is not None:

        def bias(head, i):
            positions = [(i // side - j // side + side - 1, i % side - j % side + side - 1) for j in range(len(x))]
            return table[[dy * (2 * side - 1) + dx for dy, dx in positions], head]

    return linear(attend(q, k, v, heads, bias), weights, f"{name}.proj")


def block(x, weights, name, heads, side, window, context, noise):
    if context is not None:
        q, k, v = (linear(a, weights, f"{name}.cross_attn.{b}") for a, b in ((x, "q"), (context, "k"), (context, "v")))
        x = x + linear(attend(q, k, v, heads), weights, f"{name}.cross_attn.proj")
    h = norm(x, weights, f"{name}.norm1.norm")
    if f"{name}.noise.strength" in weights:
        h = h + weights[f"{name}.noise.strength"] * noise(len(x))[:, None]
    if window is None:
        h = self_attention(h, weights, f"{name}.attn", heads, side)
    else:
        h, seen = torch.zeros_like(h), h
        for top in range(0, side, window):
            for left in range(0, side, window):
                own = [y * side + x for y in range(top, top + window) for x in range(left, left + window)]
                h[own] = self_attention(seen[own], weights, f"{name}.attn", heads, window)
    x = x + h
    h = norm(x, weights, f"{name}.norm2.norm")
    return x + linear(gelu(linear(h, weights, f"{name}.mlp.fc1")), weights, f"{name}.mlp.fc2")


def stage(x, weights, name, depth, heads, side=None, window=None, context=None, noise=None):
    for i in range(depth):
        x = block(x, weights, f"{name}.blocks.{i}", heads, side, window, context, noise and noise(i))
    return x


def shuffle(x, side):
    """Channel 4 c + 2 i + j of token (y, x) goes to channel c of token (2 y + i, 2 x + j)."""
    out = torch.zeros(4 * len(x), x.shape[1] // 4, dtype=x.dtype)
    for t in range(len(x)):
        for i in range(2):
            for j in range(2):
                out[(2 * (t // side) + i) * 2 * side + 2 * (t % side) + j] = x[t, 2 * i + j :: 4]
    return out


def bicubic(x, side, factor):
    """Keys' cubic convolution with a = -0.75; pixels are squares with their centres at a half, edges repeat."""

    def kernel(d):
        d, a = abs(d), -0.75
        inner = (a + 2) * d**3 - (a + 3) * d**2 + 1
        return inner if d <= 1 else a * (d**3 - 5 * d**2 + 8 * d - 4) if d < 2 else 0.0

    grown = torch.zeros(side * factor, side, dtype=x.dtype)
    for i in range(side * factor):
        place = (i + 0.5) / factor - 0.5
        for j in range(math.floor(place) - 1, math.floor(place) + 3):
            grown[i, min(max(j, 0), side - 1)] += kernel(place - j)
    return torch.einsum("ay,bx,yxc->abc", grown, grown, x.view(side, side, -1)).flatten(0, 1)


def pool(x, side, factor):
    out = torch.zeros((side // factor) ** 2, x.shape[1], dtype=x.dtype)
    for t in range(len(x)):
        out[t // side // factor * (side // factor) + t % side // factor] += x[t] / factor**2
    return out


def patches(image, weights, name, stride, overlap):
    """A convolution of kernel stride + 2 overlap, by hand: (C, H, W) to (T, dim)."""
    image = torch.nn.functional.pad(image, (overlap,) * 4)
    size, kernel = stride + 2 * overlap, weights[f"{name}.weight"].flatten(1)
    starts = range(0, image.shape[1] - size + 1, stride)
    rows = [kernel @ image[:, y : y + size, x : x + size].flatten() for y in starts for x in starts]
    return torch.stack(rows) + weights[f"{name}.bias"]


def own_noise(values):
    """Noise as eval mode has it: of stage, then block, then a number of tokens."""
    seed = seed_of(values)

    def of_stage(stage):
        start = splitmix((seed + stage) & MASK)
        return lambda i: lambda tokens: torch.tensor([normal(start + i & MASK, t) for t in range(tokens)])

    return of_stage


def generator(settings, weights, latent, noise):
    grids = [settings["img_size"] // 2 ** (len(settings["dim"]) - 1 - i) for i in range(len(settings["dim"]))]
    z, found, context = latent.double()[None], [], None
    if settings["cross_attention"]:
        context = linear(z, weights, "context").view(grids[0] ** 2, -1) + weights["context_pos"][0]
    x = linear(z, weights, "embed").view(grids[0] ** 2, -1)
    for i, side in enumerate(grids):
        if i > 0:
            up, before = settings["upsample"][i - 1], grids[i - 1]
            if up.shrink == 1:
                x = bicubic(x, before, 2)
            elif up.smooth:
                x = shuffle(pool(bicubic(x, before, 4), 4 * before, 4), before)
            else:
                x = shuffle(x, before)
        window = settings["window_size"] and settings["window_size"][i]
        x = stage(
            x + weights[f"pos_embed.{i}"][0], weights, f"stages.{i}", settings["depth"][i], settings["num_heads"][i],
            side, window, context, noise(i),
        )  # fmt: skip
        found.append(x)
    image = x @ weights["to_rgb.weight"].flatten(1).T + weights["to_rgb.bias"]
    return [*found, image.T.reshape(-1, side, side)]


def discriminator(settings, weights, image, noise):
    found, x, image = [], None, image.double()
    for i, size in enumerate(settings["patch_size"]):
        side = settings["img_size"] // size
        if i == 0 or size != settings["patch_size"][i - 1]:
            new = patches(image, weights, f"embeds.{i}.embed.proj", size, 0 if i else settings["overlap"])
            x = new if x is None else torch.cat([pool(x, 2 * side, 2), new], dim=1)
            x = x + weights[f"embeds.{i}.pos_embed"][0]
        window = settings["window_size"] and settings["window_size"][i]
        x = stage(
            x, weights, f"stages.{i}", settings["depth"][i], settings["num_heads"][i], side, window, None, noise(i)
        )
        found.append(x)
    x = torch.cat([weights["cls_token"][0], x])
    x = stage(x, weights, "last", 1, settings["num_heads"][-1], noise=noise(len(settings["patch_size"])))
    return [*found, linear(norm(x, weights, "norm")[:1], weights, "head")[0, 0]]
