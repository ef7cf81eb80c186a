# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""A decoder whose rotated keys and whose values are projected to few numbers before they are cached, for stock caches and
attention kernels: those of transformers, and of engines that bring their own through transformers' attention interface.
"""

import torch
from torch import nn
from torch.nn import functional
from transformers import DynamicCache, GenerationMixin

try:
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
except ImportError:  # before transformers 4.48
    ALL_ATTENTION_FUNCTIONS = {}

from .blocks_kvista import KVistaNorm
from .configuration_kvista import KVistaServingConfig
from .decoder_kvista import KVistaCausalDecoder, KVistaDecoder
from .layer_fields_kvista import check_layers  # noqa: F401: see modeling_kvista.py
from .policy_fields_kvista import check_policy  # noqa: F401
from .rotation_kvista import rotary_frequencies, rotate


def attend(module, queries, keys, values, mask, scaling, **kwargs):
    """Where transformers has no function for what the configuration asks for."""
    share = queries.shape[1] // keys.shape[1]
    keys, values = (part.repeat_interleave(share, 1) for part in (keys, values))
    mixed = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask, scale=scaling)
    return mixed.transpose(1, 2), None


class KVistaRope(nn.Module):
    """Angles of one kind of rotation."""

    def __init__(self, described):
        super().__init__()
        self.described = described
        self.register_buffer("frequencies", rotary_frequencies(described, 0), persistent=False)

    @torch.no_grad()
    def reset(self):
        """Loaders that make models without numbers ask for them afterwards."""
        self.frequencies.copy_(rotary_frequencies(self.described, 0))

    def forward(self, positions, dtype):
        """Cosines and sines at `positions` [batch, tokens], each [batch, tokens, pairs]."""
        turns, scale = positions.float().unsqueeze(-1) * self.frequencies, self.described.get("scale", 1.0)
        return tuple((part * scale).to(dtype) for part in (turns.cos(), turns.sin()))


class KVistaServingAttention(nn.Module):
    """Of each key-value head the cache holds r numbers for the rotated key, `key_basis^T k`, and r for the value. Queries get
    `query_basis^T q`, so that scores are those of the rebuilt keys; values are rebuilt by the output projection."""

    def __init__(self, config, layer):
        super().__init__()
        described, rope = config.block_of(layer)["attention"], config.block_of(layer)["attention"].get("rope")
        hidden_size, biases = config.hidden_size, described.get("biases", [])
        heads, kv_heads, rank, self.width = config.num_attention_heads, config.num_key_value_heads, config.head_dim, config.rope_head_dim
        self.config, self.layer_idx, self.is_causal = config, layer, True
        self.num_key_value_groups, self.scaling, self.window = heads // kv_heads, described["scale"], described.get("window")
        self.interleaved = rope is not None and config.kvista["decoder"]["ropes"][rope].get("interleaved", False)
        self.q_proj = nn.Linear(hidden_size, heads * self.width, bias="query" in biases)
        self.k_proj = nn.Linear(hidden_size, kv_heads * self.width, bias="key" in biases)
        self.v_proj = nn.Linear(hidden_size, kv_heads * rank, bias=False)
        self.o_proj = nn.Linear(heads * rank, hidden_size, bias="output" in biases)
        self.q_norm, self.k_norm = (
            KVistaNorm(described[name]) if name in described else None for name in ("query_norm", "key_norm")
        )
        # Over all heads together, or each alone. Engines put norms of their own in these places, which do not say so.
        self.norms_all = any(described[name]["width"] != self.width for name in ("query_norm", "key_norm") if name in described)
        self.norms_after_rope = described.get("norms_after_rope", False)
        self.query_basis = nn.Parameter(torch.zeros(kv_heads, self.width, rank))
        self.key_basis = nn.Parameter(torch.zeros(kv_heads, self.width, rank))

    def heads_of(self, states, norm, angles):
        """[batch, tokens, heads * width] -> normed and rotated, [batch, tokens, heads, width]."""
        if norm is not None and self.norms_all:
            states, norm = norm(states), None
        states = states.unflatten(-1, (-1, self.width))
        if angles is not None and self.norms_after_rope:
            states, angles = rotate(states, angles, self.interleaved), None
        states = states if norm is None else norm(states)
        return states if angles is None else rotate(states, angles, self.interleaved)

    def forward(self, hidden, angles, masks, cache, **kwargs):
        """`masks` answers what the attention function wants as its mask, for a number of keys."""
        queries = self.heads_of(self.q_proj(hidden), self.q_norm, angles)
        keys = self.heads_of(self.k_proj(hidden), self.k_norm, angles)
        values = self.v_proj(hidden).unflatten(-1, (keys.shape[2], -1)).transpose(1, 2)
        queries = (queries.unflatten(2, (keys.shape[2], -1)) @ self.query_basis).flatten(2, 3).transpose(1, 2)
        keys = (keys.unsqueeze(-2) @ self.key_basis).squeeze(-2).transpose(1, 2)
        if cache is not None:
            keys, values = cache.update(keys, values, self.layer_idx)
        function = ALL_ATTENTION_FUNCTIONS.get(self.config._attn_implementation, attend)
        mixed, _ = function(
            self, queries, keys, values, masks(keys.shape[2]), scaling=self.scaling, dropout=0.0, sliding_window=self.window, **kwargs
        )
        return self.o_proj(mixed.reshape(*hidden.shape[:2], -1))


class KVistaServedModel:
    """What both classes below have beside other decoders."""

    config_class = KVistaServingConfig
    _supports_attention_backend = True
    _supports_flash_attn = True
    _supports_flash_attn_2 = True

    def _init_weights(self, module):
        super()._init_weights(module)
        if isinstance(module, KVistaServingAttention):
            for basis in (module.query_basis, module.key_basis):
                nn.init.normal_(basis, std=module.width**-0.5)
        if isinstance(module, KVistaRope):
            module.reset()


class KVistaServingModel(KVistaServedModel, KVistaDecoder):
    def __init__(self, config):
        super().__init__(config, KVistaServingAttention)
        self.ropes = nn.ModuleList([KVistaRope(rope) for rope in config.kvista["decoder"]["ropes"]])
        self.post_init()

    @property
    def makes_masks(self):
        """Whether attention is one of transformers' own functions; an engine keeps count of its tokens itself."""
        implementation = self.config._attn_implementation
        return implementation in (None, "eager", "sdpa") or "flash" in implementation

    def masks(self, seen, new, window):
        """A function from a number of keys, the last of `seen` [batch, all], to what the attention function wants: which of them each
        new token attends to, [batch, 1, new, keys], or which are no padding, [batch, keys]."""
        flash, made = "flash" in (self.config._attn_implementation or ""), {}

        def make(count):
            if seen is None:
                return None
            kept = seen[:, -count:]
            if flash:
                return None if kept.all() else kept.long()
            places = torch.arange(count, device=seen.device)
            back = places[count - new :, None] - places[None, :]
            allowed = (back >= 0) if window is None else (back >= 0) & (back < window)
            return ((allowed & kept.unsqueeze(1)) | (back == 0)).unsqueeze(1)

        def mask(count):
            if count not in made:
                made[count] = make(count)
            return made[count]

        return mask

    def forward(
        self,
        input_ids=None,
        attention_mask=None,
        position_ids=None,
        past_key_values=None,
        inputs_embeds=None,
        use_cache=None,
        output_hidden_states=None,
        return_dict=None,
        output_attentions=False,
        **kwargs,
    ):
        """`attention_mask` [batch, cached + new tokens], 0 for padding. What it does not know is handed down to the attention
        function."""
        embedded = self.embed_tokens(input_ids) if inputs_embeds is None else inputs_embeds
        (batch, new), device = embedded.shape[:2], embedded.device
        if past_key_values is None and (self.config.use_cache if use_cache is None else use_cache):
            past_key_values = DynamicCache()
        past = 0 if past_key_values is None else past_key_values.get_seq_length()
        seen = None
        if self.makes_masks:
            if attention_mask is None:
                attention_mask = torch.ones(batch, past + new, dtype=torch.bool, device=device)
            seen = attention_mask.to(device).bool()
            if position_ids is None:
                position_ids = (seen.long().cumsum(-1) - 1).clamp(min=0)[:, past:]
        position_ids = position_ids.expand(batch, -1)
        hidden = self.embed(embedded, position_ids)
        angles = [rope(position_ids, hidden.dtype) for rope in self.ropes]
        masks, hidden_states = {}, []
        for layer in self.layers:
            hidden_states.append(hidden)
            if layer.window not in masks:
                masks[layer.window] = self.masks(seen, new, layer.window)
            hidden = layer(hidden, None if layer.rope is None else angles[layer.rope], masks[layer.window], past_key_values, **kwargs)
        return self.output(hidden, hidden_states, past_key_values, output_hidden_states, return_dict)


class KVistaServingForCausalLM(KVistaServedModel, KVistaCausalDecoder, GenerationMixin):
    def __init__(self, config):
        super().__init__(config, KVistaServingModel)
