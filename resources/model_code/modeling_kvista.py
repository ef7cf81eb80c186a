# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""A decoder whose key-value cache holds compressed latents, for Hugging Face transformers 4.44 and later.

What it is built of is said in its configuration (configuration_kvista.py), so that one code serves all families.
"""

import torch
from torch import nn
from torch.nn import functional
from transformers import GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast

from .attention_kvista import KVistaAttention, KVistaGroup
from .blocks_kvista import KVistaNorm, feed_forward_of, norm_of
from .cache_kvista import KVistaCache, LayerCache
from .configuration_kvista import KVistaConfig
from .kernels_kvista import LatentKernels, load_kernels
from .rotation_kvista import rotary_frequencies


class KVistaDecoderLayer(nn.Module):
    """Attention and feed-forward, as their block's arrangement puts them on the residual stream."""

    def __init__(self, config, layer):
        super().__init__()
        block = config.block_of(layer)
        self.arrangement = block.get("arrangement", "sequential")
        self.residual_multiplier = block.get("residual_multiplier", 1)
        self.shares_norm = "feed_forward_norm" not in block
        self.rope, self.window = block["attention"].get("rope"), block["attention"].get("window")
        self.self_attn = KVistaAttention(config, layer)
        self.mlp = feed_forward_of(config.hidden_size, block["feed_forward"])
        self.input_layernorm = norm_of(block.get("attention_norm"))
        self.attention_output_norm = norm_of(block.get("attention_output_norm"))
        self.post_attention_layernorm = norm_of(block.get("feed_forward_norm"))
        self.feed_forward_output_norm = norm_of(block.get("feed_forward_output_norm"))

    def forward(self, hidden, angles, index, mask, entry):
        def attended(states):
            return self.scaled(self.attention_output_norm(self.self_attn(states, angles, index, mask, entry)))

        def fed_forward(states):
            return self.scaled(self.feed_forward_output_norm(self.mlp(states)))

        if self.arrangement == "normed_sums":
            hidden = self.input_layernorm(hidden + attended(hidden))
            return self.post_attention_layernorm(hidden + fed_forward(hidden))
        normed = self.input_layernorm(hidden)
        if self.arrangement == "parallel":
            second = normed if self.shares_norm else self.post_attention_layernorm(hidden)
            return hidden + (attended(normed) + fed_forward(second))
        hidden = hidden + attended(normed)
        return hidden + fed_forward(self.post_attention_layernorm(hidden))

    def scaled(self, states):
        return states if self.residual_multiplier == 1 else states * self.residual_multiplier


class KVistaPreTrainedModel(PreTrainedModel):
    config_class = KVistaConfig
    base_model_prefix = "model"
    _no_split_modules = ["KVistaDecoderLayer"]
    _keep_in_fp32_modules_strict = ["correction"]
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
        if isinstance(module, KVistaNorm) and module.weight is not None:
            nn.init.constant_(module.weight, 1.0 - module.offset)
        if isinstance(module, KVistaGroup) and module.steps is not None:
            nn.init.ones_(module.steps)


class KVistaModel(KVistaPreTrainedModel):
    def __init__(self, config):
        super().__init__(config)
        decoder, hidden_size = config.kvista["decoder"], config.hidden_size
        embedding, head = decoder["embedding"], decoder["head"]
        width, self.multiplier = embedding.get("width", hidden_size), embedding.get("multiplier", 1)
        self.embed_tokens = nn.Embedding(config.vocab_size, width)
        projection, positions = embedding.get("projection"), embedding.get("positions")
        self.project_in = None if projection is None else nn.Linear(width, hidden_size, bias=projection.get("bias", False))
        self.embed_positions = None if positions is None else nn.Embedding(positions["rows"], hidden_size)
        self.first_position = 0 if positions is None else positions.get("offset", 0)  # its row
        self.embed_norm = norm_of(embedding.get("norm"))
        layers = range(config.num_hidden_layers)
        self.layers = nn.ModuleList([KVistaDecoderLayer(config, layer) for layer in layers])
        self.norm = norm_of(head.get("norm"))
        projection = head.get("projection")
        self.project_out = None
        if projection is not None:
            self.project_out = nn.Linear(hidden_size, projection["width"], bias=projection.get("bias", False))
        self.operators = load_kernels(config.name_or_path)
        self.post_init()

    def choose_kernels(self, dtype):
        """For a cache that begins: kernels want its records laid out for them."""
        ropes = self.config.kvista["decoder"]["ropes"]
        for layer in self.layers:
            rope = None if layer.rope is None else ropes[layer.rope]
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
            angles.append(tuple((part * rope.get("scale", 1.0)).to(dtype) for part in (turns.cos(), turns.sin())))
        return angles

    def embed(self, embedded, positions):
        """The residual stream before the first layer, of tokens' embeddings [batch, tokens, width]."""
        if self.multiplier != 1:
            embedded = embedded * torch.tensor(self.multiplier, dtype=embedded.dtype, device=embedded.device)
        hidden = embedded if self.project_in is None else self.project_in(embedded)
        if self.embed_positions is not None:
            learned, last = self.embed_positions.num_embeddings - self.first_position, int(positions.max())
            if last >= learned:
                raise ValueError(f"The model has learned positions for {learned} tokens; a sequence of {last + 1} is too long.")
            hidden = hidden + self.embed_positions(positions + self.first_position)
        return self.embed_norm(hidden)

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
        angles = self.angles(torch.cat([before, position_ids], 1), hidden.dtype)

        if self.operators is not None and past == 0 and not self.training and self.runs_kernels(hidden):
            self.choose_kernels(hidden.dtype)
        # Kernels take one new token of every row that has no padding and whose positions count from its beginning.
        alone = self.operators is not None and new == 1 and past > 0 and not torch.is_grad_enabled() and self.runs_kernels(hidden)
        whole = alone and bool((seen.all() & (position_ids[:, -1] == past).all()).item())
        exact_tokens, masks = self.config.kvista["exact_tokens"], {}
        hidden_states = []
        for number, layer in enumerate(self.layers):
            hidden_states.append(hidden)
            window, rope = layer.window, layer.rope
            by_kernels = whole and layer.self_attn.kernels is not None and (window is None or past < window)
            if not by_kernels and window not in masks:
                masks[window] = self.mask(seen, past, window)
            entry = LayerCache(exact_tokens) if past_key_values is None else past_key_values.layers[number]
            hidden = layer(hidden, None if rope is None else angles[rope], index, None if by_kernels else masks[window], entry)
        hidden = self.norm(hidden)
        if self.project_out is not None:
            hidden = self.project_out(hidden)
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
        head = config.kvista["decoder"]["head"]
        width = head.get("projection", {}).get("width", config.hidden_size)
        self.lm_head = nn.Linear(width, config.vocab_size, bias=head.get("bias", False))
        self.multiplier, self.cap = head.get("multiplier", 1), head.get("cap")
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
        logits = logits if self.multiplier == 1 else logits * self.multiplier
        logits = logits if self.cap is None else self.cap * torch.tanh(logits / self.cap)
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
