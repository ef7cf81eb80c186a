# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""What held_kvista.py holds numbers as: coders turn [batch, heads, tokens, width] into parts and back. Papers and what is changed
in them: help page Policies."""

import copy
import math
import random

import torch

from .codes_kvista import dequantise, pack_codes, quantise, unpack_codes

SMALLEST = 6e-8  # above 0 that 16 bits hold apart from it


def code_bytes(numbers, bits):
    return -(-numbers * bits // 8)


class Coder:
    """`bytes`: of a token where each is held by itself; none where its width is 0."""

    def encode(self, numbers):
        raise NotImplementedError

    def decode(self, *parts):
        raise NotImplementedError

    def tensors(self):
        """Those that belong to no single token."""
        return []

    def transformed(self, change):
        """For other rows of the batch."""
        return self


class Float8(Coder):
    """e4m3 numbers with one 16-bit scale a token."""

    LARGEST = 448

    def __init__(self, width):
        self.bytes = width + 2 if width else 0

    def encode(self, numbers):
        wide = numbers.float()
        scale = (wide.abs().amax(-1, keepdim=True) / self.LARGEST).half()
        codes = (wide / scale.float().clamp(min=SMALLEST)).clamp(-self.LARGEST, self.LARGEST).to(torch.float8_e4m3fn)
        return codes.view(torch.uint8), scale

    def decode(self, codes, scale):
        return codes.view(torch.float8_e4m3fn).float() * scale.float().clamp(min=SMALLEST)


def coin_signs(count):
    """By a fair coin that falls alike each time: the lowest bits that the Mersenne twister MT19937 (Matsumoto and Nishimura 1998)
    gives behind the seed 1."""
    state = [1]
    for place in range(1, 624):
        state.append((1812433253 * (state[-1] ^ (state[-1] >> 30)) + place) & 0xFFFFFFFF)
    coin = random.Random()
    coin.setstate((3, (*state, 624), None))
    return torch.tensor([1.0 if coin.getrandbits(32) & 1 else -1.0 for _ in range(count)])


class Rotated(Coder):
    """Numbers rotated by Hadamard's matrix, one for each power of 2 that adds up to their width, then one scale a token. `signed`:
    their signs are drawn first."""

    def __init__(self, bits, width, signed=False):
        self.bits, self.width, self.rotations = bits, width, []
        self.bytes = code_bytes(width, bits) + 4 if width else 0
        self.signs = coin_signs(width) if signed else None
        while (left := width - sum(map(len, self.rotations))) > 0:
            matrix = torch.ones(1, 1)
            while 2 * len(matrix) <= left:
                matrix = torch.cat([torch.cat([matrix, matrix], 1), torch.cat([matrix, -matrix], 1)])
            self.rotations.append(matrix / math.sqrt(len(matrix)))

    def turned(self, numbers):
        """Its own inverse."""
        parts = numbers.split([len(rotation) for rotation in self.rotations], -1)
        return torch.cat([part @ rotation.to(part.device) for part, rotation in zip(parts, self.rotations)], -1)

    def with_signs(self, numbers):
        return numbers if self.signs is None else numbers * self.signs.to(numbers.device)

    def encode(self, numbers):
        return quantise(self.turned(self.with_signs(numbers.float())), self.bits)

    def decode(self, codes, scales):
        return self.with_signs(self.turned(dequantise(codes, scales, self.bits, self.width)))


class OfTokens(Coder):
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


class OfChannels(Coder):
    """Each channel in blocks of tokens, whole blocks at a time."""

    def __init__(self, bits, group):
        self.bits, self.group = bits, group

    def encode(self, numbers):
        blocks = numbers.unflatten(2, (-1, self.group)).transpose(3, 4)  # [..., blocks, channels, group]
        return quantise(blocks, self.bits)

    def decode(self, codes, scales):
        return dequantise(codes, scales, self.bits, self.group).transpose(3, 4).flatten(2, 3)


class Factors(Coder):
    """Blocks of tokens, whole ones at a time, as matrices of a token's `rows` rows: M = (U S) V^T, the small factor U S at 16 bits,
    the large one as codes in groups of 128."""

    ROWS, GROUP = 8, 128

    def __init__(self, bits, block, width):
        self.rows, self.block = min(self.ROWS, max(width & -width, 1)), block
        self.columns = width // self.rows
        numbers = block * self.columns
        self.large = OfTokens(bits, self.GROUP, numbers)
        self.bytes = 0
        if width:  # of a block
            self.bytes = code_bytes(block * width, bits) + self.rows * -(-numbers // self.GROUP) * 4 + 2 * self.rows**2

    def encode(self, numbers):
        blocks = numbers.double().unflatten(2, (-1, self.block)).unflatten(-1, (self.rows, self.columns))
        matrix = blocks.transpose(3, 4).flatten(4)  # [batch, heads, blocks, rows, block * columns]
        vectors = torch.linalg.eigh(matrix @ matrix.transpose(3, 4)).eigenvectors
        turned = vectors.transpose(3, 4) @ matrix
        sizes = turned.norm(dim=4, keepdim=True).clamp(min=1e-12)
        return *self.large.encode((turned / sizes).float()), (vectors * sizes.transpose(3, 4)).half()

    def decode(self, codes, scales, small):
        matrix = small.float() @ self.large.decode(codes, scales)
        return matrix.unflatten(4, (self.block, self.columns)).transpose(3, 4).flatten(4).flatten(2, 3)


class SomeChannels(Coder):
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

    def tensors(self):
        return [self.kept]

    def transformed(self, change):
        return SomeChannels(change(self.kept), self.width)


class SalientTokens(Coder):
    """Salient tokens in codes of more bits. Channels are divided by `factors` [batch, heads, 1, width] first, so that one scale a
    token does."""

    def __init__(self, factors, high, low, width):
        self.factors, self.high, self.low, self.width = factors, high, low, width
        self.packed, self.tokens = None, 0

    def of(self, is_salient):
        """For all tokens, of which those are salient, bool [batch, heads, tokens]."""
        other = copy.copy(self)
        other.packed, other.tokens = pack_codes(is_salient.byte(), 1), is_salient.shape[-1]
        return other

    def _salient(self):
        """Which tokens are, the order in which they come first, and the factors."""
        is_salient = unpack_codes(self.packed, 1, self.tokens).bool()
        return is_salient, torch.sort((~is_salient).byte(), dim=-1, stable=True).indices, self.factors.float().clamp(min=SMALLEST)

    def encode(self, numbers):
        """Codes and scales of salient tokens, and those of the others. Where rows have different numbers of them, some tokens are
        among both."""
        is_salient, order, factors = self._salient()
        counts = is_salient.sum(-1)
        even = (numbers.float() / factors).gather(2, order.unsqueeze(-1).expand(-1, -1, -1, self.width))
        return *quantise(even[:, :, : int(counts.max())], self.high), *quantise(even[:, :, int(counts.min()) :], self.low)

    def decode(self, high, high_scales, low, low_scales):
        is_salient, order, factors = self._salient()
        numbers = [dequantise(high, high_scales, self.high, self.width), dequantise(low, low_scales, self.low, self.width)]
        ranks = torch.empty_like(order).scatter(-1, order, torch.arange(self.tokens, device=order.device).expand_as(order))
        low_begin = high.shape[2] - (self.tokens - low.shape[2])
        places = torch.where(is_salient, ranks, ranks + low_begin).unsqueeze(-1).expand(-1, -1, -1, self.width)
        return torch.cat(numbers, 2).gather(2, places) * factors

    def tensors(self):
        return [self.factors] + ([] if self.packed is None else [self.packed])

    def transformed(self, change):
        other = copy.copy(self)
        other.factors, other.packed = change(self.factors), None if self.packed is None else change(self.packed)
        return other
