# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Configuration of a decoder whose key-value cache was compressed with KVista."""

from transformers import PretrainedConfig

from .layer_fields_kvista import check_layers
from .policy_fields_kvista import check_policy

FORMAT = 2


class KVistaConfig(PretrainedConfig):
    """The usual sizes at the top level, and everything else in one object. What a field's comment begins with is its value
    where it is left out:

    kvista = {
      "format": 2,
      "base_config": {...},                   the original model's config.json
      "decoder": {
        "embedding": {                        projection(embedding * multiplier) + positions, normed
          "width": ...,                       hidden_size; only with a projection
          "multiplier": 1,
          "projection": {"bias": false},      none; to hidden_size
          "positions": {"rows": 130, "offset": 2},    none; learned, the row of position 0 is `offset` (0)
          "norm": NORM                        none
        },
        "blocks": [{                          the kinds of layers that there are
          "arrangement": "sequential",        "parallel": both halves read the same input; "normed_sums": each sum is normed
          "residual_multiplier": 1,           of what a half adds
          "attention_norm": NORM,             none; likewise attention_output_norm, feed_forward_norm,
                                              feed_forward_output_norm
          "attention": {
            "scale": 0.125,                   scores are multiplied by this
            "biases": ["query", "key", "value", "output"],    none; those that exist
            "query_norm": NORM,               none; of each head, or of all heads together, before RoPE; likewise key_norm
            "rope": 0,                        none; index into ropes
            "window": 4096,                   none; the number of tokens that a query sees, itself included
            "score_cap": 50,                  none; c tanh(score / c)
            "clip": 8,                        none; queries, keys and values are clamped to +-clip
            "linear_biases": {                none; ALiBi: slope * place of the key is added to the scores
              "slopes": [0.5, ...],           one a head
              "before_scale": false,          added before the scores are scaled
              "bfloat16": false               products are rounded to bfloat16
            },
            "query_growth": {"rate": 0.1, "every": 16384},    none; queries at place p times 1 + rate ln(1 + floor(p / every))
            "norms_after_rope": false,        query_norm and key_norm
            "sinks": false,                   a score of each head that takes part in its softmax and has no value
            "latent": {                       none; multi-head latent attention: the value head is the latent, the key head
                                              the rotated key that all heads share
              "norm": NORM,                   of the latent
              "key_width": 128, "value_width": 128,    of each head, expanded from the normed latent
              "bias": false,                  of the expansion
              "query_reduction": {"width": 1536, "bias": false, "norm": NORM}    none; norm none
            }
          },
          "feed_forward": {
            "activation": "silu",             a name that transformers knows
            "clamped_gate": {"slope": 1.702, "limit": 7},    none; in place of the activation (see blocks_kvista.py)
            "mlp": MLP,                       or instead "experts": 8, "expert": MLP (of each), "shared": MLP (none),
            "shared_gate": false,             the shared one's answer is multiplied by the sigmoid of one number, and
            "router": {
              "per_token": 2, "bias": false, "renormalises": true, "scale": 1,
              "groups": 1, "chosen_groups": 1, "group_best": 1,
              "sigmoid": false,               not softmax
              "correction": false             added while experts are chosen
            }
          }
        }],
        "head": {                             cap tanh(multiplier * linear(projection(norm(x))) / cap)
          "norm": NORM,                       none
          "projection": {"width": 512, "bias": false},    none
          "bias": false, "multiplier": 1, "cap": none
        },
        "ropes": [{"rotary_dim": 64, "scale": 1, "interleaved": false, "inverse_frequencies": [...]}]
      },                                      (other forms of a rope: see rotary_frequencies in rotation_kvista.py)
      "value_head_dim": 64,                   head_dim; of the cache's value heads
      "key_position": "before_rope",          or "after_rope": where keys are compressed
      "exact_tokens": 4,                      the first tokens of a sequence stay exact
      "token_numbers": false,                 true: of layer 0 the cache holds the numbers of tokens, and it has no groups
      "policy": {                             none; which tokens stay while the cache grows, and how they are held
        "name": "snapkv+fp8", "share": 0.25, "interval": 64,    see policy_kvista.py
        "positions": "unit",                  whose places count 4 bytes a token whatever keys need: "none", "layer" or "unit"
        "chooser": {"name": "snapkv", "queries": 32, "reach": 3, "sinks": 0, "window": 32, "exempt": 0},    none; with its options
        "holder": {"name": "fp8", "latents": false}    none; likewise. true: of the groups' 16-bit latents; otherwise, but for cskv,
                                              only where nothing is compressed
      },
      "layers": [{
        "block": 0,                           index into blocks
        "reads": 0,                           none; the earlier layer whose cache is read in place of an own one; groups are none then
        "groups": [{
          "slots": [["key", 0], ["value", 0]],    heads whose outputs share one latent, in order
          "input": "hidden",                  "hidden": down is applied to the layer's input; "heads": to the slots' outputs
          "centred": false,                   true: down and up have biases, which take a mean away and put it back
          "predicted_from": null,             always there; the layer of whose rebuilt outputs y' y - prediction y' is coded in place of y
                                              (both of one group that holds the slots of all heads in order)
          "trellis": false,                   true: codes of up to 4 bits go through one (trellis_kvista.py)
          "identity": false,                  true: nothing is compressed, the latent is the slots' outputs
          "runs": [[16, 8], [4, 24]]          [bits, directions] of the latent, bits falling: 16, 8, 6, 4, 3, 2 or 1
        }]
      }]
    }
    NORM = {"width": 64, "epsilon": 1e-05,    over the last `width` numbers
            "kind": "root_mean_square",       "layer": the mean is taken away first
            "weight": true, "bias": false,    whether there is one
            "offset": 0, "heads": 0}          added to the weight; above 0: weights of each head
    MLP = {"width": 256, "gated": true, "biases": ["gate", "up", "down"]}    none; those that exist
    """

    model_type = "kvista"
    keys_to_ignore_at_inference = ["past_key_values"]
    has_groups = True

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
        found = self.kvista.get("format", FORMAT) if isinstance(self.kvista, dict) else FORMAT
        if found != FORMAT:
            raise ValueError(f"This checkpoint has KVista format {found}; its model code reads format {FORMAT}.")
        if self.kvista != {}:  # transformers makes one without, to compare with
            check_layers(self.kvista, num_hidden_layers, num_key_value_heads, head_dim, self.has_groups)
        self.check_predictions()
        self.check_readers()
        if self.kvista.get("policy") is not None:
            check_policy(self.kvista["policy"], self.kvista["layers"])
        super().__init__(tie_word_embeddings=tie_word_embeddings, **kwargs)

    def check_predictions(self):
        """A layer that is predicted, and the one that predicts it, have one group of all that the cache holds; a layer of token numbers
        has none."""
        layers, heads = self.kvista.get("layers", []), range(self.num_key_value_heads)
        slots = [[side, head] for side in ("key", "value") for head in heads]

        def is_whole(layer):
            groups = layers[layer]["groups"]
            return self.numbers_tokens(layer) or (len(groups) == 1 and groups[0]["slots"] == slots)

        is_plain = self.kvista.get("key_position") == "before_rope" and not self.kvista.get("policy")
        if self.kvista.get("token_numbers") and (not layers or layers[0]["groups"] or "reads" in layers[0] or not is_plain):
            raise ValueError("Layer 0 of this checkpoint holds the numbers of tokens, which needs keys before RoPE, and neither groups nor a policy.")
        for layer in range(len(layers)):
            if (source := self.predicted_from(layer)) is None:
                continue
            if not isinstance(source, int) or not 0 <= source < layer or not is_whole(source) or not is_whole(layer):
                raise ValueError(
                    f"Layer {layer} of this checkpoint is predicted from layer {source}, which must be an earlier one, and both need one group "
                    f"of all {2 * len(heads)} heads in order."
                )
            own = layers[layer]["groups"][0]
            if not is_plain or own["input"] != "heads" or own["identity"]:
                raise ValueError(
                    f"Layer {layer} of this checkpoint is predicted from layer {source}, which needs keys before RoPE, the input \"heads\" and no policy."
                )

    def check_readers(self):
        """A layer that reads another's cache has no groups, and the other is an earlier one with a cache of its own."""
        layers = self.kvista.get("layers", [])
        for layer, described in enumerate(layers):
            if (source := described.get("reads")) is None:
                continue
            is_earlier = isinstance(source, int) and 0 <= source < layer and "reads" not in layers[source]
            is_plain = self.kvista["key_position"] == "before_rope" and not self.kvista.get("policy")
            is_apart = all(self.predicted_from(other) is None for other in range(len(layers)))
            if not is_earlier or described["groups"] or not is_plain or not is_apart:
                raise ValueError(
                    f"Layer {layer} of this checkpoint reads the cache of layer {source}, which must be an earlier one with a cache of its own, "
                    "with keys before RoPE and neither policy nor predicted layers; and it must have no groups itself."
                )

    def predicted_from(self, layer):
        """The layer behind whose cache that of `layer` is read, or None."""
        groups = self.kvista["layers"][layer].get("groups", [])
        return groups[0].get("predicted_from") if groups else None

    def numbers_tokens(self, layer):
        """Whether the cache holds the numbers of tokens of `layer`."""
        return layer == 0 and self.kvista.get("token_numbers", False)

    def hands_on(self, layer):
        """Whether others need what is rebuilt of `layer`."""
        layers = self.kvista["layers"]
        return any(self.predicted_from(other) == layer or layers[other].get("reads") == layer for other in range(layer + 1, len(layers)))

    def block_of(self, layer):
        """The kind of block that `layer` is."""
        return self.kvista["decoder"]["blocks"][self.kvista["layers"][layer]["block"]]


class KVistaServingConfig(KVistaConfig):
    """Of the form `serve`: `head_dim` is what a head's key, and its value, takes in the cache, `rope_head_dim` how wide heads of
    queries and keys are where they are rotated; a layer of `kvista` has no groups."""

    model_type = "kvista_serving"
    has_groups = False

    def __init__(self, rope_head_dim=0, **kwargs):
        self.rope_head_dim = rope_head_dim
        super().__init__(**kwargs)
