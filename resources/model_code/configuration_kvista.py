# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Configuration of a decoder whose key-value cache was compressed with KVista."""

from transformers import PretrainedConfig


class KVistaConfig(PretrainedConfig):
    """The usual sizes at the top level, and everything else in one object:

    kvista = {
      "format": 1,
      "base_config": {...},                   the original model's config.json
      "decoder": {
        "norm_epsilon": 1e-05,
        "activation": "silu",                 a name that transformers knows
        "attention_scale": 0.125,             scores are multiplied by this
        "value_head_dim": 64,
        "biases": ["query", "key", "value", "output", "mlp"],    those that exist
        "query_key_norm": false,              RMSNorm over each head of q and k before RoPE
        "ropes": [{"rotary_dim": 64, "scale": 1.0, "inverse_frequencies": [...]}]
      },                                      (other forms of a rope: see rotary_frequencies in rotation_kvista.py)
      "key_position": "before_rope",          or "after_rope": where keys are compressed
      "exact_tokens": 4,                      the first tokens of a sequence stay exact
      "layers": [{
        "rope": 0,                            index into ropes, or null
        "window": null,                       or the number of tokens that a query sees, itself included
        "groups": [{
          "slots": [["key", 0], ["value", 0]],    heads whose outputs share one latent, in order
          "input": "hidden",                  "hidden": down is applied to the layer's input; "heads": to the slots' outputs
          "identity": false,                  true: nothing is compressed, the latent is the slots' outputs
          "runs": [[16, 8], [4, 24]]          [bits, directions] of the latent, bits falling: 16, 8, 4, 2 or 1
        }]
      }]
    }
    """

    model_type = "kvista"
    keys_to_ignore_at_inference = ["past_key_values"]

    def __init__(
        self,
        vocab_size=0,
        hidden_size=0,
        intermediate_size=0,
        num_hidden_layers=0,
        num_attention_heads=0,
        num_key_value_heads=0,
        head_dim=0,
        max_position_embeddings=0,
        initializer_range=0.02,
        use_cache=True,
        tie_word_embeddings=False,
        kvista=None,
        **kwargs,
    ):
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.intermediate_size = intermediate_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.num_key_value_heads = num_key_value_heads
        self.head_dim = head_dim
        self.max_position_embeddings = max_position_embeddings
        self.initializer_range = initializer_range
        self.use_cache = use_cache
        self.kvista = kvista if kvista is not None else {}
        found = self.kvista.get("format", 1)
        if found != 1:
            raise ValueError(f"This checkpoint has KVista format {found}; its model code reads format 1.")
        super().__init__(tie_word_embeddings=tie_word_embeddings, **kwargs)
