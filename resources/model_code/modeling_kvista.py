# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""A decoder whose key-value cache holds compressed latents, for Hugging Face transformers 4.44 and later.

Every token's keys and values go through down-projection, coder and up-projection before attention sees them, whether they
come from the cache or from the same call, so a forward pass without a cache computes what generation computes.
"""

import torch
from torch import nn
from torch.nn import functional
from transformers import GenerationMixin, PreTrainedModel
from transformers.activations import ACT2FN
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast

from .cache_kvista import KVistaCache, LatentCoder, LayerCache
from .configuration_kvista import KVistaConfig
from .kernels_kvista import LatentKernels, load_kernels
from .rotation_kvista import rotary_frequencies, rotate


class KVistaRMSNorm(nn.Module):
    def __init__(self, width, epsilon):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, states):
        wide = states.float()
        wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.epsilon)
        return self.weight * wide.to(states.dtype)


class KVistaBias(nn.Module):
    """The bias of a projection whose weight lives in the groups' factors."""

    def __init__(self, width):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(width))


class KVistaGroup(nn.Module):
    """Heads that share one latent: z = down x (x: the layer's input, or the heads' own outputs), y ~ up z."""

    def __init__(self, group, columns, hidden_size):
        super().__init__()
        self.columns = columns
        self.from_hidden = group["input"] == "hidden"
        self.coder = LatentCoder(group["runs"])
        identity = group["identity"]
        inputs = hidden_size if self.from_hidden else len(columns)
        self.down = nn.Linear(inputs, self.coder.rank, bias=False) if self.from_hidden or not identity else None
        self.up = nn.Linear(self.coder.rank, len(columns), bias=False) if not identity else None
        self.steps = nn.Parameter(torch.ones(self.coder.coded), requires_grad=False) if self.coder.coded else None

    def encode(self, hidden, outputs):
        source = hidden if self.from_hidden else outputs[..., self.columns]
        return self.coder.encode(source if self.down is None else self.down(source), self.steps)

    def decode(self, numbers, packed):
        latent = self.coder.decode(numbers, packed, self.steps)
        return latent if self.up is None else self.up(latent)


