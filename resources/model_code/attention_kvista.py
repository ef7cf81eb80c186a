# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Attention over compressed keys and values.

Every token's keys and values go through down-projection, coder and up-projection before attention sees them, whether they
come from the cache or from the same call, so a forward pass without a cache computes what generation computes.

Of a layer that another predicts the cache holds what is left: with y' the outputs that the other's cache gives back, the codes are
those of y - P y', and y ~ P y' + what they stand for (help page Methods, section 10). What a layer has rebuilt is handed on
within the pass and kept by none. Of a first layer whose cache holds the numbers of tokens, the model computes the outputs anew.
"""

import torch
from torch import nn
from torch.nn import functional

from .blocks_kvista import KVistaNorm, norm_of
from .cache_kvista import LatentCoder, LayerCache
from .rotation_kvista import rotate


class KVistaBias(nn.Module):
    """The bias of a projection whose weight lives in the groups' factors."""

    def __init__(self, width):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(width))


class KVistaGroup(nn.Module):
    """Heads that share one latent: z = down x (x: the layer's input, or the heads' own outputs), y ~ up z; centred ones take
    a mean away before and put it back behind. `prediction`: of y from the outputs that the layer `predicted_from` has rebuilt."""

    def __init__(self, group, columns, hidden_size):
        super().__init__()
        self.columns = columns
        self.from_hidden = group["input"] == "hidden"
        self.coder = LatentCoder(group["runs"], group.get("trellis", False))
        identity, self.centred = group["identity"], group.get("centred", False)
        inputs = hidden_size if self.from_hidden else len(columns)
        self.down = nn.Linear(inputs, self.coder.rank, bias=self.centred) if self.from_hidden or not identity else None
        self.up = nn.Linear(self.coder.rank, len(columns), bias=self.centred) if not identity else None
        self.steps = nn.Parameter(torch.ones(self.coder.coded), requires_grad=False) if self.coder.coded else None
        self.predicted_from = group.get("predicted_from")
        self.prediction = None if self.predicted_from is None else nn.Linear(len(columns), len(columns), bias=False)

    def encode(self, hidden, outputs):
        source = hidden if self.from_hidden else outputs[..., self.columns]
        return self.coder.encode(source if self.down is None else self.down(source), self.steps)

    def decode(self, numbers, packed):
        latent = self.coder.decode(numbers, packed, self.steps)
        return latent if self.up is None else self.up(latent)


class KVistaLatentHeads(nn.Module):
    """Multi-head latent attention (DeepSeek-V2, section 2.1): the cache's one value head is a latent that every head's values
    and the still part of its key are expanded from, the one key head the rotated part that all heads share."""

    def __init__(self, described, heads, latent_width, hidden_size):
        super().__init__()
        self.heads, self.key_width, self.value_width = heads, described["key_width"], described["value_width"]
        expanded = heads * (self.key_width + self.value_width)
        self.norm = KVistaNorm(described["norm"])
        self.expansion = nn.Linear(latent_width, expanded, bias=described.get("bias", False))
        self.reduced_width, self.query_reduction, self.query_norm = hidden_size, nn.Identity(), nn.Identity()
        if (reduction := described.get("query_reduction")) is not None:
            self.reduced_width = reduction["width"]
            self.query_reduction = nn.Linear(hidden_size, self.reduced_width, bias=reduction.get("bias", False))
            self.query_norm = norm_of(reduction.get("norm"))

    def reduced(self, hidden):
        """What queries are projected from."""
        return self.query_norm(self.query_reduction(hidden))

    def keys_and_values(self, rotated, latents):
        """Of all heads, from those of the cache; all [batch, tokens, heads, width]."""
        expanded = self.expansion(self.norm(latents.squeeze(2))).unflatten(-1, (self.heads, -1))
        still, values = expanded.split([self.key_width, self.value_width], -1)
        return torch.cat([still, rotated.expand(-1, -1, self.heads, -1)], -1), values


