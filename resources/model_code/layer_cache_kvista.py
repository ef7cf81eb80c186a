# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""What the cache (cache_kvista.py) holds of one layer, as it is or under a policy."""

import copy

import torch
from torch.nn import functional


class LayerCache:
    """Records of one layer. All tensors are [batch, tokens, ...]."""

    asked = 0  # of the last tokens' queries, held for a policy
    heads = latents = None  # how a policy holds keys and values in place of records, or their numbers

    def __init__(self, exact_tokens):
        self.exact_tokens = exact_tokens
        self.length = 0
        self.numbers = None
        self.packed = None
        self.exact = None

    def append(self, numbers, packed, outputs, index):
        """Adds new tokens. `outputs` [batch, new, width] are what exact tokens keep (None when there are none), `index`
        [batch, new] counts the real tokens of each row, -1 for padding."""
        skipped = min(max(self.exact_tokens - self.length, 0), numbers.shape[1])
        numbers, packed = numbers[:, skipped:], packed[:, skipped:]
        if self.numbers is None:
            self.numbers, self.packed = numbers.contiguous(), packed.contiguous()
        else:
            self.numbers = torch.cat([self.numbers, numbers], 1)
            self.packed = torch.cat([self.packed, packed], 1)
        self.length += index.shape[1]
        if self.exact_tokens:
            self._keep_exact(outputs, index)

    def _keep_exact(self, outputs, index):
        if self.exact is None:
            self.exact = outputs.new_zeros((outputs.shape[0], self.exact_tokens, outputs.shape[2]))
        found = index.unsqueeze(1) == torch.arange(self.exact_tokens, device=index.device)[:, None]
        column = found.int().argmax(-1, keepdim=True).expand(-1, -1, outputs.shape[2])
        self.exact = torch.where(found.any(-1, keepdim=True), outputs.gather(1, column), self.exact)

    def records(self):
        """Numbers and packed codes, [batch, records, ...]."""
        return self.numbers, self.packed

    def insert_exact(self, rebuilt, index, owners):
        """`rebuilt` [batch, records, width] with the exact tokens put in: [batch, length, width]."""
        if not self.exact_tokens:
            return rebuilt
        rebuilt = functional.pad(rebuilt, (0, 0, self.length - rebuilt.shape[1], 0))
        place = index.clamp(0, self.exact_tokens - 1).unsqueeze(-1).expand(-1, -1, rebuilt.shape[2])
        is_exact = (index >= 0) & (index < self.exact_tokens)
        return torch.where(is_exact.unsqueeze(-1), self.exact.gather(1, place), rebuilt)

    def placed(self, angles, index, mask):
        """What belongs to the tokens that are held, of what belongs to all."""
        return angles, index, mask

    def bytes_per_token(self):
        """Of a further token of one sequence."""
        records = [tensor for tensor in (self.numbers, self.packed) if tensor is not None]
        return sum(tensor.shape[-1] * tensor.element_size() for tensor in records)

    NAMES = ("numbers", "packed", "exact")

    def tensors(self):
        return [tensor for name in self.NAMES if (tensor := getattr(self, name)) is not None]

    def transform(self, change):
        """Applies `change` to every tensor (a choice of rows)."""
        for name in self.NAMES:
            tensor = getattr(self, name)
            if tensor is not None:
                setattr(self, name, change(tensor))

    def keep(self, length):
        """Forgets all tokens but the first `length`."""
        self.length = length
        if self.numbers is not None:
            records = max(length - self.exact_tokens, 0)
            self.numbers, self.packed = self.numbers[:, :records], self.packed[:, :records]