class KVistaAttention(nn.Module):
    def __init__(self, config, layer):
        super().__init__()
        decoder = config.kvista["decoder"]
        hidden_size, biases, epsilon = config.hidden_size, decoder["biases"], decoder["norm_epsilon"]
        self.heads, self.kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.head_dim, self.value_head_dim = config.head_dim, decoder["value_head_dim"]
        self.key_width, value_width = self.kv_heads * self.head_dim, self.kv_heads * self.value_head_dim
        self.scale = decoder["attention_scale"]
        self.after_rope = config.kvista["key_position"] == "after_rope"

        groups = config.kvista["layers"][layer]["groups"]
        self.groups = nn.ModuleList([KVistaGroup(group, self.columns(group), hidden_size) for group in groups])
        order = [column for group in self.groups for column in group.columns]
        self.restore = sorted(range(len(order)), key=order.__getitem__)  # group by group -> keys, then values

        def projection(side, width):
            if any(slot[0] == side for group in groups if group["input"] == "heads" for slot in group["slots"]):
                return nn.Linear(hidden_size, width, bias=side in biases)
            return KVistaBias(width) if side in biases else None

        self.q_proj = nn.Linear(hidden_size, self.heads * self.head_dim, bias="query" in biases)
        self.k_proj = projection("key", self.key_width)
        self.v_proj = projection("value", value_width)
        self.o_proj = nn.Linear(self.heads * self.value_head_dim, hidden_size, bias="output" in biases)
        self.kernels = None  # LatentKernels, chosen when a cache is begun
        self.q_norm = KVistaRMSNorm(self.head_dim, epsilon) if decoder["query_key_norm"] else None
        self.k_norm = KVistaRMSNorm(self.head_dim, epsilon) if decoder["query_key_norm"] else None

    def columns(self, group):
        """Where the slots' outputs lie in [keys of all heads; values of all heads]."""
        columns = []
        for side, head in group["slots"]:
            width = self.head_dim if side == "key" else self.value_head_dim
            begin = head * width + (0 if side == "key" else self.key_width)
            columns.extend(range(begin, begin + width))
        return columns

    def heads_of(self, states, norm, angles, width):
        """[batch, tokens, heads * width] -> normed and rotated, [batch, tokens, heads, width]."""
        states = states.unflatten(-1, (-1, width))
        states = states if norm is None else norm(states)
        return states if angles is None else rotate(states, angles)

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

    def rebuild(self, entry, index):
        """Keys and values of every cached token, [batch, tokens, key width + value width]."""
        numbers = entry.numbers.split([group.coder.numbers for group in self.groups], -1)
        packed = entry.packed.split([group.coder.bytes for group in self.groups], -1)
        rebuilt = torch.cat([group.decode(*parts) for group, *parts in zip(self.groups, numbers, packed)], -1)
        if self.restore != list(range(len(self.restore))):
            rebuilt = rebuilt[..., self.restore]
        return entry.insert_exact(rebuilt, index)

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

    def forward(self, hidden, angles, index, mask, entry):
        """`angles`: cosines and sines of all tokens, those in `entry` and the new ones, or None; `index` likewise (see
        cache_kvista.py); `mask` [batch, 1, new, all], or None where kernels may attend to every token."""
        new = hidden.shape[1]
        new_angles = None if angles is None else tuple(part[:, -new:] for part in angles)
        outputs = self.project(hidden, new_angles)
        numbers, packed = zip(*(group.encode(hidden, outputs) for group in self.groups))
        entry.append(torch.cat(numbers, -1), torch.cat(packed, -1), outputs, index[:, -new:])

        queries = self.heads_of(self.q_proj(hidden), self.q_norm, new_angles, self.head_dim)
        if mask is None and self.kernels is not None and entry.length > entry.exact_tokens:
            return self.attend_by_kernels(entry, queries, angles)
        rebuilt = self.rebuild(entry, index)
        keys, values = rebuilt[..., : self.key_width], rebuilt[..., self.key_width :]
        if self.after_rope:
            keys = keys.unflatten(-1, (-1, self.head_dim))
        else:
            if self.k_proj is not None and self.k_proj.bias is not None:
                keys = keys + self.k_proj.bias
            keys = self.heads_of(keys, self.k_norm, angles, self.head_dim)
        if self.v_proj is not None and self.v_proj.bias is not None:
            values = values + self.v_proj.bias

        share = self.heads // self.kv_heads
        keys = keys.transpose(1, 2).repeat_interleave(share, 1)
        values = values.unflatten(-1, (-1, self.value_head_dim)).transpose(1, 2).repeat_interleave(share, 1)
        mixed = functional.scaled_dot_product_attention(
            queries.transpose(1, 2), keys, values, attn_mask=mask, scale=self.scale
        )
        return self.o_proj(mixed.transpose(1, 2).flatten(-2))


class KVistaMLP(nn.Module):
    def __init__(self, config):
        super().__init__()
        decoder, width = config.kvista["decoder"], config.intermediate_size
        bias = "mlp" in decoder["biases"]
        self.gate_proj = nn.Linear(config.hidden_size, width, bias=bias)
        self.up_proj = nn.Linear(config.hidden_size, width, bias=bias)
        self.down_proj = nn.Linear(width, config.hidden_size, bias=bias)
        self.activation = ACT2FN[decoder["activation"]]

    def forward(self, hidden):
        return self.down_proj(self.activation(self.gate_proj(hidden)) * self.up_proj(hidden))


class KVistaDecoderLayer(nn.Module):
    def __init__(self, config, layer):
        super().__init__()
        epsilon = config.kvista["decoder"]["norm_epsilon"]
        self.self_attn = KVistaAttention(config, layer)
        self.mlp = KVistaMLP(config)
        self.input_layernorm = KVistaRMSNorm(config.hidden_size, epsilon)
        self.post_attention_layernorm = KVistaRMSNorm(config.hidden_size, epsilon)

    def forward(self, hidden, angles, index, mask, entry):
        hidden = hidden + self.self_attn(self.input_layernorm(hidden), angles, index, mask, entry)
        return hidden + self.mlp(self.post_attention_layernorm(hidden))


class KVistaPreTrainedModel(PreTrainedModel):
    config_class = KVistaConfig
    base_model_prefix = "model"
    _no_split_modules = ["KVistaDecoderLayer"]
    _supports_sdpa = True
    _supports_cache_class = True

    @classmethod
    def _supports_default_dynamic_cache(cls, *args):
        return False  # this model has a cache class of its own

    def _init_weights(self, module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=self.config.initializer_range)
        if isinstance(getattr(module, "bias", None), nn.Parameter):
            nn.init.zeros_(module.bias)
        if isinstance(module, KVistaRMSNorm):
            nn.init.ones_(module.weight)
        if isinstance(module, KVistaGroup) and module.steps is not None:
            nn.init.ones_(module.steps)


