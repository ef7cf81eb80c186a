# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Run-time policies: which tokens of a growing cache stay, and how they are held.

A policy acts behind the pass that fills an empty cache, the prompt, and again when `interval` more tokens were read. Its budget
is bytes: `share` of those that a 16-bit cache of all tokens read so far takes. What always stays, the first `sinks` and the last
`window` tokens, does so whatever the budget. Each row of a padded batch has the budget of its own tokens. Papers, and what is
changed in them: help page Policies.
"""

import torch

from .codes_kvista import record_bytes
from .held_kvista import HOLDERS, HeldLatents, latent_held
from .merged_kvista import Merging
from .scorers_kvista import LayerView, ranks_of, scorer_of

POSITION_BYTES = 4


class Budget:
    """Bytes of a cache from how many tokens it holds. What can only be kept or dropped together is a unit: a head of a layer, or
    all its heads where they share latents. All that is 16 bits wide counts 2 bytes, whatever the model's dtype."""

    def __init__(self, config, policy):
        own, self.heads = config.kvista, config.num_key_value_heads
        widths = config.head_dim, own.get("value_head_dim", config.head_dim)
        self.holder, self.counts, self.exact_tokens = policy.heads(), policy.described["positions"], own["exact_tokens"]
        if policy.window_exact is not None:
            self.exact_tokens += policy.window_exact
        alone = all(len({head for _, head in group["slots"]}) == 1 for layer in own["layers"] for group in layer["groups"])
        self.units = self.heads if alone or self.holder is not None else 1
        self.exact = 2 * sum(widths) * self.heads // self.units
        self.full_token = 2 * sum(widths) * self.heads * config.num_hidden_layers
        self.stored, self.latents, self.has_positions = [], [], []  # of each layer and unit
        for number, layer in enumerate(own["layers"]):
            stored, latents = [0] * self.units, [[] for _ in range(self.units)]
            for group in layer["groups"]:
                unit = self.unit_of(group)
                if policy.holds_latents:
                    latents[unit].append(latent_held(policy.holder, group))
                else:
                    stored[unit] += record_bytes(group["runs"])
            self.latents.append(latents)
            attention = config.block_of(number)["attention"]
            turns = own["key_position"] == "before_rope" and "rope" in attention and self.holder is None
            self.stored.append(stored)
            self.has_positions.append(turns or "linear_biases" in attention or "window" in attention)

    def unit_of(self, group):
        return group["slots"][0][1] if self.units > 1 else 0

    def of_unit(self, layer, unit, held, read):
        counted = self.has_positions[layer] or self.counts == "unit" or (self.counts == "layer" and unit == 0)
        positions = held * POSITION_BYTES if held < read and counted else 0
        if self.holder is not None:
            return positions + self.holder.bytes(held)
        exact = min(held, self.exact_tokens)
        latents = sum(latent.bytes(held - exact) for latent in self.latents[layer][unit])
        return positions + exact * self.exact + latents + (held - exact) * self.stored[layer][unit]

    def of_layer(self, layer, held, read):
        return sum(self.of_unit(layer, unit, held, read) for unit in range(self.units))


