# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Policies that say how tokens are held: keys and values of a layer, or its 16-bit latents, as codes once the policy has acted on
them (coders: coders_kvista.py). Papers and what is changed in them: help page Policies. Everything is [batch, heads, tokens, ...]."""

import copy

import torch

from .coders_kvista import Factors, Float8, OfChannels, OfTokens, Rotated, SalientTokens, SomeChannels, code_bytes
from .scorers_kvista import ranks_of

SCALE_BYTES = 4  # a lowest number and a step


class HeldSide:
    """Keys, values or a group's latents: what a coder holds, then tokens as they are."""

    def __init__(self, coder=None):
        self.coder, self.stored, self.fresh, self.settled = coder, None, None, 0
        self.places = None  # [batch, heads, tokens] of the first tokens where they are read back from; None: in order

    def append(self, numbers):
        self.fresh = numbers if self.fresh is None else torch.cat([self.fresh, numbers], 2)

    def read(self):
        numbers = self.fresh
        if self.stored is not None:
            numbers = torch.cat([self.coder.decode(*self.stored).to(numbers.dtype), numbers], 2)
        if self.places is None:
            return numbers
        first, rest = numbers.tensor_split([self.places.shape[2]], 2)
        return torch.cat([taken(first, self.places.long()), rest], 2)

    def settle(self, tokens):
        """From now on the first `tokens` tokens are held by the coder, those that are already among them."""
        more = tokens - self.settled
        if more <= 0 or self.fresh is None:
            return
        parts = self.coder.encode(self.fresh[:, :, :more])
        if self.stored is not None:
            parts = [torch.cat(both, 2) for both in zip(self.stored, parts)]
        self.stored, self.fresh, self.settled = list(parts), self.fresh[:, :, more:].clone(), tokens

    def open(self):
        """All tokens as they are read back, none by the coder."""
        if self.fresh is None:
            return
        self.fresh, self.stored, self.settled, self.places = self.read(), None, 0, None

    def put_last(self, is_last):
        """Of an open side, the tokens of `is_last` [batch, heads, tokens] behind the others, from where they are read back in order."""
        order = torch.sort(is_last.byte(), dim=-1, stable=True).indices
        if not bool((order[..., 1:] > order[..., :-1]).all()):
            self.fresh, self.places = taken(self.fresh, order), torch.argsort(order, dim=-1).int()

    def take(self, order):
        """Leaves the tokens `order` [batch, heads, kept], all of which the coder holds, or none."""
        if self.stored is None:
            self.fresh = taken(self.fresh, order)
        else:
            self.stored, self.settled = [taken(part, order) for part in self.stored], order.shape[2]

    def tensors(self):
        own = [] if self.coder is None else self.coder.tensors()
        return own + [part for part in (*(self.stored or ()), self.fresh, self.places) if part is not None]

    def transform(self, change):
        self.fresh, self.places = (None if part is None else change(part) for part in (self.fresh, self.places))
        self.stored = None if self.stored is None else [change(part) for part in self.stored]
        self.coder = None if self.coder is None else self.coder.transformed(change)


def taken(part, order):
    """The tokens `order` [batch, heads or 1, kept]."""
    return part.gather(2, order.expand(-1, part.shape[1], -1).unsqueeze(-1).expand(-1, -1, -1, part.shape[-1]))


class HeldHeads:
    """Keys and values of a layer as the cache has them, or the latent of a group: one head that has keys or values alone (the other
    width is 0), as many as the group has directions."""

    queries = 0  # how many of the last tokens' queries it looks at
    reads_back = False  # all tokens are held anew whenever the policy acts
    by_blocks = False  # of tokens, from each text's first on

    def __init__(self, described, key_width, value_width):
        self.described, self.key_width, self.value_width = described, key_width, value_width
        self.keys, self.values = HeldSide(), HeldSide()
        self.prepare()

    def sides(self):
        return self.keys, self.values

    def side(self):
        """Of a latent."""
        return self.keys if self.key_width else self.values

    def prepare(self):
        """Makes the coders."""

    def settle(self, tokens, view):
        """The policy acts; `tokens`: how many places there are, which `view` (a LayerView) shows."""
        for side in self.sides():
            side.settle(tokens)

    def bytes(self, tokens):
        """Of one head."""
        return tokens * (self.keys.coder.bytes + self.values.coder.bytes)

    def aside(self):
        """A copy that more can be added to."""
        other = copy.copy(self)
        other.keys, other.values = copy.copy(self.keys), copy.copy(self.values)
        return other

    def tensors(self):
        return [tensor for side in self.sides() for tensor in side.tensors()]

    def transform(self, change):
        for side in self.sides():
            side.transform(change)


