# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""What decoders have in common whatever their attention: embeddings, layers on the residual stream, and the head."""

import torch
from torch import nn
from torch.nn import functional
from transformers import GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast

from .blocks_kvista import KVistaNorm, feed_forward_of, norm_of
from .rotation_kvista import rotary_frequencies


class KVistaDecoderLayer(nn.Module):
    """Attention and feed-forward, as their block's arrangement puts them on the residual stream."""

    def __init__(self, config, layer, attention):
        super().__init__()
        block = config.block_of(layer)
        self.arrangement = block.get("arrangement", "sequential")
        self.residual_multiplier = block.get("residual_multiplier", 1)
        self.shares_norm = "feed_forward_norm" not in block
        self.rope, self.window = block["attention"].get("rope"), block["attention"].get("window")
        self.self_attn = attention(config, layer)
        self.mlp = feed_forward_of(config.hidden_size, block["feed_forward"])
        self.input_layernorm = norm_of(block.get("attention_norm"))
        self.attention_output_norm = norm_of(block.get("attention_output_norm"))
        self.post_attention_layernorm = norm_of(block.get("feed_forward_norm"))
        self.feed_forward_output_norm = norm_of(block.get("feed_forward_output_norm"))

    def forward(self, hidden, *context, **named):
        """`context` and `named` are handed down to attention."""

        def attended(states):
            return self.scaled(self.attention_output_norm(self.self_attn(states, *context, **named)))

        def fed_forward(states):
            return self.scaled(self.feed_forward_output_norm(self.mlp(states)))

        normed = self.attention_input(hidden)
        if self.arrangement == "normed_sums":
            hidden = self.input_layernorm(hidden + attended(normed))
            return self.post_attention_layernorm(hidden + fed_forward(hidden))
        if self.arrangement == "parallel":
            second = normed if self.shares_norm else self.post_attention_layernorm(hidden)
            return hidden + (attended(normed) + fed_forward(second))
        hidden = hidden + attended(normed)
        return hidden + fed_forward(self.post_attention_layernorm(hidden))

    def attention_input(self, hidden):
        return hidden if self.arrangement == "normed_sums" else self.input_layernorm(hidden)

    def scaled(self, states):
        return states if self.residual_multiplier == 1 else states * self.residual_multiplier


class KVistaDecoderBase(PreTrainedModel):
    base_model_prefix = "model"
    _no_split_modules = ["KVistaDecoderLayer"]
    _keep_in_fp32_modules_strict = ["correction"]
    _supports_sdpa = True
    _supports_cache_class = True

    def _init_weights(self, module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=self.config.initializer_range)
        if isinstance(getattr(module, "bias", None), nn.Parameter):
            nn.init.zeros_(module.bias)
        if isinstance(module, KVistaNorm) and module.weight is not None:
            nn.init.constant_(module.weight, 1.0 - module.offset)


class KVistaDecoder(KVistaDecoderBase):
    """Embeddings, layers with the attention of their model, and the last norm."""

    def __init__(self, config, attention):
        super().__init__(config)
        if not config.kvista:
            raise ValueError("config.json has no kvista, which says what the model is built of. Get the export again.")
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
        self.layers = nn.ModuleList([KVistaDecoderLayer(config, layer, attention) for layer in layers])
        self.norm = norm_of(head.get("norm"))
        projection = head.get("projection")
        self.project_out = None
        if projection is not None:
            self.project_out = nn.Linear(hidden_size, projection["width"], bias=projection.get("bias", False))

    def get_input_embeddings(self):
        return self.embed_tokens

    def set_input_embeddings(self, value):
        self.embed_tokens = value

    def embed(self, embedded, positions):
        """The residual stream before the first layer, of tokens' embeddings [batch, tokens, width]."""
        if self.multiplier != 1:
            embedded = embedded * torch.tensor(self.multiplier, dtype=embedded.dtype, device=embedded.device)
        hidden = embedded if self.project_in is None else self.project_in(embedded)
        if self.embed_positions is not None:
            if not torch.compiler.is_compiling():  # engines that compile keep to the model's length
                self.check_positions(positions)
            hidden = hidden + self.embed_positions(positions + self.first_position)
        return self.embed_norm(hidden)

    def check_positions(self, positions):
        learned, last = self.embed_positions.num_embeddings - self.first_position, int(positions.max())
        if last >= learned:
            raise ValueError(f"The model has learned positions for {learned} tokens; a sequence of {last + 1} is too long.")

    def output(self, hidden, hidden_states, past_key_values, output_hidden_states, return_dict):
        """What forward answers: the last norm of the residual stream behind the last layer, which the head reads; and, if wanted, the
        streams before each layer, `hidden_states`, with it."""
        hidden = self.norm(hidden)
        hidden = hidden if self.project_out is None else self.project_out(hidden)
        wanted = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        output = BaseModelOutputWithPast(
            last_hidden_state=hidden,
            past_key_values=past_key_values,
            hidden_states=(*hidden_states, hidden) if wanted else None,
        )
        return output.to_tuple() if return_dict is False else output


class KVistaCausalDecoder(KVistaDecoderBase):
    """A decoder with the head that gives logits."""

    _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}

    def __init__(self, config, decoder):
        super().__init__(config)
        self.model = decoder(config)
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
        """As the decoder's. With `labels` [batch, tokens] (-100: not counted) the answer holds the mean loss;
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
