# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""A decoder whose key-value cache holds compressed latents, for Hugging Face transformers 4.44 and later.

What it is built of is said in its configuration (configuration_kvista.py), so that one code serves all families.
"""

import torch
from torch import nn
from transformers import GenerationMixin

from .attention_kvista import KVistaAttention, KVistaGroup
from .blocks_kvista import KVistaNorm  # noqa: F401: of a folder transformers 4.44 takes along only what this file itself imports
from .cache_kvista import KVistaCache, LayerCache
from .codes_kvista import pack_codes  # noqa: F401
from .configuration_kvista import KVistaConfig
from .decoder_kvista import KVistaCausalDecoder, KVistaDecoder
from .coders_kvista import Coder  # noqa: F401
from .held_kvista import HOLDERS  # noqa: F401
from .kernels_kvista import LatentKernels, load_kernels
from .layer_cache_kvista import PlacedLayer  # noqa: F401
from .merged_kvista import Merging  # noqa: F401
from .layer_fields_kvista import check_layers  # noqa: F401
from .policy_fields_kvista import check_policy  # noqa: F401
from .policy_kvista import Policy  # noqa: F401
from .predictors_kvista import FORETELLERS, foreteller_of
from .rotation_kvista import rotary_frequencies
from .scorers_kvista import LayerView  # noqa: F401
from .trellis_kvista import trellis_codes  # noqa: F401


TOKEN_NUMBER_BYTES = 4


class KVistaLatentModel:
    """What both classes below have beside other decoders: a cache class of their own, and groups."""

    config_class = KVistaConfig
    _keep_in_fp32_modules_strict = ["correction", "foreteller"]

    @classmethod
    def _supports_default_dynamic_cache(cls, *args):
        return False

    def _init_weights(self, module):
        super()._init_weights(module)
        if isinstance(module, KVistaGroup) and module.steps is not None:
            nn.init.ones_(module.steps)
        if isinstance(module, (nn.ParameterList, nn.Conv2d, *FORETELLERS.values())):  # no policy shall foretell by what was not loaded
            for part in module.parameters():
                nn.init.constant_(part, torch.nan)


class KVistaModel(KVistaLatentModel, KVistaDecoder):
    def __init__(self, config):
        super().__init__(config, KVistaAttention)
        self.foreteller = foreteller_of(config)
        self.operators = load_kernels(config.name_or_path)
        self.post_init()

    def choose_kernels(self, dtype):
        """For a cache that begins: kernels want its records laid out for them."""
        ropes = self.config.kvista["decoder"]["ropes"]
        for layer in self.layers:
            rope = None if layer.rope is None else ropes[layer.rope]
            if (kernels := layer.self_attn.kernels) is None or not kernels.is_of(layer.self_attn):
                layer.self_attn.kernels = LatentKernels.of(layer.self_attn, self.operators, rope, dtype)

    def angles(self, positions, dtype):
        """Cosines and sines for each kind of rope, at `positions` [batch, tokens]."""
        angles = []
        for rope in self.config.kvista["decoder"]["ropes"]:
            stretches = "dynamic" in rope or "long_inverse_frequencies" in rope
            length = int(positions.max()) + 1 if stretches else 0
            turns = positions.float().unsqueeze(-1) * rotary_frequencies(rope, length).to(positions.device)
            angles.append(tuple((part * rope.get("scale", 1.0)).to(dtype) for part in (turns.cos(), turns.sin())))
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

    def first_outputs(self, entry, input_ids, index, positions):
        """Keys and values of the first layer of all tokens, [batch, tokens, width], computed of their numbers: `entry` holds those, and
        gets the new ones."""
        new = input_ids.to(torch.int32).contiguous().view(torch.uint8).unflatten(-1, (-1, TOKEN_NUMBER_BYTES))
        entry.append(self.embed_tokens.weight.new_zeros((*input_ids.shape, 0)), new, None, index[:, -input_ids.shape[1] :])
        numbers = entry.packed.contiguous().view(torch.int32).squeeze(-1).long()
        first = self.layers[0]
        return first.self_attn.project(first.attention_input(self.embed(self.embed_tokens(numbers), positions)), None)

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
        if input_ids is None and self.config.numbers_tokens(0):
            raise ValueError("The cache of this model holds the numbers of tokens, so it needs input_ids, not inputs_embeds.")
        embedded = self.embed_tokens(input_ids) if inputs_embeds is None else inputs_embeds
        (batch, new), device = embedded.shape[:2], embedded.device
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
        hidden = self.embed(embedded, position_ids)
        positions = torch.cat([before, position_ids], 1)
        angles = self.angles(positions, hidden.dtype)

        policy = None if past_key_values is None else past_key_values.policy
        by_operators = self.operators is not None and policy is None and self.runs_kernels(hidden)
        if by_operators and past == 0 and not self.training:
            self.choose_kernels(hidden.dtype)
        # Kernels take one new token of every row that has no padding and whose positions count from its beginning.
        alone = by_operators and new == 1 and past > 0 and not torch.is_grad_enabled()
        whole = alone and bool((seen.all() & (position_ids[:, -1] == past).all()).item())
        exact_tokens, masks = self.config.kvista["exact_tokens"], {}
        hidden_states, handed_on = [], {}
        if self.config.numbers_tokens(0):
            entry = LayerCache(0) if past_key_values is None else past_key_values.layers[0]
            handed_on[0] = self.first_outputs(entry, input_ids, index, positions)
        for number, layer in enumerate(self.layers):
            hidden_states.append(hidden)
            window, rope = layer.window, layer.rope
            by_kernels = whole and layer.self_attn.kernels is not None and (window is None or past < window)
            if not by_kernels and window not in masks:
                masks[window] = self.mask(seen, past, window)
            entry = LayerCache(exact_tokens) if past_key_values is None else past_key_values.layers[number]
            hidden = layer(hidden, None if rope is None else angles[rope], index, None if by_kernels else masks[window], entry, handed_on)
        if policy is not None:
            policy.read(self, past_key_values, input_ids, angles, index)
        return self.output(hidden, hidden_states, past_key_values, output_hidden_states, return_dict)


class KVistaForCausalLM(KVistaLatentModel, KVistaCausalDecoder, GenerationMixin):
    def __init__(self, config):
        super().__init__(config, KVistaModel)

    def _prepare_cache_for_generation(self, generation_config, model_kwargs, *args, **kwargs):
        """Called by generate() of transformers 4.45 and later; in 4.44 the first forward pass makes the cache. A
        `cache_implementation`, which some generation_config.json ask for, is not followed."""
        if model_kwargs.get("past_key_values") is None and generation_config.use_cache:
            model_kwargs["past_key_values"] = KVistaCache(self.config)
