# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Policies that say how tokens are held: keys and values of a layer as codes, once the policy has acted on them. Papers and
what is changed in them: help page Policies. Everything is [batch, heads, tokens, ...]."""

import math

import torch

from .codes_kvista import dequantise, quantise

SCALE_BYTES = 4  # a lowest number and a step


def code_bytes(numbers, bits):
    return -(-numbers * bits // 8)


class Float8:
    """e4m3 numbers with one 16-bit scale a head's token."""

    LARGEST = 448

    def encode(self, numbers):
        wide = numbers.float()
        scale = (wide.abs().amax(-1, keepdim=True) / self.LARGEST).half()
        codes = (wide / scale.float().clamp(min=6e-8)).clamp(-self.LARGEST, self.LARGEST).to(torch.float8_e4m3fn)
        return codes.view(torch.uint8), scale

    def decode(self, codes, scale):
        return codes.view(torch.float8_e4m3fn).float() * scale.float().clamp(min=6e-8)


class Rotated:
    """Heads rotated by Hadamard's matrix, one for each power of 2 that adds up to their width, then one scale a token."""

    def __init__(self, bits, width):
        self.bits, self.width, self.rotations = bits, width, []
        while (left := width - sum(map(len, self.rotations))) > 0:
            matrix = torch.ones(1, 1)
            while 2 * len(matrix) <= left:
                matrix = torch.cat([torch.cat([matrix, matrix], 1), torch.cat([matrix, -matrix], 1)])
            self.rotations.append(matrix / math.sqrt(len(matrix)))

    def turned(self, numbers):
        """Its own inverse."""
        parts = numbers.split([len(rotation) for rotation in self.rotations], -1)
        return torch.cat([part @ rotation.to(part.device) for part, rotation in zip(parts, self.rotations)], -1)

    def encode(self, numbers):
        return quantise(self.turned(numbers.float()), self.bits)

    def decode(self, codes, scales):
        return self.turned(dequantise(codes, scales, self.bits, self.width))


class OfTokens:
    """Each token in groups of channels."""

    def __init__(self, bits, group, width):
        self.bits = bits
        self.counts = [min(group, width - begin) for begin in range(0, width, group)]

    def encode(self, numbers):
        codes, scales = zip(*(quantise(part, self.bits) for part in numbers.split(self.counts, -1)))
        return torch.cat(codes, -1), torch.cat(scales, -1)

    def decode(self, codes, scales):
        parts = zip(codes.split([code_bytes(count, self.bits) for count in self.counts], -1), scales.split(2, -1), self.counts)
        return torch.cat([dequantise(*part, self.bits, count) for *part, count in parts], -1)


class OfChannels:
    """Each channel in blocks of tokens, whole blocks at a time."""

    def __init__(self, bits, group):
        self.bits, self.group = bits, group

    def encode(self, numbers):
        blocks = numbers.unflatten(2, (-1, self.group)).transpose(3, 4)  # [..., blocks, channels, group]
        return quantise(blocks, self.bits)

    def decode(self, codes, scales):
        return dequantise(codes, scales, self.bits, self.group).transpose(3, 4).flatten(2, 3)


class SomeChannels:
    """The channels `kept` [batch, heads, kept] alone; the others are 0."""

    def __init__(self, kept, width):
        self.kept, self.width = kept.to(torch.int16), width

    def _index(self, tokens):
        return self.kept.long().unsqueeze(2).expand(-1, -1, tokens, -1)

    def encode(self, numbers):
        return (numbers.gather(3, self._index(numbers.shape[2])),)

    def decode(self, numbers):
        whole = numbers.new_zeros((*numbers.shape[:3], self.width))
        return whole.scatter(3, self._index(numbers.shape[2]), numbers)


class HeldSide:
    """Keys or values: what a coder holds, then tokens as they are."""

    def __init__(self, coder=None):
        self.coder, self.stored, self.fresh, self.settled = coder, None, None, 0

    def append(self, numbers):
        self.fresh = numbers if self.fresh is None else torch.cat([self.fresh, numbers], 2)

    def read(self):
        if self.stored is None:
            return self.fresh
        return torch.cat([self.coder.decode(*self.stored).to(self.fresh.dtype), self.fresh], 2)

    def settle(self, tokens):
        """From now on the first `tokens` tokens are held by the coder, those that are already among them."""
        more = tokens - self.settled
        if more <= 0:
            return
        parts = self.coder.encode(self.fresh[:, :, :more])
        if self.stored is not None:
            parts = [torch.cat(both, 2) for both in zip(self.stored, parts)]
        self.stored, self.fresh, self.settled = list(parts), self.fresh[:, :, more:].clone(), tokens

    def take(self, order):
        """Leaves the tokens `order` [batch, heads, kept], all of which the coder holds."""
        self.stored = [part.gather(2, order.unsqueeze(-1).expand(-1, -1, -1, part.shape[-1])) for part in self.stored]
        self.settled = order.shape[2]

    def tensors(self):
        return [part for part in (*(self.stored or ()), self.fresh) if part is not None]

    def transform(self, change):
        self.fresh = None if self.fresh is None else change(self.fresh)
        self.stored = None if self.stored is None else [change(part) for part in self.stored]
        if isinstance(self.coder, SomeChannels):
            self.coder = SomeChannels(change(self.coder.kept), self.coder.width)