class Policy:
    """`config.kvista["policy"]` at work on one cache."""

    def __init__(self, config):
        self.config, self.described = config, config.kvista["policy"]
        self.share, self.interval = self.described["share"], self.described["interval"]
        chooser, self.holder = self.described.get("chooser"), self.described.get("holder") or {}
        self.layers, self.acted, self.ids = config.num_hidden_layers, 0, None
        name, over_latents = self.holder.get("name"), self.holder.get("latents", False)
        self.window_exact = self.holder["window"] if name == "cskv" else None
        self.merging = None
        if name == "commonkv":
            self.merging = Merging(self.holder, self.layers, config.kvista["exact_tokens"] if over_latents else 0)
        self.holds_latents = over_latents and self.merging is None
        self.holds_heads = name is not None and name != "cskv" and not over_latents
        self.budget = Budget(config, self)
        self.units, self.scorer = self.budget.units if self.merging is None else 1, None
        if chooser is not None:
            self.scorer = scorer_of(chooser)
            exact = config.kvista["exact_tokens"] if self.heads() is None else 0
            self.sinks, self.window, self.exempt = max(chooser["sinks"], exact), chooser["window"], chooser["exempt"]
        self.reads_again = self.scorer is not None and self.scorer.reads_again
        self.queries = max((part.queries for part in (self.scorer, self.heads(), self.latents(0)) if part is not None), default=0)

    def heads(self):
        """How a layer's keys and values are held, or None where they are as the plan has them, or its latents as the policy has these."""
        if not self.holds_heads:
            return None
        key_width = self.config.head_dim
        return HOLDERS[self.holder["name"]](self.holder, key_width, self.config.kvista.get("value_head_dim", key_width))

    def latents(self, layer):
        """How a layer's 16-bit latents are held, or None."""
        if not self.holds_latents:
            return None
        own = self.config.kvista
        groups = own["layers"][layer]["groups"]
        return HeldLatents(self.holder, groups, own["exact_tokens"], [self.budget.unit_of(group) for group in groups])

    def tensors(self):
        return ([] if self.ids is None else [self.ids]) + ([] if self.merging is None else self.merging.tensors())

    def transform(self, change):
        self.ids = None if self.ids is None else change(self.ids)
        if self.merging is not None:
            self.merging.transform(change)

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

    def read(self, model, cache, ids, angles, index):
        """Behind each pass of `model` (a KVistaModel) that has read `ids`; `angles`, `index` are those of all tokens."""
        entries = cache.layers
        if self.reads_again:
            if ids is None:
                raise ValueError("The recorded policy reads the text again, so that the model needs input_ids, not inputs_embeds.")
            self.ids = torch.cat(([] if self.ids is None else [self.ids]) + [ids.int()], 1)
        if self.acted and (not self.interval or entries[0].length - self.acted < self.interval):
            return
        self.acted = entries[0].length

        def view_of(number):
            layer = model.layers[number]
            return LayerView(layer, entries[number], None if layer.rope is None else angles[layer.rope], index, model.mask)

        if self.merging is not None:
            return self.merging.act(entries, index)
        stays = [None] * self.layers
        if self.scorer is not None:
            self.scorer.prepare(model, cache, self.ids, index)
            stays = self.chosen([self.marked(number, view_of(number)) for number in range(self.layers)], index)
        for number, (entry, own) in enumerate(zip(entries, stays)):
            held = entry.held
            if held is not None and held.reads_back:
                for side in held.sides():
                    side.open()
            elif held is not None:
                held.settle(entry.places.shape[2], view_of(number))
            if own is not None:
                entry.take(own.expand(-1, self.units, -1), groups_of(model.layers[number].self_attn, self.units))
            if held is not None and held.reads_back:
                held.settle(entry.places.shape[2], view_of(number))
            if self.window_exact is not None:
                entry.forget_exact(self.window_exact)

    def marked(self, number, view):
        """Scores of a layer, [batch, units or 1, places]: infinity of what stays in any case, -infinity of what goes."""
        scores, index = self.scorer.score(number, view), view.index
        if (self.scorer.alike or self.units == 1) and scores.shape[1] > 1:  # the mean over heads that have any use for a token
            is_wanted = scores > -torch.inf
            counts = is_wanted.sum(1, keepdim=True)
            means = scores.masked_fill(~is_wanted, 0).sum(1, keepdim=True) / counts.clamp(min=1)
            scores = means.masked_fill(counts == 0, -torch.inf)
        index = index if scores.shape[1] == index.shape[1] else index[:, :1]
        stays = (index >= view.read - self.window) | ((index < self.sinks) if number >= self.exempt else (index >= 0))
        return scores.masked_fill(stays, torch.inf).masked_fill(index < 0, -torch.inf)

    def chosen(self, scores, index):
        """Which places of each layer stay, as `scores`."""
        read = (index >= 0).sum(-1).tolist()
        kept = [self.tokens_of_layers(row) for row in read]
        if self.scorer.of_all:
            rows = []
            for row, tokens in enumerate(read):
                own = [layer[row] for layer in scores]
                fits = min(kept[row]) == tokens
                rows.append([layer > -torch.inf for layer in own] if fits else self.highest_of_all(own, tokens))
            return [torch.stack(layer) for layer in zip(*rows)]
        counts = torch.tensor(kept, device=index.device)[:, :, None, None]
        return [(ranks_of(own) < counts[:, number]) & (own > -torch.inf) for number, own in enumerate(scores)]

    def highest_of_all(self, scores, read):
        """Of a row, the highest `scores` [units or 1, places] of all layers, as many as fit: bool [units or 1, places] each."""
        allowed, costs = int(self.share * float(self.budget.full_token * read)), []
        for number, own in enumerate(scores):
            for unit in range(own.shape[0]):  # what the last of many tokens adds
                many = [self.bytes_of(number, own.shape[0], unit, held, read) for held in (read - 1, read - 2)]
                costs.append(torch.full_like(own[0], many[0] - many[1], dtype=torch.float64))
        flat = torch.cat([own.flatten() for own in scores])
        order = torch.sort(flat, descending=True, stable=True).indices
        in_order = flat[order]
        taken = torch.cat(costs)[order].masked_fill(in_order == -torch.inf, 0).cumsum(0)
        left = float(allowed)
        while True:  # some tokens take more than the last of many would, such as the first ones of a plan: less is left for the others
            fits = ((taken <= left) & (in_order > -torch.inf)) | (in_order == torch.inf)
            stays = torch.zeros_like(fits).scatter(0, order, fits).split([own.numel() for own in scores])
            stays = [part.view_as(own) for part, own in zip(stays, scores)]
            excess = sum(self.bytes_of_held(number, own.sum(1).tolist(), read) for number, own in enumerate(stays)) - allowed
            if excess <= 0 or left <= 0:
                return stays
            left -= excess

    def bytes_of(self, layer, units, unit, held, read):
        """Of one of `units` units of a layer; of one that stands for all, of all."""
        return self.budget.of_layer(layer, held, read) if units < self.units else self.budget.of_unit(layer, unit, held, read)

    def bytes_of_held(self, layer, counts, read):
        return sum(self.bytes_of(layer, len(counts), unit, held, read) for unit, held in enumerate(counts))


def groups_of(attention, units):
    """Of each group of latents its unit, and how many of a record's numbers and bytes are its."""
    return [
        (attention.head_of(group.columns[0]) if units > 1 else 0, group.coder.numbers, group.coder.bytes) for group in attention.groups
    ]
