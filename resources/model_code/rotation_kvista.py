# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Rotary embedding of positions."""

import torch


def rotary_frequencies(rope, length):
    """Radians per position of each rotated pair, for a sequence of `length` tokens (float32 on the CPU). Besides plain
    `inverse_frequencies` a rope may have `long_inverse_frequencies` for sequences longer than `trained_length`, or instead
    `dynamic` {"theta", "factor", "trained_length"}: theta grows with sequences longer than trained_length."""
    if "dynamic" in rope:
        dynamic, dim = rope["dynamic"], rope["rotary_dim"]
        stretch = dynamic["factor"] * max(length / dynamic["trained_length"], 1.0) - (dynamic["factor"] - 1)
        theta = dynamic["theta"] * stretch ** (dim / (dim - 2))
        return torch.tensor([theta ** (-2.0 * pair / dim) for pair in range(dim // 2)])
    if "long_inverse_frequencies" in rope and length > rope["trained_length"]:
        return torch.tensor(rope["long_inverse_frequencies"])
    return torch.tensor(rope["inverse_frequencies"])


def rotate(states, angles, interleaved):
    """Rotates the pairs (j, j + r/2), or (2j, 2j + 1) if `interleaved`, of the first r numbers of each head. `states` [batch,
    tokens, heads, width]; `angles` cosines and sines, each [batch, tokens, r/2], or [batch, tokens, heads, r/2] where heads hold
    tokens of their own."""
    cosine, sine = ((part if part.dim() == 4 else part.unsqueeze(2)).to(states.dtype) for part in angles)
    half = cosine.shape[-1]
    turning, rest = states[..., : 2 * half], states[..., 2 * half :]
    if interleaved:
        first, second = turning[..., 0::2], turning[..., 1::2]
    else:
        first, second = turning[..., :half], turning[..., half:]
    turned = first * cosine - second * sine, second * cosine + first * sine
    turned = torch.stack(turned, -1).flatten(-2) if interleaved else torch.cat(turned, -1)
    return torch.cat([turned, rest], -1)
