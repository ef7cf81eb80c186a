# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Run-time policies: which tokens of a growing cache stay, and how they are held.

A policy acts behind the pass that fills an empty cache, the prompt, and again when `interval` more tokens were read. Its budget
is bytes: `share` of those that a 16-bit cache of all tokens read so far takes. What always stays, the first `sinks` and the last
`window` tokens, does so whatever the budget. Each row of a padded batch has the budget of its own tokens. Papers, and what is
changed in them: help page Policies.
"""

import torch
from torch.nn import functional

from .codes_kvista import record_bytes
from .held_kvista import HOLDERS

POSITION_BYTES = 4


class LayerView:
    """What the policy sees of one layer. `keys`, `values` [batch, heads, places, width] as the cache has them; `index` [batch, heads
    or 1, places]: which token of its row stands there, -1: none."""

    def __init__(self, layer, entry, angles, index, mask):
        self.attention, self.window, self.entry = layer.self_attn, layer.window, entry
        angles, self.index, _ = entry.placed(angles, index, None)
        self._cached = self.attention.cached_heads(entry, self.index, angles)
        self.keys, self.values = (part.transpose(1, 2) for part in self._cached)
        self.is_held = self.index >= 0
        self._whole, self._mask = index, mask

    def recent_attention(self, asked):
        """What the last queries give each place, summed over them: [batch, heads, places], the mean over the query heads of each
        head."""
        attention, queries = self.attention, self.entry.queries[:, :, -asked:]
        asked, past = queries.shape[2], self._whole.shape[1] - queries.shape[2]
        seen = self._whole >= 0
        _, _, mask = self.entry.placed(None, self._whole, self._mask(seen, past, self.window))
        if mask.shape[1] > 1:
            mask = mask.repeat_interleave(attention.heads // mask.shape[1], 1)
        keys, _ = attention.attended_heads(*self._cached)
        keys = keys.transpose(1, 2).repeat_interleave(attention.heads // keys.shape[2], 1)
        scores = queries @ keys.transpose(-1, -2) * attention.scale
        if attention.score_cap is not None:
            scores = attention.score_cap * torch.tanh(scores / attention.score_cap)
        if attention.linear_biases is not None:
            scores = scores + attention.linear_biases_of(self.index, scores.dtype)
        weights = torch.softmax(scores.float().masked_fill(~mask, -torch.inf), -1)
        weights = weights.masked_fill(~seen[:, None, past:, None], 0)  # padding asks nothing
        return weights.sum(2).unflatten(1, (self.keys.shape[1], -1)).mean(2)


class Recency:
    """streaming-llm: the later, the more important."""

    queries = 0

    def __init__(self, described):
        pass

    def score(self, layer, view):
        return view.index.float()


class KeyNorm:
    """l2-norm: keys of small norm draw the most attention."""

    queries = 0

    def __init__(self, described):
        pass

    def score(self, layer, view):
        return -view.keys.float().square().sum(-1).sqrt()


class Leverage:
    """curdkv: of the squared norms of key and value each token's part among its neighbours', multiplied."""

    queries = 0

    def __init__(self, described):
        self.neighbours = described["neighbours"]

    def part(self, rows, is_held):
        norms = rows.float().square().sum(-1) * is_held
        window = (is_held.long().cumsum(-1) - 1).clamp(min=0).div(self.neighbours, rounding_mode="floor").expand_as(norms)
        sums = torch.zeros_like(norms).scatter_add(2, window, norms)
        return norms / sums.gather(2, window).clamp(min=1e-20)

    def score(self, layer, view):
        return self.part(view.keys, view.is_held) * self.part(view.values, view.is_held)


class RecentAttention:
    """snapkv: what the last queries look at, with its neighbours."""

    def __init__(self, described):
        self.queries, self.reach = described["queries"], described["reach"]

    def score(self, layer, view):
        return functional.max_pool1d(view.recent_attention(self.queries), 2 * self.reach + 1, 1, self.reach)


class Chunks:
    """chunkkv: what the tokens of a chunk are worth together by another's scores, in the first of every `reuse` layers."""

    def __init__(self, described):
        self.over, self.size, self.reuse, self.worth = scorer_of(described["over"]), described["size"], described["reuse"], None
        self.queries = self.over.queries

    def score(self, layer, view):
        index = view.index[:, :1]  # all heads hold the same tokens
        chunks = index.clamp(min=0).div(self.size, rounding_mode="floor")
        if layer % self.reuse == 0:
            scores = self.over.score(layer, view).mean(1, keepdim=True).masked_fill(index < 0, 0)
            self.worth = scores.new_zeros(len(scores), 1, int(index.max()) // self.size + 1).scatter_add(2, chunks, scores)
        return self.worth.gather(2, chunks)


SCORERS = {"streaming-llm": Recency, "l2-norm": KeyNorm, "curdkv": Leverage, "snapkv": RecentAttention, "chunkkv": Chunks}
ALIKE = ("streaming-llm", "chunkkv")  # all heads of a layer keep the same tokens


def scorer_of(described):
    return SCORERS[described["name"]](described)


class Budget:
    """Bytes of a cache from how many tokens it holds. What can only be kept or dropped together is a unit: a head of a layer, or
    all its heads where they share latents. All that is 16 bits wide counts 2 bytes, whatever the model's dtype."""

    def __init__(self, config, described, holder):
        own, self.heads = config.kvista, config.num_key_value_heads
        widths = config.head_dim, own.get("value_head_dim", config.head_dim)
        self.holder, self.exact_tokens, self.counts = holder, own["exact_tokens"], described["positions"]
        alone = all(len({head for _, head in group["slots"]}) == 1 for layer in own["layers"] for group in layer["groups"])
        self.units = self.heads if alone or holder is not None else 1
        self.exact = 2 * sum(widths) * self.heads // self.units
        self.full_token = 2 * sum(widths) * self.heads * config.num_hidden_layers
        self.stored, self.has_positions = [], []
        for number, layer in enumerate(own["layers"]):
            stored = [0] * self.units
            for group in layer["groups"]:
                unit = group["slots"][0][1] if self.units > 1 else 0
                stored[unit] += record_bytes(group["runs"])
            attention = config.block_of(number)["attention"]
            turns = own["key_position"] == "before_rope" and "rope" in attention and holder is None
            self.stored.append(stored)
            self.has_positions.append(turns or "linear_biases" in attention or "window" in attention)

    def of_unit(self, layer, unit, held, read):
        counted = self.has_positions[layer] or self.counts == "unit" or (self.counts == "layer" and unit == 0)
        positions = held * POSITION_BYTES if held < read and counted else 0
        if self.holder is not None:
            return positions + self.holder.bytes(held)
        exact = min(held, self.exact_tokens)
        return positions + exact * self.exact + (held - exact) * self.stored[layer][unit]

    def of_layer(self, layer, held, read):
        return sum(self.of_unit(layer, unit, held, read) for unit in range(self.units))


class Policy:
    """`config.kvista["policy"]` at work on one cache."""

    def __init__(self, config):
        described = config.kvista["policy"]
        self.share, self.interval = described["share"], described["interval"]
        chooser, self.holder = described.get("chooser"), described.get("holder")
        self.widths = config.head_dim, config.kvista.get("value_head_dim", config.head_dim)
        self.layers, self.acted = config.num_hidden_layers, 0
        self.budget = Budget(config, described, self.heads())
        self.units = self.budget.units
        self.scorer = None
        if chooser is not None:
            self.scorer, self.alike = scorer_of(chooser), chooser["name"] in ALIKE
            exact = config.kvista["exact_tokens"] if self.holder is None else 0
            self.sinks, self.window, self.exempt = max(chooser["sinks"], exact), chooser["window"], chooser["exempt"]
        self.queries = max(part.queries for part in (self.scorer, self.heads()) if part is not None)

    def heads(self):
        """How a layer's keys and values are held, or None where they are as the plan has them."""
        return None if self.holder is None else HOLDERS[self.holder["name"]](self.holder, *self.widths)

    def tokens_of_layers(self, read):
        """How many tokens each layer keeps of `read`."""
        allowed = int(self.share * float(self.budget.full_token * read))

        def kept(layer, tokens):
            return read if layer < self.exempt else tokens

        def bytes_of(tokens):
            return sum(self.budget.of_layer(layer, kept(layer, tokens), read) for layer in range(self.layers))

        if bytes_of(read) <= allowed:
            return [read] * self.layers
        fits, too_many = -1, read
        while too_many - fits > 1:
            middle = fits + (too_many - fits) // 2
            fits, too_many = (middle, too_many) if bytes_of(middle) <= allowed else (fits, middle)
        always = min(read, max(self.sinks + self.window, 1))
        if fits < always:
            return [kept(layer, always) for layer in range(self.layers)]
        left, result = allowed - bytes_of(fits), []
        for layer in range(self.layers):
            tokens = kept(layer, fits)
            more = self.budget.of_layer(layer, kept(layer, fits + 1), read) - self.budget.of_layer(layer, tokens, read)
            if layer >= self.exempt and 0 < more <= left:  # one token more while the bytes last
                left, tokens = left - more, tokens + 1
            result.append(tokens)
        return result

    def read(self, entries, layers, angles, index, mask):
        """Behind each pass: `entries` are the caches of `layers`; `angles`, `index` those of all tokens; `mask` as KVistaModel's."""
        read = entries[0].length
        if self.acted and (not self.interval or read - self.acted < self.interval):
            return
        self.acted = read
        rows = [int(row.max()) + 1 for row in index]
        kept = [] if self.scorer is None else [self.tokens_of_layers(row) for row in rows]
        for number, (entry, layer) in enumerate(zip(entries, layers)):
            own = None if layer.rope is None else angles[layer.rope]
            stays = None
            if self.scorer is not None:
                stays = self.chosen(number, LayerView(layer, entry, own, index, mask), rows, kept)
            if entry.heads is not None:
                held = entry.heads.keys.read().shape[2] if stays is not None else read
                entry.heads.settle(held, entry.queries, index)
            if stays is not None:
                entry.take(stays, groups_of(layer.self_attn, self.units))

    def chosen(self, number, view, rows, kept):
        """Which places of a layer stay, [batch, units, places]."""
        scores, index = self.scorer.score(number, view), view.index
        if (self.alike or self.units == 1) and scores.shape[1] > 1:
            scores = scores.mean(1, keepdim=True)
        index = index if scores.shape[1] == index.shape[1] else index[:, :1]
        read = torch.tensor(rows, device=index.device)[:, None, None]
        is_kept = (index < self.sinks) | (index >= read - self.window)
        scores = scores.masked_fill(is_kept, torch.inf).masked_fill(index < 0, -torch.inf)
        order = torch.sort(scores, dim=-1, descending=True, stable=True).indices
        ranks = torch.empty_like(order).scatter(-1, order, torch.arange(order.shape[-1], device=order.device).expand_as(order))
        count = torch.tensor([each[number] for each in kept], device=index.device)[:, None, None]
        return ((ranks < count) & (scores > -torch.inf)).expand(-1, self.units, -1)


def groups_of(attention, units):
    """Of each group of latents its unit, and how many of a record's numbers and bytes are its."""
    return [
        (attention.head_of(group.columns[0]) if units > 1 else 0, group.coder.numbers, group.coder.bytes) for group in attention.groups
    ]