class PlacedLayer(LayerCache):
    """One layer under a policy. Each head, or all heads of a layer where their tokens can only go together, has tokens at places
    [batch, heads or 1, tokens], the columns of the batch where they stood; -1: an empty place. The exact tokens' records stay.
    `recent` [batch, tokens, width]: outputs of the last columns, which are read in place of their records."""

    NAMES = (*LayerCache.NAMES, "places", "queries", "recent")

    def __init__(self, exact_tokens, policy, layer):
        super().__init__(exact_tokens)
        self.units, self.asked, self.heads, self.latents = policy.units, policy.queries, policy.heads(), policy.latents(layer)
        self.keeps_recent = policy.window_exact is not None
        self.common = None if policy.merging is None else policy.merging.group_of(layer)  # what it shares with other layers
        self.places = self.queries = self.recent = None

    @property
    def held(self):
        """What the policy holds in its own way."""
        return self.latents if self.heads is None else self.heads

    def append(self, numbers, packed, outputs, index):
        if self.latents is not None:
            self.latents.append(numbers)
        else:
            self.numbers = numbers.contiguous() if self.numbers is None else torch.cat([self.numbers, numbers], 1)
        self.packed = packed.contiguous() if self.packed is None else torch.cat([self.packed, packed], 1)
        self._extend(index)
        if self.exact_tokens:
            self._keep_exact(outputs, index)
        if self.keeps_recent:
            self.recent = outputs if self.recent is None else torch.cat([self.recent, outputs], 1)

    def all_places(self):
        """With those of tokens that it shares."""
        if self.common is None or self.common.places is None:
            return self.places
        return torch.cat([self.places, self.common.places], 2)

    def records(self):
        numbers = self.numbers if self.latents is None else self.latents.read()
        if self.common is None or self.common.numbers is None:
            return numbers, self.packed
        shared = self.common.numbers
        return torch.cat([numbers, shared], 1), torch.cat([self.packed, self.packed.new_zeros(*shared.shape[:2], 0)], 1)

    def read_heads(self):
        """Keys and values [batch, tokens, heads, width] of a layer that holds these."""
        heads = [side.read().transpose(1, 2) for side in self.heads.sides()]
        if self.common is None or self.common.numbers is None:
            return heads
        shared = self.common.numbers.split([own.shape[2] * own.shape[3] for own in heads], -1)
        return [torch.cat([own, part.unflatten(-1, own.shape[2:])], 1) for own, part in zip(heads, shared)]

    def own_numbers(self):
        """What it could share with other layers, [batch, tokens, n]."""
        if self.heads is None:
            return self.numbers
        return torch.cat([side.read().transpose(1, 2).flatten(2) for side in self.heads.sides()], -1)

    def hold(self, keys, values, index):
        """In place of append, heads [batch, new, heads, width] as attention sees them."""
        self.heads.keys.append(keys.transpose(1, 2))
        self.heads.values.append(values.transpose(1, 2))
        self._extend(index)

    def _extend(self, index):
        columns = torch.arange(self.length, self.length + index.shape[1], dtype=torch.int32, device=index.device)
        columns = columns.expand(len(index), self.units, -1)
        self.places = columns.contiguous() if self.places is None else torch.cat([self.places, columns], 2)
        self.length += index.shape[1]

    def ask(self, queries):
        """Holds the last queries, [batch, heads, asked, width]."""
        queries = queries.transpose(1, 2)
        queries = queries if self.queries is None else torch.cat([self.queries, queries], 2)
        self.queries = queries[:, :, -self.asked :].contiguous()

    def placed(self, angles, index, mask):
        """Angles [batch, places, units, pairs], indices [batch, units, places] and mask [batch, units, new, places]."""
        places = self.all_places()
        places, is_held = places.clamp(min=0).long(), places >= 0
        rows = torch.arange(len(places), device=places.device)[:, None, None]
        if angles is not None:
            angles = tuple(part[rows, places].transpose(1, 2) for part in angles)
        if mask is not None:
            mask = mask.expand(-1, self.units, -1, -1).gather(3, places.unsqueeze(2).expand(-1, -1, mask.shape[2], -1))
            mask = mask & is_held.unsqueeze(2)
        return angles, index[rows, places].masked_fill(~is_held, -1), mask

    def insert_exact(self, rebuilt, index, owners):
        """`owners` [width]: of each column the head. Indices as `placed` answers them."""

        def of_columns(places):
            places = places.transpose(1, 2)
            return places[..., owners] if self.units > 1 else places.expand(-1, -1, len(owners))

        if self.exact_tokens:
            index = of_columns(index)
            is_exact = (index >= 0) & (index < self.exact_tokens)
            rebuilt = torch.where(is_exact, self.exact.gather(1, index.clamp(0, self.exact_tokens - 1)), rebuilt)
        if self.recent is not None and self.recent.shape[1] > 0:
            begin = self.length - self.recent.shape[1]
            place = of_columns(torch.where(self.places < 0, -1, self.places - begin).long())
            rebuilt = torch.where(place >= 0, self.recent.gather(1, place.clamp(min=0)), rebuilt)
        return rebuilt

    def forget_exact(self, window):
        """Leaves the outputs of the last `window` columns."""
        self.recent = self.recent[:, max(self.recent.shape[1] - window, 0) :].clone()

    def take(self, stays, groups):
        """Leaves the places where `stays` [batch, units, places] holds. `groups`: the unit of each group of latents and how many of a
        record's numbers and bytes are its."""
        counts = stays.sum(-1)
        order = torch.sort((~stays).byte(), dim=-1, stable=True).indices[..., : int(counts.max())]
        is_empty = torch.arange(order.shape[-1], device=order.device) >= counts.unsqueeze(-1)
        self.places = self.places.gather(2, order).masked_fill(is_empty, -1)
        if self.heads is not None:
            for side in self.heads.sides():
                side.take(order)
            return
        units, *sizes = zip(*groups)
        if self.latents is not None:
            self.latents.take(order)
        for name, parts in zip(("numbers", "packed"), sizes):
            if (records := getattr(self, name)) is None:
                continue
            taken = [
                part.gather(1, order[:, unit].unsqueeze(-1).expand(-1, -1, part.shape[-1]))
                for unit, part in zip(units, records.split(parts, -1))
            ]
            setattr(self, name, torch.cat(taken, -1))

    def aside(self, asked, keeps_recent):
        """A copy that can read more while this stays as it is, and holds the last `asked` queries; `keeps_recent`: what it reads is
        exact."""
        other = copy.copy(self)
        other.heads, other.latents = (None if held is None else held.aside() for held in (self.heads, self.latents))
        other.asked, other.queries, other.keeps_recent = asked, None, keeps_recent
        return other

    def bytes_per_token(self):
        fresh = [] if self.held is None else [side.fresh for side in self.held.sides()]
        return super().bytes_per_token() + sum(part.shape[1] * part.shape[3] * part.element_size() for part in fresh)

    def tensors(self):
        return super().tensors() + ([] if self.held is None else self.held.tensors())

    def transform(self, change):
        super().transform(change)
        if self.held is not None:
            self.held.transform(change)

    def keep(self, length):
        raise NotImplementedError("A cache under a policy does not hold every token, so it cannot be taken back to an earlier one.")