class HeldLatents:
    """16-bit latents of a layer's groups: `groups` as configuration_kvista.py describes them, `units` whose each one is. First tokens that
    stay exact are none of them."""

    def __init__(self, described, groups, exact_tokens, units):
        self.units, self.exact_tokens, self.length = units, exact_tokens, 0
        self.of_groups = [latent_held(described, group) for group in groups]
        self.heads = [sorted({head for _, head in group["slots"]}) for group in groups]
        self.ranks = [held.key_width + held.value_width for held in self.of_groups]
        self.queries, self.reads_back = self.of_groups[0].queries, self.of_groups[0].reads_back
        # Blocks begin behind exact tokens, which are columns of their own where there is no padding.
        self.skipped = exact_tokens if self.of_groups[0].by_blocks else 0

    def sides(self):
        return [held.side() for held in self.of_groups]

    def append(self, numbers):
        begin = min(max(self.skipped - self.length, 0), numbers.shape[1])
        self.length += numbers.shape[1]
        for side, own in zip(self.sides(), numbers[:, begin:].split(self.ranks, -1)):
            side.append(own.unsqueeze(1))

    def read(self):
        numbers = torch.cat([side.read().squeeze(1) for side in self.sides()], -1)
        return torch.nn.functional.pad(numbers, (0, 0, min(self.skipped, self.length), 0))

    def settle(self, tokens, view):
        for held, heads, unit in zip(self.of_groups, self.heads, self.units):
            held.settle(max(tokens - self.skipped, 0), GroupView(view, heads, unit, self.exact_tokens))

    def take(self, order):
        """Leaves the tokens `order` [batch, units, kept]."""
        for side, unit in zip(self.sides(), self.units):
            side.take(order[:, unit : unit + 1])

    def aside(self):
        other = copy.copy(self)
        other.of_groups = [held.aside() for held in self.of_groups]
        return other

    def tensors(self):
        return [tensor for held in self.of_groups for tensor in held.tensors()]

    def transform(self, change):
        for held in self.of_groups:
            held.transform(change)


def latent_held(described, group):
    """How the latent of a group is held: as keys where it has keys."""
    rank = sum(count for _, count in group["runs"])
    has_keys = any(side == "key" for side, _ in group["slots"])
    kind = HOLDERS[described["name"]] if rank else PlainHeads
    return kind({**described, "signed": True}, *((rank, 0) if has_keys else (0, rank)))


class GroupView:
    """What a group of latents sees of a layer: `index` [batch, 1, places], -1 also where tokens stay exact."""

    def __init__(self, view, heads, unit, exact_tokens):
        self.whole, self.heads, self.read = view, heads, view.read
        index = view.index[:, unit : unit + 1]
        self.is_padded, self.index = view.is_padded, index.masked_fill(index < exact_tokens, -1)

    def recent_attention(self, asked):
        """The mean over the heads of the group."""
        return self.whole.recent_attention(asked)[:, self.heads].mean(1, keepdim=True)


class PlainHeads(HeldHeads):
    """As they are: what commonkv does not share, and latents without directions."""

    def settle(self, tokens, view):
        pass

    def bytes(self, tokens):
        return 2 * tokens * (self.key_width + self.value_width)


class Float8Heads(HeldHeads):
    def prepare(self):
        self.keys.coder, self.values.coder = Float8(self.key_width), Float8(self.value_width)


class RotatedHeads(HeldHeads):
    def prepare(self):
        self.keys.coder, self.values.coder = (
            Rotated(self.described["bits"], width, self.described.get("signed", False)) for width in (self.key_width, self.value_width)
        )


def check_no_padding(view, name):
    if view.is_padded:
        raise ValueError(f"The policy {name} holds tokens in blocks from each text's first on; give texts of one length, or one by one.")


