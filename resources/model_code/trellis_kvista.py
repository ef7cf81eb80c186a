# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Codes through a trellis of 8 states (help page Methods, section 10). A code of b bits has 2**(b + 1) levels to choose from, of which
the last bits u of the three codes before it leave half:

    level = 4 (code // 2) + 2 (u ^ u[-2] ^ u[-3]) + u[-1], meaning (level - 2**b + 1/2) steps,

u being the code's own last bit, and bits before the first code 0."""

import torch
from torch.nn import functional

WIDEST = 4  # bits of a code that goes through a trellis


def subset(state, bit):
    """Of the levels 4 k + subset, the one that a code's last bit leads to from a state, u[-1] + 2 u[-2] + 4 u[-3]."""
    return 2 * (bit ^ (state >> 1 & 1) ^ (state >> 2)) + (state & 1)


def trellis_codes(numbers, bits):
    """Codes (uint8) of least squared error of numbers [..., n] in steps, along the last axis."""
    rows = numbers.float().flatten(0, -2)
    shifted = rows.unsqueeze(-1) + (2**bits - 0.5) - torch.arange(4, device=rows.device)  # [rows, n, subsets]
    places = (shifted * 0.25 + 0.5).floor().clamp(0, 2 ** (bits - 1) - 1)
    ways = torch.stack([torch.arange(8) // 2, torch.arange(8) // 2 + 4])  # the two states that lead to a state
    errors = (shifted - places * 4).square()[..., subset(ways, torch.arange(8) & 1).to(rows.device)]  # [rows, n, 2, states]
    ways = ways.to(rows.device)
    cost = torch.full((len(rows), 8), torch.inf, device=rows.device)
    cost[:, 0] = 0
    chosen = []
    for i in range(rows.shape[1]):
        cost, way = (cost[:, ways] + errors[:, i]).min(1)
        chosen.append(way)
    states = [cost.argmin(1, keepdim=True)]
    for way in reversed(chosen):
        states.append(states[-1] // 2 + 4 * way.gather(1, states[-1]))
    states = torch.cat(states[::-1], 1)
    bit = states[:, 1:] & 1
    place = places.gather(2, subset(states[:, :-1], bit).unsqueeze(-1)).squeeze(-1)
    return (2 * place.long() + bit).to(torch.uint8).view(numbers.shape)


def trellis_levels(codes, bits):
    """What codes [..., n] mean, in steps, float32."""
    whole = codes.int()
    last, count = whole & 1, codes.shape[-1]
    before = [functional.pad(last, (by, 0))[..., :count] for by in (1, 2, 3)]
    return (4 * (whole >> 1) + 2 * (last ^ before[1] ^ before[2]) + before[0]).float() - (2**bits - 0.5)
