# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""commonkv (Wang et al. 2025): tokens that are alike in the first and last of some adjacent layers are held once for all of these,
as their mean. Once merged, a token stays so. Where nothing is compressed, keys and values are merged, else latents."""

import torch

from .scorers_kvista import ranks_of


class MergedTokens:
    """What the layers of a group share: `numbers` [batch, tokens, n], of the columns `places` [batch, 1, tokens]; -1: an empty place."""

    def __init__(self):
        self.numbers = self.places = None

    def append(self, numbers, places):
        self.numbers = numbers if self.numbers is None else torch.cat([self.numbers, numbers], 1)
        self.places = places if self.places is None else torch.cat([self.places, places], 2)

    def tensors(self):
        return [part for part in (self.numbers, self.places) if part is not None]

    def transform(self, change):
        self.numbers, self.places = (None if part is None else change(part) for part in (self.numbers, self.places))


class Merging:
    """The policy on all layers of one cache. `exact_tokens`: of the plan."""

    def __init__(self, described, layers, exact_tokens):
        self.merged, self.together, self.window = (described[name] for name in ("merged", "layers", "window"))
        self.sinks = max(described["sinks"], exact_tokens)
        self.groups = [MergedTokens() for _ in range(layers // self.together)]
        self.so_far = 0  # tokens of each row that are merged, over all groups

    def group_of(self, layer):
        """None for layers that were left over."""
        group = layer // self.together
        return self.groups[group] if group < len(self.groups) else None

    def act(self, entries, index):
        """`index` [batch, all], -1: padding."""
        read = (index >= 0).sum(-1, keepdim=True)
        alike = torch.full((len(index), len(self.groups), index.shape[1]), -torch.inf, device=index.device)
        members = [entries[group * self.together : (group + 1) * self.together] for group in range(len(self.groups))]
        for group, layers in enumerate(members):
            first, last = layers[0].own_numbers().float(), layers[-1].own_numbers().float()
            cosine = (first * last).sum(-1) / (first.square().sum(-1).sqrt() * last.square().sum(-1).sqrt()).clamp(min=1e-20)
            columns = layers[0].places[:, 0].clamp(min=0).long()
            own = index.gather(1, columns).masked_fill(layers[0].places[:, 0] < 0, -1)
            cosine = cosine.masked_fill((own < self.sinks) | (own < 0) | (own >= read - self.window), -torch.inf)
            alike[:, group].scatter_reduce_(1, columns, cosine, "amax")  # an empty place says nothing of its column
        older = (read - self.sinks - self.window).clamp(min=0)
        all_merged = torch.floor(self.merged * (len(self.groups) * older).double() + 0.5).long()
        flat = alike.flatten(1)
        chosen = ((ranks_of(flat) < all_merged - self.so_far) & (flat > -torch.inf)).view_as(alike)
        self.so_far = all_merged
        for group, layers in enumerate(members):
            self.merge(self.groups[group], layers, chosen[:, group])

    def merge(self, group, layers, chosen):
        places = layers[0].places
        goes = chosen.unsqueeze(1).gather(2, places.clamp(min=0).long()) & (places >= 0)
        counts = goes.sum(-1)
        if not int(counts.max()):
            return
        order = torch.sort((~goes).byte(), dim=-1, stable=True).indices[..., : int(counts.max())]
        mean = sum(layer.own_numbers().float() for layer in layers) / len(layers)
        mean = mean.gather(1, order[:, 0].unsqueeze(-1).expand(-1, -1, mean.shape[-1])).to(layers[0].own_numbers().dtype)
        is_empty = torch.arange(order.shape[-1], device=order.device) >= counts.unsqueeze(-1)
        group.append(mean, places.gather(2, order).masked_fill(is_empty, -1))
        for layer in layers:
            layer.take(~goes & (places >= 0), [(0, layer.own_numbers().shape[-1], 0)])

    def tensors(self):
        return [tensor for group in self.groups for tensor in group.tensors()]

    def transform(self, change):
        self.so_far = change(self.so_far) if isinstance(self.so_far, torch.Tensor) else self.so_far
        for group in self.groups:
            group.transform(change)