class KVistaAttention(nn.Module):
    def __init__(self, config, layer):
        super().__init__()
        described, groups = config.block_of(layer)["attention"], config.kvista["layers"][layer]["groups"]
        hidden_size, biases = config.hidden_size, described.get("biases", [])
        self.heads, self.kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.head_dim = config.head_dim
        self.value_head_dim = config.kvista.get("value_head_dim", config.head_dim)
        self.key_width, value_width = self.kv_heads * self.head_dim, self.kv_heads * self.value_head_dim
        self.scale, self.score_cap, self.clip = described["scale"], described.get("score_cap"), described.get("clip")
        self.linear_biases = described.get("linear_biases")
        self.after_rope = config.kvista["key_position"] == "after_rope"
        rope = described.get("rope")
        self.interleaved = rope is not None and config.kvista["decoder"]["ropes"][rope].get("interleaved", False)

        self.groups = nn.ModuleList([KVistaGroup(group, self.columns(group), hidden_size) for group in groups])
        order = [column for group in self.groups for column in group.columns]
        self.restore = sorted(range(len(order)), key=order.__getitem__)  # group by group -> keys, then values
        self.owners = [self.head_of(column) for column in range(self.key_width + value_width)]

        numbers_tokens = config.numbers_tokens(layer)

        def projection(side, width):
            if numbers_tokens or any(slot[0] == side for group in groups if group["input"] == "heads" for slot in group["slots"]):
                return nn.Linear(hidden_size, width, bias=side in biases)
            return KVistaBias(width) if side in biases else None

        self.latent = None
        queries_from, query_width, mixed_width = hidden_size, self.head_dim, self.value_head_dim
        if "latent" in described:
            self.latent = KVistaLatentHeads(described["latent"], self.heads, self.value_head_dim, hidden_size)
            queries_from, query_width = self.latent.reduced_width, self.latent.key_width + self.head_dim
            mixed_width = self.latent.value_width
        self.q_proj = nn.Linear(queries_from, self.heads * query_width, bias="query" in biases)
        self.k_proj = projection("key", self.key_width)
        self.v_proj = projection("value", value_width)
        self.o_proj = nn.Linear(self.heads * mixed_width, hidden_size, bias="output" in biases)
        self.q_norm, self.k_norm = (
            KVistaNorm(described[name]) if name in described else None for name in ("query_norm", "key_norm")
        )
        self.norms_after_rope, self.query_growth = described.get("norms_after_rope", False), described.get("query_growth")
        self.sinks = nn.Parameter(torch.zeros(self.heads)) if described.get("sinks", False) else None
        self.layer, self.hands_on = layer, config.hands_on(layer)
        self.reads = layer if numbers_tokens else config.kvista["layers"][layer].get("reads")  # of what is handed on
        self.kernels = None  # LatentKernels, chosen when a cache is begun

    @property
    def is_plain(self):
        """Whether scores are scaled products of queries and keys, and values what the cache holds, up to a bias, apart from other layers
        and without a trellis."""
        unlike = self.score_cap, self.clip, self.linear_biases, self.latent, self.sinks, self.prediction, self.reads
        apart = self.norms_after_rope or self.hands_on or any(group.centred or group.coder.trellis for group in self.groups)
        return all(part is None for part in unlike) and not apart

    @property
    def prediction(self):
        """A layer that another predicts has one group; one that reads what is handed on, none."""
        return self.groups[0].prediction if self.reads is None else None

    def foreseen(self, handed_on):
        """What another layer predicts of all tokens' outputs, or None. The layer before is not asked again."""
        if self.prediction is None:
            return None
        source = self.groups[0].predicted_from
        return self.prediction(handed_on.pop(source) if source == self.layer - 1 > 0 else handed_on[source])

    def columns(self, group):
        """Where the slots' outputs lie in [keys of all heads; values of all heads]."""
        columns = []
        for side, head in group["slots"]:
            width = self.head_dim if side == "key" else self.value_head_dim
            begin = head * width + (0 if side == "key" else self.key_width)
            columns.extend(range(begin, begin + width))
        return columns

    def heads_of(self, states, norm, angles, width):
        """[batch, tokens, heads * width] -> clipped, normed and rotated, [batch, tokens, heads, width]."""
        states = self.clipped(states)
        if norm is not None and norm.width != width:  # over all heads together
            states, norm = norm(states), None
        states = states.unflatten(-1, (-1, width))
        if angles is not None and self.norms_after_rope:
            states, angles = rotate(states, angles, self.interleaved), None
        states = states if norm is None else norm(states)
        return states if angles is None else rotate(states, angles, self.interleaved)

    def clipped(self, states):
        return states if self.clip is None else states.clamp(-self.clip, self.clip)

    def queries(self, hidden, angles):
        if self.latent is None:
            return self.heads_of(self.q_proj(hidden), self.q_norm, angles, self.head_dim)
        queries = self.q_proj(self.latent.reduced(hidden)).unflatten(-1, (self.heads, -1))
        still, turning = queries.split([self.latent.key_width, self.head_dim], -1)
        return torch.cat([still, turning if angles is None else rotate(turning, angles, self.interleaved)], -1)

    def project(self, hidden, angles):
        """What groups with input "heads" see: keys without bias (after RoPE: as attention sees them), values without."""
        parts = []
        if isinstance(self.k_proj, nn.Linear):
            if self.after_rope:
                parts.append(self.heads_of(self.k_proj(hidden), self.k_norm, angles, self.head_dim).flatten(-2))
            else:
                parts.append(functional.linear(hidden, self.k_proj.weight))
        if isinstance(self.v_proj, nn.Linear):
            parts.append(functional.linear(hidden, self.v_proj.weight))
        return torch.cat(parts, -1) if parts else None

    def rebuild(self, entry, index, foreseen=None):
        """Keys and values of every cached token, [batch, tokens, key width + value width]; `foreseen`: what is predicted of them."""
        numbers, packed = entry.records()
        numbers = numbers.split([group.coder.numbers for group in self.groups], -1)
        packed = packed.split([group.coder.bytes for group in self.groups], -1)
        rebuilt = torch.cat([group.decode(*parts) for group, *parts in zip(self.groups, numbers, packed)], -1)
        if self.restore != list(range(len(self.restore))):
            rebuilt = rebuilt[..., self.restore]
        if foreseen is not None:
            rebuilt = rebuilt + foreseen[:, foreseen.shape[1] - rebuilt.shape[1] :]
        return entry.insert_exact(rebuilt, index, self.owners)

    def head_of(self, column):
        """Whose it is of [keys of all heads; values of all heads]."""
        return column // self.head_dim if column < self.key_width else (column - self.key_width) // self.value_head_dim

    def cached_heads(self, entry, index, angles, foreseen=None, handed_on=None):
        """Keys and values as the cache has them, [batch, tokens, heads, width]: `index` and `angles` are those of its tokens."""
        if entry.heads is not None:
            return entry.read_heads()
        rebuilt = self.rebuild(entry, index, foreseen) if self.reads is None else handed_on[self.reads]
        if self.hands_on:
            handed_on[self.layer] = rebuilt
        keys, values = rebuilt[..., : self.key_width], rebuilt[..., self.key_width :]
        if self.after_rope:
            keys = keys.unflatten(-1, (-1, self.head_dim))
        else:
            if self.k_proj is not None and self.k_proj.bias is not None:
                keys = keys + self.k_proj.bias
            keys = self.heads_of(keys, self.k_norm, angles, self.head_dim)
        if self.v_proj is not None and self.v_proj.bias is not None:
            values = values + self.v_proj.bias
        return keys, values.unflatten(-1, (-1, self.value_head_dim))

    def attended_heads(self, keys, values):
        """What attention sees of the cache's heads."""
        values = self.clipped(values)
        return (keys, values) if self.latent is None else self.latent.keys_and_values(keys, values)

    def attend_by_kernels(self, entry, queries, angles):
        """Queries of one new token [batch, 1, heads, width], every row of whose batch is whole."""
        exact = None
        if entry.exact_tokens:
            exact = entry.exact[..., : self.key_width]
            cosine_and_sine = None if self.after_rope else tuple(part[:, : entry.exact_tokens] for part in angles)
            exact = self.heads_of(exact, None, cosine_and_sine, self.head_dim)
        mixed = self.kernels.attend(self, entry, queries.squeeze(1), exact)
        if self.v_proj is not None and self.v_proj.bias is not None:
            mixed = mixed + self.v_proj.bias.view(self.kv_heads, -1).repeat_interleave(self.heads // self.kv_heads, 0)
        return self.o_proj(mixed.flatten(1).unsqueeze(1))

    def linear_biases_of(self, index, dtype):
        """What ALiBi adds to scaled scores, [batch, heads, 1, tokens]; `index` [batch, tokens], or with heads' own between."""
        slopes = torch.tensor(self.linear_biases["slopes"], device=index.device)
        if self.linear_biases.get("bfloat16", False):
            slopes = slopes.bfloat16()
        index = index.unsqueeze(1) if index.dim() == 2 else index
        index = index.repeat_interleave(self.heads // index.shape[1], 1) if index.shape[1] > 1 else index
        added = (slopes[:, None, None] * index.clamp(min=0).unsqueeze(2)).to(dtype)
        return added * self.scale if self.linear_biases.get("before_scale", False) else added

    def attend(self, queries, keys, values, index, mask):
        """All [batch, heads, tokens, width]; `mask` [batch, 1 or heads of the cache, new, all] is true where a new token sees
        another."""
        if mask.shape[1] > 1:
            mask = mask.repeat_interleave(self.heads // mask.shape[1], 1)
        added = mask
        if self.linear_biases is not None:
            added = self.linear_biases_of(index, queries.dtype).masked_fill(~mask, -torch.inf)
        if self.sinks is not None:  # one more key and value of zeros
            if added is mask:
                added = torch.zeros_like(mask, dtype=queries.dtype).masked_fill(~mask, -torch.inf)
            column = self.sinks.to(queries.dtype)[None, :, None, None].expand(len(queries), -1, queries.shape[2], 1)
            added = torch.cat([added.expand(-1, column.shape[1], -1, -1), column], -1)
            keys, values = (functional.pad(part, (0, 0, 0, 1)) for part in (keys, values))
        if self.score_cap is None:
            return functional.scaled_dot_product_attention(queries, keys, values, attn_mask=added, scale=self.scale)
        scores = queries @ keys.transpose(-1, -2) * self.scale
        scores = self.score_cap * torch.tanh(scores / self.score_cap)
        scores = scores.masked_fill(~mask, -torch.inf) if added is mask else scores + added
        return torch.softmax(scores.float(), -1).to(values.dtype) @ values

    def store(self, hidden, angles, index, entry, foreseen):
        """Puts new tokens into `entry`."""
        outputs = self.project(hidden, angles)
        rest = outputs if foreseen is None else outputs - foreseen[:, -hidden.shape[1] :]
        numbers, packed = zip(*(group.encode(hidden, rest) for group in self.groups))
        fresh = (torch.cat(numbers, -1), torch.cat(packed, -1), outputs, index)
        if entry.heads is None:
            entry.append(*fresh)
        else:
            own = LayerCache(0)
            own.append(*fresh)
            entry.hold(*self.cached_heads(own, index, angles), index)

    def forward(self, hidden, angles, index, mask, entry, handed_on):
        """`angles`: cosines and sines of all tokens, those in `entry` and the new ones, or None; `index` likewise (see
        cache_kvista.py); `mask` [batch, 1, new, all], or None where kernels may attend to every token. `handed_on`: what layers
        have rebuilt of all tokens in this pass, by their numbers, for those that are predicted from it or read it in place of a cache."""
        new = hidden.shape[1]
        new_angles = None if angles is None else tuple(part[:, -new:] for part in angles)
        foreseen = self.foreseen(handed_on)
        if self.reads is None:
            self.store(hidden, new_angles, index[:, -new:], entry, foreseen)

        queries = self.queries(hidden, new_angles)
        if self.query_growth is not None:
            ages = index[:, -new:].clamp(min=0).div(self.query_growth["every"], rounding_mode="floor")
            queries = queries * (1 + self.query_growth["rate"] * ages.log1p()).to(queries.dtype)[..., None, None]
        if mask is None and self.kernels is not None and entry.length > entry.exact_tokens:
            return self.attend_by_kernels(entry, queries, angles)
        if entry.asked:
            entry.ask(queries)
        angles, index, mask = entry.placed(angles, index, mask)
        keys, values = self.attended_heads(*self.cached_heads(entry, index, angles, foreseen, handed_on))

        share = self.heads // keys.shape[2]
        keys, values = (part.transpose(1, 2).repeat_interleave(share, 1) for part in (keys, values))
        mixed = self.attend(queries.transpose(1, 2), keys, values, index, mask)
        return self.o_proj(mixed.transpose(1, 2).flatten(-2))