class KVistaModel(KVistaPreTrainedModel):
    def __init__(self, config):
        super().__init__(config)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        layers = range(config.num_hidden_layers)
        self.layers = nn.ModuleList([KVistaDecoderLayer(config, layer) for layer in layers])
        self.norm = KVistaRMSNorm(config.hidden_size, config.kvista["decoder"]["norm_epsilon"])
        self.operators = load_kernels(config.name_or_path)
        self.post_init()

    def choose_kernels(self, dtype):
        """For a cache that begins: kernels want its records laid out for them."""
        ropes = self.config.kvista["decoder"]["ropes"]
        for layer, described in zip(self.layers, self.config.kvista["layers"]):
            rope = None if described["rope"] is None else ropes[described["rope"]]
            if (kernels := layer.self_attn.kernels) is None or not kernels.is_of(layer.self_attn):
                layer.self_attn.kernels = LatentKernels.of(layer.self_attn, self.operators, rope, dtype)

    def get_input_embeddings(self):
        return self.embed_tokens

    def set_input_embeddings(self, value):
        self.embed_tokens = value

    def angles(self, positions, dtype):
        """Cosines and sines for each kind of rope, at `positions` [batch, tokens]."""
        angles = []
        for rope in self.config.kvista["decoder"]["ropes"]:
            stretches = "dynamic" in rope or "long_inverse_frequencies" in rope
            length = int(positions.max()) + 1 if stretches else 0
            turns = positions.float().unsqueeze(-1) * rotary_frequencies(rope, length).to(positions.device)
            angles.append(tuple((part * rope["scale"]).to(dtype) for part in (turns.cos(), turns.sin())))
        return angles

    @staticmethod
    def runs_kernels(hidden):
        return hidden.is_cuda

    @staticmethod
    def mask(seen, past, window):
        """Which tokens each new token attends to, [batch, 1, new, all]: causal, not to padding, at most `window` back. A
        token always sees itself, so that rows of padding stay finite. `seen` [batch, all]."""
        places = torch.arange(seen.shape[1], device=seen.device)
        back = places[past:, None] - places[None, :]
        allowed = (back >= 0) if window is None else (back >= 0) & (back < window)
        return ((allowed & seen.unsqueeze(1)) | (back == 0)).unsqueeze(1)

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
        """`attention_mask` [batch, cached + new tokens], 0 for padding. `position_ids` are those of the new tokens; cached
        tokens are taken to stand right before them."""
        if output_attentions:
            raise ValueError("A KVista model computes no attention weights that it could return; leave output_attentions off.")
        if past_key_values is not None and not isinstance(past_key_values, KVistaCache):
            raise TypeError(f"past_key_values must be a KVistaCache, not {type(past_key_values).__name__}.")
        hidden = self.embed_tokens(input_ids) if inputs_embeds is None else inputs_embeds
        (batch, new), device = hidden.shape[:2], hidden.device
        if past_key_values is None and (self.config.use_cache if use_cache is None else use_cache):
            past_key_values = KVistaCache(self.config)
        past = 0 if past_key_values is None else past_key_values.get_seq_length()

        if attention_mask is None:
            attention_mask = torch.ones(batch, past + new, dtype=torch.bool, device=device)
        if attention_mask.shape != (batch, past + new):
            raise ValueError(
                f"attention_mask has shape {tuple(attention_mask.shape)}; {batch} rows of {past} cached and {new} new tokens "
                f"need {(batch, past + new)}."
            )
        seen = attention_mask.to(device).bool()
        index = torch.where(seen, seen.long().cumsum(-1) - 1, -1)
        if position_ids is None:
            position_ids = index[:, past:].clamp(min=0)
        position_ids = position_ids.expand(batch, -1)
        before = (position_ids[:, :1] - torch.arange(past, 0, -1, device=device)).clamp(min=0)
        angles = self.angles(torch.cat([before, position_ids], 1), hidden.dtype)

        if self.operators is not None and past == 0 and not self.training and self.runs_kernels(hidden):
            self.choose_kernels(hidden.dtype)
        # Kernels take one new token of every row that has no padding and whose positions count from its beginning.
        alone = self.operators is not None and new == 1 and past > 0 and not torch.is_grad_enabled() and self.runs_kernels(hidden)
        whole = alone and bool((seen.all() & (position_ids[:, -1] == past).all()).item())
        exact_tokens, masks = self.config.kvista["exact_tokens"], {}
        hidden_states = []
        for number, (layer, described) in enumerate(zip(self.layers, self.config.kvista["layers"])):
            hidden_states.append(hidden)
            window, rope = described["window"], described["rope"]
            by_kernels = whole and layer.self_attn.kernels is not None and (window is None or past < window)
            if not by_kernels and window not in masks:
                masks[window] = self.mask(seen, past, window)
            entry = LayerCache(exact_tokens) if past_key_values is None else past_key_values.layers[number]
            hidden = layer(hidden, None if rope is None else angles[rope], index, None if by_kernels else masks[window], entry)
        hidden = self.norm(hidden)
        hidden_states.append(hidden)
        wanted = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        output = BaseModelOutputWithPast(
            last_hidden_state=hidden,
            past_key_values=past_key_values,
            hidden_states=tuple(hidden_states) if wanted else None,
        )
        return output.to_tuple() if return_dict is False else output