class HeldHeads:
    """Keys and values of one layer. `tokens` are those that were read, or that a head holds where some were taken out."""

    queries = 0  # how many of the last tokens' queries it looks at

    def __init__(self, described, key_width, value_width):
        self.described, self.key_width, self.value_width = described, key_width, value_width
        self.keys, self.values = HeldSide(), HeldSide()
        self.prepare()

    def prepare(self):
        """Makes the coders."""

    def settle(self, tokens, queries, index):
        """The policy acts; `queries` [batch, query heads, asked, width], `index` as in cache_kvista.py [batch, all]."""
        self.keys.settle(tokens)
        self.values.settle(tokens)

    def bytes(self, tokens):
        """Of one head."""
        raise NotImplementedError

    def tensors(self):
        return self.keys.tensors() + self.values.tensors()

    def transform(self, change):
        self.keys.transform(change)
        self.values.transform(change)


class Float8Heads(HeldHeads):
    def prepare(self):
        self.keys.coder = self.values.coder = Float8()

    def bytes(self, tokens):
        return tokens * (self.key_width + self.value_width + 4)


class RotatedHeads(HeldHeads):
    def prepare(self):
        bits = self.described["bits"]
        self.keys.coder, self.values.coder = Rotated(bits, self.key_width), Rotated(bits, self.value_width)

    def bytes(self, tokens):
        bits = self.described["bits"]
        return tokens * (code_bytes(self.key_width, bits) + code_bytes(self.value_width, bits) + 2 * SCALE_BYTES)


class KiviHeads(HeldHeads):
    def prepare(self):
        self.bits, self.group, self.window = (self.described[name] for name in ("bits", "group", "window"))
        self.keys.coder = OfChannels(self.bits, self.group)
        self.values.coder = OfTokens(self.bits, self.group, self.value_width)

    def stored(self, tokens):
        values = max(tokens - self.window, 0)
        return values // self.group * self.group, values

    def settle(self, tokens, queries, index):
        if (index < 0).any():
            raise ValueError("The policy kivi holds tokens in blocks from each text's first on; give texts of one length, or one by one.")
        for side, stored in zip((self.keys, self.values), self.stored(tokens)):
            side.settle(stored)

    def bytes(self, tokens):
        keys, values = self.stored(tokens)
        of_keys = code_bytes(keys * self.key_width, self.bits) + keys // self.group * self.key_width * SCALE_BYTES
        of_value = code_bytes(self.value_width, self.bits) + -(-self.value_width // self.group) * SCALE_BYTES
        exact = (tokens - keys) * self.key_width + (tokens - values) * self.value_width
        return of_keys + values * of_value + 2 * exact


class ThinkHeads(HeldHeads):
    def prepare(self):
        self.queries, self.window = self.described["queries"], self.described["window"]
        self.kept = int(self.described["kept"] * self.key_width + 0.5)

    def settle(self, tokens, queries, index):
        older = max(tokens - self.window, 0)
        if self.keys.coder is None:  # chosen once: what is gone does not come back
            keys = self.keys.fresh[:, :, :older].float().square()
            keys = keys.masked_fill((index[:, None, :older, None] < 0), 0).sum(2)
            asked = (index[:, -queries.shape[2] :] >= 0).float()[:, None, :, None]
            asking = (queries.float().square() * asked).sum(2) / asked.sum(2)
            asking = asking.unflatten(1, (keys.shape[1], -1)).mean(2)
            order = torch.sort(asking * keys, dim=-1, descending=True, stable=True).indices
            self.keys.coder = SomeChannels(order[..., : self.kept].sort(-1).values, self.key_width)
        self.keys.settle(older)

    def bytes(self, tokens):
        recent = min(tokens, self.window)
        numbers = recent * self.key_width + (tokens - recent) * self.kept + tokens * self.value_width
        return 2 * numbers + code_bytes(self.key_width, 1)

    def tensors(self):
        return super().tensors() + ([] if self.keys.coder is None else [self.keys.coder.kept])


HOLDERS = {"fp8": Float8Heads, "hadamard": RotatedHeads, "kivi": KiviHeads, "think": ThinkHeads}
