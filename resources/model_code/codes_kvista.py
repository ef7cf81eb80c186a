# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Numbers of few bits, packed in bytes."""

import torch
from torch.nn import functional


def pack_codes(codes, bits):
    """Codes [..., count] (uint8, below 2**bits) to bytes [..., ceil(count * bits / 8)], first code in the lowest bits."""
    if 8 % bits:
        digits = (codes.unsqueeze(-1) >> torch.arange(bits, dtype=torch.uint8, device=codes.device)) & 1
        return pack_codes(digits.flatten(-2), 1)
    in_byte = 8 // bits
    codes = functional.pad(codes, (0, -codes.shape[-1] % in_byte)).unflatten(-1, (-1, in_byte))
    shifts = torch.arange(0, 8, bits, dtype=torch.uint8, device=codes.device)
    return (codes << shifts).sum(-1, dtype=torch.uint8)


def unpack_codes(packed, bits, count):
    """Inverse of pack_codes."""
    if 8 % bits:
        digits = unpack_codes(packed, 1, count * bits).unflatten(-1, (count, bits))
        return (digits << torch.arange(bits, dtype=torch.uint8, device=packed.device)).sum(-1, dtype=torch.uint8)
    shifts = torch.arange(0, 8, bits, dtype=torch.uint8, device=packed.device)
    return ((packed.unsqueeze(-1) >> shifts) & (2**bits - 1)).flatten(-2)[..., :count]


def record_parts(runs):
    """Where directions lie in a record of runs of 16, 8, 4, 2 and 1 bit: [(bits, [(place in `runs`, shift)])] of those runs
    [(bits, directions)], both by falling bits. A code of 6 bits is two, its lower 4 and its upper 2 bits, one of 3 its lower 2 and
    its upper bit: it has the bits from `shift` up in the run of each power of two that its width is the sum of."""
    found = []
    for bits in (16, 8, 4, 2, 1):
        parts = [(place, width - bits if width >= 2 * bits else 0) for place, (width, _) in enumerate(runs) if width & bits]
        if parts:
            found.append((bits, parts))
    return found


def record_bytes(runs):
    """Of a token, every run padded to whole bytes."""
    return sum(-(-sum(runs[place][1] for place, _ in parts) * bits // 8) for bits, parts in record_parts(runs))


def quantise(numbers, bits):
    """Packed codes of the last axis [..., n], and its lowest number and step in float16 [..., 2]: lowest + step * code, step =
    (highest - lowest) / (2**bits - 1) (help page Methods, section 10)."""
    wide, levels = numbers.float(), 2**bits - 1
    lowest = wide.amin(-1, keepdim=True).half()
    step = ((wide.amax(-1, keepdim=True) - lowest.float()) / levels).clamp(min=6e-8).half()
    codes = torch.round((wide - lowest.float()) / step.float()).clamp(0, levels)
    return pack_codes(codes.to(torch.uint8), bits), torch.cat([lowest, step], -1)


def dequantise(packed, scales, bits, count):
    """What quantise has stood for, float32 [..., count]."""
    lowest, step = scales.float().split(1, -1)
    return lowest + step * unpack_codes(packed, bits, count).float()
