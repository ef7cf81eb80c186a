# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Norms and feed-forward parts of a decoder block, built as the configuration describes them (configuration_kvista.py)."""

import torch
from torch import nn
from transformers.activations import ACT2FN


class KVistaNorm(nn.Module):
    """A norm over the last numbers of each head or token: by their root mean square, or by their mean and variance."""

    def __init__(self, described):
        super().__init__()
        heads, width = described.get("heads", 0), described["width"]
        shape = (heads, width) if heads else (width,)
        self.width, self.epsilon = width, described["epsilon"]
        self.centres = described.get("kind") == "layer"
        self.offset = described.get("offset", 0.0)
        self.weight = nn.Parameter(torch.full(shape, 1.0 - self.offset)) if described.get("weight", True) else None
        self.bias = nn.Parameter(torch.zeros(shape)) if described.get("bias", False) else None

    def forward(self, states):
        wide = states.float()
        if self.centres:
            wide = wide - wide.mean(-1, keepdim=True)
        wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.epsilon)
        if self.weight is None:
            return wide.to(states.dtype)
        if not self.centres and not self.offset:
            return self.weight * wide.to(states.dtype)  # rounded first, as Llama does
        wide = wide * (self.weight.float() + self.offset)
        return (wide if self.bias is None else wide + self.bias.float()).to(states.dtype)


def norm_of(described):
    """The norm, or what passes everything on where none is described."""
    return nn.Identity() if described is None else KVistaNorm(described)


class KVistaMLP(nn.Module):
    """down(activation(gate(x)) * up(x)), or down(activation(up(x))) without a gate; or with a clamped gate, g and u being its
    gate(x) at most `limit` and its up(x) within +-limit, down(g sigmoid(slope g) (u + 1))."""

    def __init__(self, hidden_size, described, activation, clamped=None):
        super().__init__()
        width, biases = described["width"], described.get("biases", [])
        self.gate_proj = nn.Linear(hidden_size, width, bias="gate" in biases) if described.get("gated", True) else None
        self.up_proj = nn.Linear(hidden_size, width, bias="up" in biases)
        self.down_proj = nn.Linear(width, hidden_size, bias="down" in biases)
        self.activation, self.clamped = ACT2FN[activation], clamped

    def forward(self, hidden):
        if self.gate_proj is None:
            return self.down_proj(self.activation(self.up_proj(hidden)))
        gate, up = self.gate_proj(hidden), self.up_proj(hidden)
        if self.clamped is None:
            return self.down_proj(self.activation(gate) * up)
        gate, limit = gate.clamp(max=self.clamped["limit"]), self.clamped["limit"]
        return self.down_proj(gate * torch.sigmoid(gate * self.clamped["slope"]) * (up.clamp(-limit, limit) + 1))


class KVistaExperts(nn.Module):
    """A mixture of experts: each token goes through those that the router gives the largest weights, and all through the
    shared one, where there is one."""

    def __init__(self, hidden_size, described):
        super().__init__()
        activation, clamped, router = described["activation"], described.get("clamped_gate"), described["router"]
        self.experts = nn.ModuleList(
            [KVistaMLP(hidden_size, described["expert"], activation, clamped) for _ in range(described["experts"])]
        )
        self.router = nn.Linear(hidden_size, described["experts"], bias=router.get("bias", False))
        self.shared = None
        if "shared" in described:
            self.shared = KVistaMLP(hidden_size, described["shared"], activation, clamped)
        self.per_token, self.scale = router["per_token"], router.get("scale", 1.0)
        self.renormalises = router.get("renormalises", True)
        self.groups, self.chosen_groups = router.get("groups", 1), router.get("chosen_groups", 1)
        self.group_best, self.sigmoid = router.get("group_best", 1), router.get("sigmoid", False)
        self.correction = nn.Parameter(torch.zeros(described["experts"])) if router.get("correction", False) else None
        self.shared_gate = nn.Linear(hidden_size, 1, bias=False) if described.get("shared_gate", False) else None

    def choose(self, hidden):
        """Weights and numbers of the experts of each token, both [tokens, per_token]."""
        logits = self.router(hidden).float()
        counting = torch.sigmoid(logits) if self.sigmoid else torch.softmax(logits, -1)
        candidates = counting if self.correction is None else counting + self.correction.float()
        if self.groups > 1:
            grouped = candidates.unflatten(-1, (self.groups, -1))
            sums = grouped.topk(self.group_best, -1).values.sum(-1)
            shut = torch.ones_like(sums, dtype=torch.bool).scatter(-1, sums.topk(self.chosen_groups, -1).indices, False)
            candidates = grouped.masked_fill(shut.unsqueeze(-1), float("-inf")).flatten(-2)
        chosen = candidates.topk(self.per_token, -1).indices
        weights = counting.gather(-1, chosen)
        if self.renormalises:
            weights = weights / weights.sum(-1, keepdim=True)
        return (weights * self.scale).to(hidden.dtype), chosen

    def forward(self, hidden):
        tokens = hidden.flatten(0, -2)
        weights, chosen = self.choose(tokens)
        total = torch.zeros_like(tokens)
        if torch.compiler.is_compiling():  # a graph cannot branch on numbers: every expert sees every token
            for number, expert in enumerate(self.experts):
                total = total + expert(tokens) * (weights * (chosen == number)).sum(-1, keepdim=True)
        else:
            for number in chosen.unique().tolist():
                token, place = (chosen == number).nonzero(as_tuple=True)
                total.index_add_(0, token, self.experts[number](tokens[token]) * weights[token, place].unsqueeze(-1))
        if self.shared is not None:
            shared = self.shared(tokens)
            total = total + (shared if self.shared_gate is None else shared * torch.sigmoid(self.shared_gate(tokens)))
        return total.view_as(hidden)


def feed_forward_of(hidden_size, described):
    if "experts" in described:
        return KVistaExperts(hidden_size, described)
    return KVistaMLP(hidden_size, described["mlp"], described["activation"], described.get("clamped_gate"))
