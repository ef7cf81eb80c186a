# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Decoding by GPU kernels that read latents, where `python build_kernels.py` has built them beside the weights.

A layer uses them for a single new token when its groups fit them: keys before RoPE in 16-bit numbers or in packed codes (where
groups have both, codes are unpacked first) or keys after RoPE of single heads in packed codes. Everything else, and every layer without kernels, is computed by
torch's own operators, to the same values."""

import os
import warnings
from pathlib import Path

import torch
from torch.nn import functional

DIRECT_PAIRS = 16  # of the highest frequencies, which kernels take as they are
DTYPES = (torch.bfloat16, torch.float16)


def load_kernels(folder):
    """The operators, or None where there are none. KVISTA_KERNELS names another file than the one in the model's folder."""
    library = Path(os.environ.get("KVISTA_KERNELS") or Path(folder or ".") / "kvista_kernels.so")
    if not library.is_file():
        return None
    try:
        torch.ops.load_library(str(library))
    except OSError as error:
        warnings.warn(f"{library} was built for another torch and is not used; run build_kernels.py again ({error}).")
        return None
    return torch.ops.kvista


def rotation_table(frequencies, segment, functions):
    """Functions of a token's place in a segment that all cosines and sines are combinations of: [(32 + functions) / 8,
    segment, 8] in float16, coefficients [pairs - 16, functions] of cosines and of sines, and the largest error."""
    angles = torch.arange(segment, dtype=torch.float64)[:, None] * frequencies.double()
    direct = torch.stack([angles.cos(), angles.sin()], -1)[:, :DIRECT_PAIRS].flatten(1)
    low = torch.cat([angles[:, DIRECT_PAIRS:].cos(), angles[:, DIRECT_PAIRS:].sin()], 1)
    left, values, right = torch.linalg.svd(low, full_matrices=False)
    found = min(functions, len(values))
    places, weights = torch.zeros(segment, functions, dtype=torch.float64), torch.zeros(functions, low.shape[1], dtype=torch.float64)
    places[:, :found], weights[:found] = left[:, :found] * values[:found], right[:found]
    scale = places.abs().amax(0).clamp(min=1e-9)  # the largest entry is 1, which float16 holds best
    places, weights = places / scale, weights * scale[:, None]
    error = (low - places @ weights).abs().max().item()
    columns = torch.cat([direct, places], 1).T.unflatten(0, (-1, 8)).transpose(1, 2)
    cosine, sine = (part.T.float().contiguous() for part in weights.chunk(2, 1))
    return columns.half().contiguous(), cosine, sine, error


def joined(parts):
    """Attention to several sets of tokens, each (output [batch, heads, width], statistics [batch, heads, segments, 2]: the
    largest exponent of 2 and the sum in its unit), as attention to all."""
    exponents = []
    for _, statistics in parts:
        largest, top = statistics[..., 0], statistics[..., 0].amax(-1)
        exponents.append(top + torch.log2((torch.exp2(largest - top[..., None]) * statistics[..., 1]).sum(-1)))
    shares = torch.softmax(torch.stack(exponents) * 0.6931471805599453, 0)
    return sum(share[..., None] * output.float() for share, (output, _) in zip(shares, parts)).to(parts[0][0].dtype)


def attend_to_exact(queries, keys, values, scale):
    """The few exact tokens: queries [batch, heads, width], keys and values [batch, tokens, kv heads, width]."""
    own = queries.float().unflatten(1, (keys.shape[2], -1))
    scores = torch.einsum("bhqd,bthd->bhqt", own, keys.float()) * (scale * 1.4426950408889634)
    peak = scores.amax(-1, keepdim=True)
    weights = torch.exp2(scores - peak)
    total = weights.sum(-1, keepdim=True)
    output = torch.einsum("bhqt,bthd->bhqd", weights / total, values.float())
    return output.flatten(1, 2).to(queries.dtype), torch.cat([peak, total], -1).flatten(1, 2).unsqueeze(2)


def padded(matrix, dimension):
    """Filled up with zeros to a multiple of 8."""
    missing = -matrix.shape[dimension] % 8
    return functional.pad(matrix, (0, missing) if dimension in (1, -1) else (0, 0, 0, missing))