class KVistaForCausalLM(KVistaPreTrainedModel, GenerationMixin):
    _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}

    def __init__(self, config):
        super().__init__(config)
        self.model = KVistaModel(config)
        self.vocab_size = config.vocab_size
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def get_input_embeddings(self):
        return self.model.embed_tokens

    def set_input_embeddings(self, value):
        self.model.embed_tokens = value

    def get_output_embeddings(self):
        return self.lm_head

    def set_output_embeddings(self, value):
        self.lm_head = value

    def forward(self, input_ids=None, labels=None, logits_to_keep=0, return_dict=None, **kwargs):
        """As KVistaModel.forward. With `labels` [batch, tokens] (-100: not counted) the answer holds the mean loss;
        `logits_to_keep` last tokens get logits, 0: all."""
        outputs = self.model(input_ids=input_ids, return_dict=True, **kwargs)
        hidden = outputs.last_hidden_state
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) and logits_to_keep else slice(None)
        logits = self.lm_head(hidden[:, logits_to_keep if isinstance(logits_to_keep, torch.Tensor) else kept])
        loss = None
        if labels is not None:
            loss = functional.cross_entropy(
                logits[:, :-1].float().flatten(0, 1), labels[:, 1:].flatten().to(logits.device), ignore_index=-100
            )
        output = CausalLMOutputWithPast(
            loss=loss, logits=logits, past_key_values=outputs.past_key_values, hidden_states=outputs.hidden_states
        )
        return output.to_tuple() if return_dict is False else output

    def _prepare_cache_for_generation(self, generation_config, model_kwargs, *args, **kwargs):
        """Called by generate() of transformers 4.45 and later; in 4.44 the first forward pass makes the cache. A
        `cache_implementation`, which some generation_config.json ask for, is not followed."""
        if model_kwargs.get("past_key_values") is None and generation_config.use_cache:
            model_kwargs["past_key_values"] = KVistaCache(self.config)

    def prepare_inputs_for_generation(
        self, input_ids, past_key_values=None, attention_mask=None, inputs_embeds=None, position_ids=None, **kwargs
    ):
        """Leaves the tokens that the cache does not have yet. `input_ids` are either all tokens or only the new ones."""
        past = 0 if past_key_values is None else past_key_values.get_seq_length()
        inputs = {"past_key_values": past_key_values, "attention_mask": attention_mask}
        if inputs_embeds is not None and past == 0:
            inputs["inputs_embeds"] = inputs_embeds
            new = inputs_embeds.shape[1]
        else:
            new = (input_ids.shape[1] if attention_mask is None else attention_mask.shape[1]) - past
            inputs["input_ids"] = input_ids[:, -new:].contiguous()
        if position_ids is None and attention_mask is not None:
            position_ids = (attention_mask.long().cumsum(-1) - 1).clamp(min=0)
        inputs["position_ids"] = None if position_ids is None else position_ids[:, -new:]
        for name in ("use_cache", "output_hidden_states", "logits_to_keep"):
            if name in kwargs:
                inputs[name] = kwargs[name]
        return inputs