class KiviHeads(HeldHeads):
    by_blocks = True

    def prepare(self):
        self.bits, self.group, self.window = (self.described[name] for name in ("bits", "group", "window"))
        self.keys.coder = OfChannels(self.bits, self.group)
        self.values.coder = OfTokens(self.bits, self.group, self.value_width)

    def stored(self, tokens):
        values = max(tokens - self.window, 0)
        return values // self.group * self.group, values

    def settle(self, tokens, view):
        check_no_padding(view, "kivi")
        for side, stored in zip(self.sides(), self.stored(tokens)):
            side.settle(stored)

    def bytes(self, tokens):
        keys, values = self.stored(tokens)
        of_keys = code_bytes(keys * self.key_width, self.bits) + keys // self.group * self.key_width * SCALE_BYTES
        of_value = code_bytes(self.value_width, self.bits) + -(-self.value_width // self.group) * SCALE_BYTES
        exact = (tokens - keys) * self.key_width + (tokens - values) * self.value_width
        return of_keys + values * of_value + 2 * exact


class FactoredHeads(HeldHeads):
    """decoquant."""

    by_blocks = True

    def prepare(self):
        bits, self.block, self.window = (self.described[name] for name in ("bits", "block", "window"))
        self.keys.coder, self.values.coder = (Factors(bits, self.block, width) for width in (self.key_width, self.value_width))

    def stored(self, tokens):
        return max(tokens - self.window, 0) // self.block * self.block

    def settle(self, tokens, view):
        check_no_padding(view, "decoquant")
        super().settle(self.stored(tokens), view)

    def bytes(self, tokens):
        stored = self.stored(tokens)
        of_block = self.keys.coder.bytes + self.values.coder.bytes
        return stored // self.block * of_block + 2 * (tokens - stored) * (self.key_width + self.value_width)


class ThinkHeads(HeldHeads):
    reads_back = True

    def prepare(self):
        self.queries, self.window = self.described["queries"], self.described["window"]
        self.kept = int(self.described["kept"] * self.key_width + 0.5)

    def settle(self, tokens, view):
        recent = view.index >= view.read - self.window
        older = ((view.index >= 0) & ~recent).unsqueeze(-1)
        if self.keys.coder is None:  # chosen once: what is gone does not come back
            keys = self.keys.fresh.float().square().masked_fill(~older, 0).sum(2)
            queries, asked = view.queries(self.queries)
            asking = (queries.float().square() * asked[:, None, :, None]).sum(2) / asked.sum(-1)[:, None, None]
            asking = asking.unflatten(1, (keys.shape[1], -1)).mean(2)
            order = torch.sort(asking * keys, dim=-1, descending=True, stable=True).indices
            self.keys.coder = SomeChannels(order[..., : self.kept].sort(-1).values, self.key_width)
        # Where heads hold different numbers of recent tokens some older ones stay among these, with zeros for what they have lost.
        only_kept = self.keys.coder.decode(*self.keys.coder.encode(self.keys.fresh))
        self.keys.fresh = torch.where(older, only_kept, self.keys.fresh)
        self.keys.put_last(recent)
        self.keys.settle(tokens - int(recent.sum(-1).max()))

    def bytes(self, tokens):
        recent = min(tokens, self.window)
        numbers = recent * self.key_width + (tokens - recent) * self.kept + tokens * self.value_width
        return 2 * numbers + code_bytes(self.key_width, 1)


class SalientHeads(HeldHeads):
    """zipcache."""

    reads_back = True

    def prepare(self):
        self.salient, self.queries = self.described["salient"], self.described["queries"]
        self.bits = self.described["high"], self.described["low"]

    def settle(self, tokens, view):
        attention, is_held = view.recent_attention(self.queries), view.index >= 0
        scores = attention.sum(2) / (attention > 0).sum(2).clamp(min=1)  # by how many see a token: the first would always win
        ranks = ranks_of(scores.masked_fill(~is_held, -1))
        is_salient = ranks < torch.floor(is_held.sum(-1, keepdim=True).double() * self.salient + 0.5)
        for side, width in zip(self.sides(), (self.key_width, self.value_width)):
            if not width:
                continue
            if side.coder is None:  # as they are when it first acts: other factors would change codes that are stored already
                largest = side.fresh.float().abs().masked_fill(~is_held.unsqueeze(-1), 0).amax(2, keepdim=True)
                side.coder = SalientTokens(largest.sqrt().half(), *self.bits, width)
            side.coder = side.coder.of(is_salient)
            side.settle(tokens)

    def bytes(self, tokens):
        salient = int(self.salient * tokens + 0.5)
        high, low = (code_bytes(self.key_width, bits) + code_bytes(self.value_width, bits) for bits in self.bits)
        sides = sum(width > 0 for width in (self.key_width, self.value_width))
        scales = tokens * sides * SCALE_BYTES + 2 * (self.key_width + self.value_width)
        return salient * high + (tokens - salient) * low + scales + code_bytes(tokens, 1)


HOLDERS = {
    "fp8": Float8Heads,
    "hadamard": RotatedHeads,
    "kivi": KiviHeads,
    "decoquant": FactoredHeads,
    "think": ThinkHeads,
    "zipcache": SalientHeads,
    "commonkv": PlainHeads,
}