def unpacked_places(runs):
    """Where kernels put the directions of coded runs [(bits, count)] when they unpack them, and how many numbers that takes:
    runs in whole words and multiples of 8 numbers, codes of the lower and of the upper half of a word in turns."""
    places, begin = [], 0
    for bits, count in runs:
        each = 32 // bits
        for within in range(count):
            code = within % each
            places.append(begin + within - code + code % (each // 2) * 2 + code // (each // 2))
        begin += -(-(-(-count // each) * each) // 8) * 8
    return places, begin


class LatentKernels:
    """Attention of one layer by kernels. `of` answers None where they do not fit it."""

    @classmethod
    def of(cls, attention, operators, rope, dtype):
        made = cls._made(attention, operators, rope, dtype)
        return made if made is None or made.fits else None

    @classmethod
    def _made(cls, attention, operators, rope, dtype):
        if operators is None or dtype not in DTYPES or attention.head_dim != attention.value_head_dim or not attention.is_plain:
            return None
        if attention.after_rope:
            return cls._direct(attention, operators)
        plain = rope is not None and not any(name in rope for name in ("dynamic", "long_inverse_frequencies", "interleaved"))
        if not plain or attention.k_norm is not None or getattr(attention.k_proj, "bias", None) is not None:
            return None  # a bias and a norm stand between latents and the rotation
        return cls._rebuilt(attention, operators, rope)

    def __init__(self, attention, operators):
        self.operators, self.share = operators, attention.heads // attention.kv_heads
        self.scale, self.exact_scale = attention.scale, attention.scale
        self.weight = attention.q_proj.weight
        self.where = (self.weight.device, self.weight.dtype)
        self.fits = True
        self.kept = []  # what the described groups point to

    def is_of(self, attention):
        """Whether the layer still has the weights that this was made from."""
        weight = attention.q_proj.weight
        return weight is self.weight and (weight.device, weight.dtype) == self.where

    @staticmethod
    def _places(attention):
        """Of every head of keys and of values: its group's number and its first row in what rebuilds the group."""
        places = []
        for first, width in ((0, attention.head_dim), (attention.key_width, attention.value_head_dim)):
            found = {}
            for number, group in enumerate(attention.groups):
                for row, column in enumerate(group.columns):
                    if first <= column < first + attention.kv_heads * width and (column - first) % width == 0:
                        found[(column - first) // width] = (number, row)
            places.append([found[head] for head in range(attention.kv_heads)])
        return places

    @staticmethod
    def _up(attention, place):
        """[head width, rank] of one head."""
        group, row = attention.groups[place[0]], place[1]
        weight = attention.q_proj.weight
        up = torch.eye(group.coder.rank, dtype=weight.dtype, device=weight.device) if group.up is None else group.up.weight
        return up[row : row + attention.head_dim].detach()

    @staticmethod
    def _counts(attention, side):
        """Codes in runs of 16, 8, 4, 2 and 1 bit of each head's group."""
        return [dict(attention.groups[number].coder.counts).get(bits, 0) for number, _ in side for bits in (16, 8, 4, 2, 1)]

    @classmethod
    def _direct(cls, attention, operators):
        if any(group.coder.numbers or sum(count for _, count in group.coder.counts) > 512 for group in attention.groups) or attention.heads > 8 * attention.kv_heads:
            return None
        self = cls(attention, operators)
        keys, values = cls._places(attention)
        offsets, end = [], 0
        for group in attention.groups:
            group.coder.align(4, 16)
            offsets.append(end)
            end += group.coder.bytes
        ups, steps, counts, begins = [], [], [], []
        for side in (keys, values):
            parts = [attention.groups[number].coder.parts_as_directions(self.weight.device) for number, _ in side]
            ups.append([cls._up(attention, place)[:, directions].contiguous() for place, (directions, _) in zip(side, parts)])
            of_directions = [attention.groups[number].steps.detach().float() for number, _ in side]
            steps.append([own[directions] * factors for own, (directions, factors) in zip(of_directions, parts)])
            begins.append([offsets[number] for number, _ in side])
            counts.append(cls._counts(attention, side))
        self.kept = [ups, steps]
        self.groups, largest = operators.describe_direct(*ups, *steps, *begins, *counts)
        self.fits = largest[3] <= 7
        self.sizes = [self.share, attention.kv_heads, *largest, end, end]
        self.run = self._run_direct
        return self

    @classmethod
    def _rebuilt(cls, attention, operators, rope):
        width, frequencies = attention.head_dim, torch.tensor(rope["inverse_frequencies"])
        if width not in (64, 128) or 2 * len(frequencies) != width or (frequencies.diff() > 0).any():
            return None
        self = cls(attention, operators)
        self.scale = attention.scale * rope.get("scale", 1.0)  # queries are stretched already, rebuilt keys are not
        keys, values = cls._places(attention)
        together = attention.kv_heads  # heads that share one latent of keys and one of values
        while attention.kv_heads % together or any(
            side[head][0] != side[head // together * together][0] for side in (keys, values) for head in range(attention.kv_heads)
        ):
            together -= 1
        queries = together * self.share
        self.packed = all(not group.coder.numbers for group in attention.groups)
        ranks, sizes, offsets, end = [], [], [], 0  # sizes: elements of a record
        for group in attention.groups:
            if self.packed:
                group.coder.align(4, 16)
            ranks.append(unpacked_places(group.coder.counts)[1] if self.packed else group.coder.rank + -group.coder.rank % 8)
            sizes.append(group.coder.bytes if self.packed else ranks[-1])
            offsets.append(end)
            end += sizes[-1]
        firsts = range(0, attention.kv_heads, together)
        joint = [keys[head][0] == values[head][0] for head in firsts]
        largest_key, largest_value = (max(ranks[side[head][0]] for head in firsts) for side in (keys, values))
        # The kernel's own limits: what a block of threads holds.
        if any(joint) != all(joint) or largest_value > (256 if queries % 4 == 0 else 128) or largest_key > 256:
            return None

        def up(place):
            own, group = cls._up(attention, place), attention.groups[place[0]]
            if not self.packed:
                return padded(own, 1)
            places, rank = unpacked_places(group.coder.counts)
            directions, factors = group.coder.parts_as_directions(own.device)
            worth = (own[:, directions].float() * (group.steps.detach().float()[directions] * factors)).to(own.dtype)  # of codes: their steps
            return own.new_zeros(own.shape[0], rank).index_copy(1, torch.tensor(places, device=own.device), worth)

        key_ups = [torch.cat([up(keys[head + i]) for i in range(together)]).T.contiguous() for head in firsts]
        value_ups = [torch.cat([up(values[head + i]) for i in range(together)]).contiguous() for head in firsts]
        # Keys and values are one tensor for joint latents and two otherwise, which begin at their own first groups.
        self.first_key, self.first_value = (0, 0) if all(joint) else (min(offsets[side[head][0]] for head in firsts) for side in (keys, values))
        key_offsets = [offsets[keys[head][0]] - self.first_key for head in firsts]
        value_offsets = [offsets[values[head][0]] - self.first_value for head in firsts]
        device = attention.q_proj.weight.device
        sizes_of_groups = [self.share, together, len(firsts), largest_key, largest_value]
        gpu = torch.cuda.current_device() if device.type == "cuda" and device.index is None else device.index or 0
        self.blocks = 0 if self.packed else operators.blocks_by_warpgroups(sizes_of_groups, width, gpu)
        table_tokens, functions = (256, 16) if not self.blocks and (self.packed or queries % 4 == 0) else (1024, 32)
        *tables, error = rotation_table(frequencies, table_tokens, functions)
        if error > 2**-11:
            return None
        self.tables = [table.to(device) for table in (frequencies, *tables)]
        self.frequencies = self.tables[0]
        self.kept = [key_ups, value_ups]
        sides = [[side[head] for head in firsts] for side in (keys, values)]
        counts = [cls._counts(attention, side) if self.packed else [] for side in sides]
        self.groups = operators.describe_rebuilt(key_ups, value_ups, key_offsets, value_offsets, together, *counts)
        reach = [max(offset + sizes[number] for offset, (number, _) in zip(begins, side)) for begins, side in zip((key_offsets, value_offsets), sides)]
        words = [max(sizes[number] for number, _ in side) // 4 if self.packed else 0 for side in sides]
        self.sizes = [*sizes_of_groups, *reach, table_tokens, functions, *words]
        self.run = self._run_rebuilt
        return self

    def attend(self, attention, entry, queries, exact_keys):
        """queries [batch, heads, width] after RoPE; exact_keys [batch, exact tokens, kv heads, width] likewise. Values'
        biases are not in what is answered."""
        exact = exact_keys.shape[1] if exact_keys is not None else 0
        parts = [self.run(attention, entry, queries.contiguous(), exact)]
        if exact:
            exact_values = entry.exact[..., attention.key_width :].unflatten(-1, (-1, attention.value_head_dim))
            parts.append(attend_to_exact(queries, exact_keys, exact_values, self.exact_scale))
        return joined(parts) if exact else parts[0][0]

    def _run_direct(self, attention, entry, queries, exact):
        tokens, segment = entry.packed.shape[1], 4096
        while segment > 128 and -(-tokens // segment) * queries.shape[0] * attention.kv_heads < 264:  # so that all of a GPU has work
            segment //= 2
        return self.operators.direct_attention(queries, entry.packed, entry.packed, self.groups, [*self.sizes, segment], self.scale)

    @staticmethod
    def _numbers(attention, entry):
        """Records of 16-bit numbers: those that there are, or what the codes mean."""
        numbers = entry.numbers.split([group.coder.numbers for group in attention.groups], -1)
        packed = entry.packed.split([group.coder.bytes for group in attention.groups], -1)
        latents = [padded(group.coder.decode(*parts, group.steps), -1) for group, *parts in zip(attention.groups, numbers, packed)]
        return torch.cat(latents, -1) if len(latents) > 1 else latents[0].contiguous()

    def _run_rebuilt(self, attention, entry, queries, exact):
        records = entry.packed if self.packed else self._numbers(attention, entry)
        if exact:  # the first record stands at position 0 for the kernel
            angle = exact * self.frequencies
            first, second = queries.float().chunk(2, -1)
            queries = torch.cat([first * angle.cos() + second * angle.sin(), second * angle.cos() - first * angle.sin()], -1).to(queries.dtype)
        keys, values = records[..., self.first_key :], records[..., self.first_value :]
        segment = self.sizes[7]
        while segment > 256 and -(-keys.shape[1] // segment) * queries.shape[0] * queries.shape[1] // 4 < self.blocks * 100:  # so that all of a GPU has work
            segment //= 2
        return self.operators.rebuilt_attention(queries, keys, values, self.groups, *self.tables, [*self.sizes, segment], self.scale)
