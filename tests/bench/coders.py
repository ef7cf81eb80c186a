# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""What other ways to code a joint latent would win or lose, at equal bytes (help page Methods, section 10).

Needs torch, transformers and a GPU; nothing of KVista's own. A Llama-type checkpoint without biases is read by
transformers; keys and values of all heads of a layer before RoPE are one latent in the Fisher metric, and what is tried
stands between the projections and the attention, the first 4 tokens being exact. Prints the rise of the mean loss on other text, with
the standard error of its windows:
    python3 tests/bench/coders.py MODEL --calibrate-on A.txt --evaluate-on B.txt --window 1024 --windows 128
"""

import argparse
import math

import torch
import torch.nn.functional as F
from transformers import AutoModelForCausalLM, AutoTokenizer

EXACT = 4
STEPS = {1: 1.596, 2: 0.9957, 3: 0.5860, 4: 0.3352, 5: 0.1881, 6: 0.1041, 8: 0.0308}  # Of a Gaussian, as methods.md, section 10 has them.
FACTORS = (0.5, 0.6, 0.7, 0.85, 1, 1.25, 1.6, 2.2, 3)
WIDTHS, FINER = (0, 1, 2, 4, 8), (0, 1, 2, 3, 4, 6, 8)
LARGEST = 400  # Codes of the entropy coder.


class Model:
    """A decoder whose keys and values before RoPE pass through `change(layer, y)`, y = [k; v]."""

    def __init__(self, path, device):
        self.tokenizer = AutoTokenizer.from_pretrained(path)
        self.decoder = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).to(device).eval().requires_grad_(False)
        self.layers = self.decoder.model.layers
        config = self.decoder.config
        self.heads = config.num_key_value_heads
        self.width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        self.size = 2 * self.heads * self.width
        self.device, self.change, values = device, None, {}
        for index, layer in enumerate(self.layers):
            attention = layer.self_attn

            def keys(module, inputs, output, index=index, attention=attention):
                if self.change is None:
                    return output
                both = self.change(index, torch.cat([output, attention.v_proj.forward(inputs[0])], -1))
                values[index] = both[..., self.size // 2:]
                return both[..., : self.size // 2]

            attention.k_proj.register_forward_hook(keys)
            attention.v_proj.register_forward_hook(lambda module, inputs, output, index=index: output if self.change is None else values[index])

    def windows(self, path, window, count):
        with open(path, encoding="utf8") as file:
            ids = self.tokenizer(file.read(), add_special_tokens=False, return_tensors="pt").input_ids[0]
        count = min(count, len(ids) // window)
        return ids[: count * window].view(count, window).to(self.device)

    def losses(self, ids, change=None):
        """Mean of each window."""
        self.change, means = change, []
        with torch.no_grad():
            for batch in ids.split(8):
                logits = self.decoder(batch).logits[:, :-1]
                loss = F.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten(), reduction="none")
                means.append(loss.double().view(len(batch), -1).mean(1))
        self.change = None
        return torch.cat(means)


def statistics(model, ids):
    """Second moments a token, Fisher blocks a head and sampled rows of each layer, beyond the exact tokens."""
    count, size = len(model.layers), model.size
    moments = [torch.zeros(size, size, dtype=torch.float64, device=model.device) for _ in range(count)]
    fisher = [torch.zeros(2 * model.heads, model.width, model.width, dtype=torch.float64, device=model.device) for _ in range(count)]
    samples, tokens = [[] for _ in range(count)], 0
    for batch in ids.split(4):
        seen = {}

        def keep(layer, y):
            y.retain_grad()
            seen[layer] = y
            return y

        model.change = keep
        with torch.enable_grad():
            embedded = model.decoder.model.embed_tokens(batch).detach().requires_grad_(True)
            logits = model.decoder(inputs_embeds=embedded).logits
            F.cross_entropy(logits[:, :-1].flatten(0, 1), batch[:, 1:].flatten(), reduction="sum").backward()
        model.change = None
        for layer, y in seen.items():
            rows, slopes = (x[:, EXACT:].flatten(0, 1).double() for x in (y.detach(), y.grad))
            moments[layer] += rows.T @ rows
            blocks = slopes.view(-1, 2 * model.heads, model.width).transpose(0, 1)
            fisher[layer] += blocks.transpose(1, 2) @ blocks
            samples[layer].append(rows[:: max(1, len(rows) // 128)][:128].float())
        tokens += batch.shape[0] * (batch.shape[1] - EXACT)
    return [m / tokens for m in moments], [f / tokens for f in fisher], [torch.cat(s) for s in samples]


def roots(blocks):
    """M^1/2 and M^-1/2 of a block diagonal metric."""
    both = []
    for block in blocks:
        values, vectors = torch.linalg.eigh(block)
        values = values.clamp_min(values.max() * 1e-9)
        both.append((vectors * values.sqrt() @ vectors.T, vectors / values.sqrt() @ vectors.T))
    return torch.block_diag(*(r for r, _ in both)), torch.block_diag(*(i for _, i in both))


def quantised(z, bits, step):
    half = 2 ** (bits - 1)
    return (torch.clamp(torch.floor(z / step), -half, half - 1) + 0.5) * step


class Basis:
    """The eigenbasis of a covariance in a metric, with steps fitted to samples for each width."""

    def __init__(self, covariance, metric, rows, widths):
        root, inverse = metric
        vectors = torch.linalg.eigh(root @ covariance @ root)[1].flip(1)
        self.up, self.down = (inverse @ vectors).float(), (vectors.T @ root).float()
        self.latents = rows @ self.down.T
        power = self.latents.square().mean(0)
        self.distortions, self.steps = {0: power}, {}
        for bits in widths[1:]:
            tried = [(power.clamp_min(1e-30).sqrt() * STEPS[bits] * factor) for factor in FACTORS]
            errors = torch.stack([(quantised(self.latents, bits, step) - self.latents).square().mean(0) for step in tried])
            best = errors.argmin(0)
            self.distortions[bits] = errors.gather(0, best[None])[0]
            self.steps[bits] = torch.stack(tried).gather(0, best[None])[0]

    def decoded(self, z, widths):
        result = torch.zeros_like(z)
        for bits in widths.unique().tolist():
            if bits:
                chosen = (widths == bits).nonzero()[:, 0]
                result[..., chosen] = quantised(z[..., chosen], bits, self.steps[bits][chosen])
        return result


def allocated(distortions, budget, widths):
    """Bits of every direction of all layers: the largest fall of distortion a bit first, until the budget is spent."""
    steps = []
    for layer, table in enumerate(distortions):
        for direction, curve in enumerate(torch.stack([table[bits] for bits in widths], 1).tolist()):
            at = 0
            while at < len(widths) - 1:
                gain, to = max(((curve[at] - curve[i]) / (widths[i] - widths[at]), i) for i in range(at + 1, len(widths)))
                if gain <= 0:
                    break
                steps.append((gain, layer, direction, at, to))
                at = to
    result = [torch.zeros(len(table[0]), dtype=torch.long) for table in distortions]
    for _, layer, direction, at, to in sorted(steps, reverse=True):
        more = widths[to] - widths[at]
        if result[layer][direction] == widths[at] and more <= budget:
            result[layer][direction] = widths[to]
            budget -= more
    return [widths_of.to(distortions[0][0].device) for widths_of in result]


def exact_first(changed, y):
    changed[:, :EXACT] = y[:, :EXACT]
    return changed


def fixed(bases, widths, decode=Basis.decoded):
    return lambda layer, y: exact_first(decode(bases[layer], y @ bases[layer].down.T, widths[layer]) @ bases[layer].up.T, y)


def two_steps(bases, widths):
    """Steps as they are or 1.7 times as wide, whichever errs less on the token: one more bit a token and layer."""
    def decode(basis, z, chosen):
        tried = [basis.decoded(z / gain, chosen) * gain for gain in (1.0, 1.7)]
        wide = ((tried[1] - z).square().sum(-1, keepdim=True) < (tried[0] - z).square().sum(-1, keepdim=True))
        return torch.where(wide, tried[1], tried[0])
    return fixed(bases, widths, decode)


def by_importance(bases, steps, budget):
    """A token of more loss at stake, one in four of the samples, gets half as many bits again, the others as many less: one more bit a token and layer."""
    few, many = (allocated([basis.distortions for basis in bases], budget * part - len(bases), steps) for part in (5 / 6, 3 / 2))
    bounds = [basis.latents.square().sum(-1).quantile(0.75) for basis in bases]

    def change(layer, y):
        basis = bases[layer]
        z = y @ basis.down.T
        wide = z.square().sum(-1, keepdim=True) > bounds[layer]
        return exact_first(torch.where(wide, basis.decoded(z, many[layer]), basis.decoded(z, few[layer])) @ basis.up.T, y)
    return change


# Of each of 8 states: what two of the four subsets lead to (Ungerboeck's trellis as in trellis coded quantisation: Marcellin and Fischer, 1990).
TRELLIS = (((0, 0), (2, 1)), ((1, 2), (3, 3)), ((2, 4), (0, 5)), ((3, 6), (1, 7)), ((2, 0), (0, 1)), ((3, 2), (1, 3)), ((0, 4), (2, 5)), ((1, 6), (3, 7)))


def through_trellis(z, bits, step):
    """Directions [..., n] one after the other, twice as many levels as `bits` say; the path decides which half of them counts."""
    rows, half = z.flatten(0, -2), 2 ** bits
    cost = torch.full((len(rows), 8), math.inf, device=z.device)
    cost[:, 0] = 0
    levels, came = [], []
    for direction in range(rows.shape[1]):
        x = rows[:, direction, None] / step[direction]
        # Of each subset the nearest of its levels, which are 4 steps apart: number 4 k + subset, half of them below 0.
        subset = torch.arange(4, device=z.device)
        k = torch.clamp(torch.round((x + half - 0.5 - subset) / 4), 0, half // 2 - 1)
        level = 4 * k + subset - half + 0.5
        error = ((level - x) * step[direction]).square()
        least, chosen, origin = torch.full_like(cost, math.inf), torch.zeros_like(cost), torch.zeros_like(cost, dtype=torch.long)
        for state, ways in enumerate(TRELLIS):
            for of, to in ways:
                total = cost[:, state] + error[:, of]
                better = total < least[:, to]
                least[:, to] = torch.where(better, total, least[:, to])
                chosen[:, to] = torch.where(better, level[:, of], chosen[:, to])
                origin[:, to] = torch.where(better, state, origin[:, to])
        cost = least
        levels.append(chosen)
        came.append(origin.to(torch.uint8))
    state, result = cost.argmin(1, keepdim=True), torch.empty_like(rows)
    for direction in reversed(range(rows.shape[1])):
        result[:, direction] = levels[direction].gather(1, state)[:, 0] * step[direction]
        state = came[direction].long().gather(1, state)
    return result.view(z.shape)


def lattice(size, even_halves):
    """The 256 points of least length of D_size (whole numbers of an even sum), or of E8, which has those shifted by halves too."""
    points = torch.cartesian_prod(*[torch.arange(-2, 3) if size == 4 else torch.arange(-1, 2)] * size).float()
    points = points[points.sum(1) % 2 == 0]
    if even_halves:
        halves = torch.cartesian_prod(*[torch.tensor([-0.5, 0.5])] * size)
        points = torch.cat([points, halves[halves.sum(1) % 2 == 0]])
    return points[points.square().sum(1).argsort(stable=True)[:256]]


def through_lattice(z, bits, step):
    """E8 at 1 bit a direction, D4 at 2, by so many neighbours; those that are left over have steps of their own."""
    size = 8 // bits
    points = lattice(size, bits == 1).to(z.device)
    whole = z.shape[-1] // size * size
    x = (z[..., :whole] / step[:whole]).unflatten(-1, (-1, size)).flatten(0, -2)
    nearest = torch.cat([points[(part @ points.T * 2 - points.square().sum(1)).argmax(1)] for part in x.split(1 << 17)]) if len(x) else x
    return torch.cat([nearest.view(*z.shape[:-1], whole) * step[:whole], quantised(z[..., whole:], bits, step[whole:])], -1)


def coded_together(bases, widths, through, first, most):
    """Directions of one width of at most `most` bits are coded together; one factor for all their steps is fitted to samples."""
    steps = []
    for basis, own in zip(bases, widths):
        fitted = {}
        for bits in range(1, most + 1):
            chosen = (own == bits).nonzero()[:, 0]
            if len(chosen):
                z = basis.latents[:, chosen]
                tried = [z.square().mean(0).sqrt() * first(bits) * factor for factor in (0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.4)]
                fitted[bits] = min(tried, key=lambda step: (through(z, bits, step) - z).square().sum().item())
        steps.append(fitted)

    def change(layer, y):
        basis, own, z = bases[layer], widths[layer], y @ bases[layer].down.T
        result = basis.decoded(z, torch.where(own > most, own, 0))
        for bits, step in steps[layer].items():
            chosen = (own == bits).nonzero()[:, 0]
            result[..., chosen] = through(z[..., chosen], bits, step)
        return exact_first(result @ basis.up.T, y)
    return change


def predicted(moments, metrics, samples, budget, chain, widths, known=0):
    """Each layer codes what the decoded layer before it does not foretell (linear regression); a new chain begins every
    `chain` layers. `known`: of one layer the number of the token is stored, 32 bits, and its outputs are exact."""
    def shared(bases):
        return [None] * known + allocated([basis.distortions for basis in bases[known:]], budget - 32 * known, widths)

    chosen = shared([Basis(m, r, s, widths) for m, r, s in zip(moments, metrics, samples)])
    for _ in range(3):
        bases, maps, before = [], [], None
        for layer, rows in enumerate(samples):
            if layer < known:
                bases, maps, before = [None], [None], rows
                continue
            if layer % chain == 0:
                foretell, rest, covariance = None, rows, moments[layer]
            else:
                power = (before.T @ before).double() / len(rows)
                power += 1e-3 * power.diagonal().mean() * torch.eye(len(power), device=power.device, dtype=power.dtype)
                foretell = ((rows.T @ before).double() / len(rows) @ torch.linalg.inv(power)).float()
                rest = rows - before @ foretell.T
                covariance = (rest.T @ rest).double() / len(rows)
            basis = Basis(covariance, metrics[layer], rest, widths)
            before = basis.decoded(basis.latents, chosen[layer]) @ basis.up.T + (before @ foretell.T if foretell is not None else 0)
            bases.append(basis)
            maps.append(foretell)
        chosen = shared(bases)
    decoded = {}

    def change(layer, y):
        if layer < known:
            decoded[layer] = y
            return y
        guess = decoded[layer - 1] @ maps[layer].T if maps[layer] is not None else 0
        latents = bases[layer].decoded((y - guess) @ bases[layer].down.T, chosen[layer])
        decoded[layer] = exact_first(latents @ bases[layer].up.T + guess, y)
        return decoded[layer]
    return change


def codes(z, step, dead):
    """0 within the dead zone, then whole steps; from 0 to 2 LARGEST."""
    steps = torch.where(z.abs() < dead * step, torch.zeros_like(z), torch.floor((z.abs() / step - dead).clamp_min(0)) + 1)
    return torch.nan_to_num(z.sign() * steps).clamp(-LARGEST, LARGEST).long() + LARGEST


def histogram(code):
    counts = torch.zeros(code.shape[1], 2 * LARGEST + 1, device=code.device)
    return counts.scatter_add_(1, code.T, torch.ones(code.T.shape, device=code.device))


class EntropyCoder:
    """Steps and dead zones of every direction for which the entropy of the codes, counted on samples, meets the budget with
    the same slope everywhere."""

    def __init__(self, bases, budget):
        low, high = 1e-13, 1e-1
        for _ in range(14):
            slope = math.sqrt(low * high)
            low, high = (slope, high) if self.fit(bases, slope) > budget else (low, slope)
        self.fit(bases, high)
        self.spent, self.tokens, self.tables = 0.0, 0.0, []
        for basis, (step, dead) in zip(bases, self.chosen):
            counts = histogram(codes(basis.latents, step, dead)) + 0.02
            self.tables.append((self.levels(step, dead), -(counts / counts.sum(1, keepdim=True)).log2()))

    @staticmethod
    def levels(step, dead):
        place = torch.arange(-LARGEST, LARGEST + 1, device=step.device).float()
        level = place.sign() * (place.abs() - 1 + dead[:, None] + 0.45) * torch.where(step.isinf(), 0, step)[:, None]
        level[:, LARGEST] = 0
        return level

    def fit(self, bases, slope):
        bits, self.chosen = 0.0, []
        for basis in bases:
            z = basis.latents
            deviation, best = z.square().mean(0).sqrt(), z.square().mean(0)
            rate, steps, zones = torch.zeros_like(best), torch.full_like(best, math.inf), torch.full_like(best, 0.5)
            for dead in (0.5, 0.6, 0.7):
                for part in (0.02, 0.03, 0.045, 0.07, 0.1, 0.15, 0.25, 0.35, 0.5, 0.7, 0.9, 1.2, 1.6, 2.0, 2.6):
                    step, zone = deviation * part, torch.full_like(best, dead)
                    code = codes(z, step, zone)
                    share = histogram(code) / len(z)
                    entropy = -(share * share.clamp_min(1e-12).log2()).sum(1)
                    error = (self.levels(step, zone).gather(1, code.T).T - z).square().mean(0)
                    better = error + slope * entropy < best
                    best, rate = torch.where(better, error + slope * entropy, best), torch.where(better, entropy, rate)
                    steps, zones = torch.where(better, step, steps), torch.where(better, zone, zones)
            bits += rate.sum().item()
            self.chosen.append((steps, zones))
        return bits

    def change(self, bases):
        def coded(layer, y):
            z = y @ bases[layer].down.T
            code = codes(z, *self.chosen[layer]).flatten(0, -2).T
            levels, cost = self.tables[layer]
            self.spent += cost.gather(1, code).sum().item()
            self.tokens += code.shape[1] / len(bases)
            return exact_first(levels.gather(1, code).T.reshape(z.shape) @ bases[layer].up.T, y)
        return coded


def shared_by_two(moments, fisher, samples):
    """One basis for two neighbouring layers; errors weigh what they do in each layer's own metric."""
    bases = []
    for layer, rows in enumerate(samples):
        other = min(layer ^ 1, len(samples) - 1)
        basis = Basis((moments[layer] + moments[other]) / 2, roots((fisher[layer] + fisher[other]) / 2), rows, WIDTHS)
        weight = (basis.up * (torch.block_diag(*fisher[layer]).float() @ basis.up)).sum(0)
        basis.distortions = {bits: error * weight for bits, error in basis.distortions.items()}
        bases.append(basis)
    return bases


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("--calibrate-on", required=True)
    parser.add_argument("--evaluate-on", required=True)
    parser.add_argument("--window", type=int, default=1024)
    parser.add_argument("--windows", type=int, default=128)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--only", default="", help="what to measure: a part of its name")
    options = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = False
    model = Model(options.model, options.device)
    moments, fisher, samples = statistics(model, model.windows(options.calibrate_on, options.window, options.windows))
    text = model.windows(options.evaluate_on, options.window, options.windows)
    original = model.losses(text)
    print(f"perplexity {original.mean().exp().item():.4f} uncompressed; rise of the mean loss in 1e-3 nats a token")
    metrics = [roots(blocks) for blocks in fisher]
    bases = [Basis(*each, WIDTHS) for each in zip(moments, metrics, samples)]
    finer = [Basis(*each, FINER) for each in zip(moments, metrics, samples)]
    pairs = shared_by_two(moments, fisher, samples)
    for share in (1 / 4, 1 / 8, 1 / 16):
        budget = 16 * model.size * len(model.layers) * share

        def widths(of, steps, less=0):
            return allocated([basis.distortions for basis in of], budget - less, steps)

        def show(name, change, note=lambda: ""):
            if options.only not in name:
                return
            rise = model.losses(text, change) - original
            print(f"1/{1 / share:.0f}  {name:44} {1e3 * rise.mean():7.2f} +- {1e3 * rise.std() / len(rise) ** 0.5:.2f}{note()}", flush=True)

        show("widths 0 1 2 4 8", fixed(bases, widths(bases, WIDTHS)))
        show("widths 3 and 6 too, as KVista codes", fixed(finer, widths(finer, FINER)))
        show("two steps, chosen a token", two_steps(bases, widths(bases, WIDTHS, len(model.layers))))
        show("widths by a token's importance", by_importance(finer, FINER, budget))
        show("trellis of 8 states up to 4 bits", coded_together(finer, widths(finer, FINER), through_trellis, lambda bits: STEPS[bits + 1], 4))
        show("widths 0 1 2 4 8, lattices at 1 and 2 bits", coded_together(bases, widths(bases, WIDTHS), through_lattice, lambda bits: (1.4, 0.8)[bits - 1], 2))
        coder = EntropyCoder(bases, budget)
        show("entropy coded, with a dead zone", coder.change(bases), lambda: f"   {coder.spent / coder.tokens / budget:.3f} of the bits")
        show("a basis for two layers", fixed(pairs, widths(pairs, WIDTHS)))
        for chain, name in ((2, "pairs"), (4, "fours"), (len(model.layers), "all layers")):
            show(f"foretold by the layer before, {name}", predicted(moments, metrics, samples, budget, chain, WIDTHS))
        show("the last, widths 3 and 6 too", predicted(moments, metrics, samples, budget, len(model.layers), FINER))
        show("the last, token numbers", predicted(moments, metrics, samples, budget, len(model.layers), FINER, known=1))


if __name__ == "__main__":
    main()
