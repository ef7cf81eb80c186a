# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Forms of families that no fixture has, as small random models that transformers makes and writes: the program computes
the same logits from the files."""

import json

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from program import BAD_INPUT, TEXTS, answer, complaint, run
from test_families import byte_tokenizer, own_logits

pytestmark = pytest.mark.skipif(int(transformers.__version__.split(".")[0]) < 5, reason="older versions know other keys of a configuration")

VOCABULARY, TOKENS = 96, 40
SIZES = {
    "vocab_size": VOCABULARY, "hidden_size": 48, "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}
HEADS = {"head_dim": 16}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32, "mscale": 0.707, "mscale_all_dim": 0.8, "rope_theta": 10000.0}
LATENT = {
    "num_key_value_heads": 4, "kv_lora_rank": 20, "qk_rope_head_dim": 8, "qk_nope_head_dim": 12, "v_head_dim": 10, "n_routed_experts": 8,
    "num_experts_per_tok": 3, "moe_intermediate_size": 24, "n_shared_experts": 2, "first_k_dense_replace": 1, "routed_scaling_factor": 2.5,
}
SIGMOID = {"n_routed_experts": 8, "num_experts_per_tok": 3, "moe_intermediate_size": 24, "n_shared_experts": 1, "first_k_dense_replace": 1,
           "routed_scaling_factor": 1.5}
GROUPS = {"topk_method": "group_limited_greedy", "n_group": 4, "topk_group": 2}
VISION = {"model_type": "clip_vision_model", "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
          "image_size": 8, "patch_size": 4, "projection_dim": 16}
SIGLIP = {**VISION, "model_type": "siglip_vision_model"}
TEXT = {key: value for key, value in SIZES.items() if not key.endswith("_token_id")}
EXPERTS = {"num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
QWEN_VISION = {"depth": 1, "hidden_size": 16, "embed_dim": 16, "num_heads": 2, "mlp_ratio": 2, "patch_size": 4, "out_hidden_size": 48,
               "intermediate_size": 16, "fullatt_block_indexes": [0], "deepstack_visual_indexes": [0], "num_position_embeddings": 16}
MROPE = {"rope_type": "default", "rope_theta": 1000000.0, "mrope_section": [2, 2, 2]}
GEMMA3 = {**TEXT, **HEADS, "model_type": "gemma3_text", "num_hidden_layers": 7, "sliding_window": 8, "query_pre_attn_scalar": 20}

FORMS = {
    "gemma3_text": ("gemma3_text", {**HEADS, "num_hidden_layers": 7, "sliding_window": 8, "query_pre_attn_scalar": 20}),
    "gemma3_text-stretched": ("gemma3_text", {**HEADS, "num_hidden_layers": 7, "sliding_window": 8, "final_logit_softcapping": 3.0,
                                              "rope_scaling": {"rope_type": "linear", "factor": 8.0}}),
    "gemma3-multimodal": ("gemma3", {"text_config": GEMMA3, "vision_config": SIGLIP, "mm_tokens_per_image": 4}),
    "llava-llama": ("llava", {"text_config": {**TEXT, "model_type": "llama"}, "vision_config": VISION, "image_token_index": 5}),
    "llava-qwen2": ("llava", {"text_config": {**TEXT, "model_type": "qwen2"}, "vision_config": VISION, "image_token_index": 5}),
    "paligemma": ("paligemma", {"text_config": {**TEXT, **HEADS, "model_type": "gemma"}, "vision_config": SIGLIP, "projection_dim": 48,
                                "image_token_index": 5}),
    "mistral3": ("mistral3", {"text_config": {**TEXT, **HEADS, "model_type": "mistral", "sliding_window": None}, "image_token_index": 5,
                              "vision_config": {"model_type": "pixtral", "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2,
                                                "num_attention_heads": 2, "image_size": 8, "patch_size": 4}}),
    "qwen2_vl": ("qwen2_vl", {"text_config": {**TEXT, "rope_parameters": MROPE}, "vision_config": {**QWEN_VISION, "hidden_size": 48}}),
    "qwen2_5_vl": ("qwen2_5_vl", {"text_config": {**TEXT, "rope_parameters": MROPE}, "vision_config": QWEN_VISION}),
    "qwen3_vl": ("qwen3_vl", {"text_config": {**TEXT, **HEADS, "rope_parameters": {**MROPE, "mrope_section": [4, 2, 2], "mrope_interleaved": True}},
                              "vision_config": QWEN_VISION}),
    "glm4v": ("glm4v", {"text_config": {**TEXT, "rope_parameters": {**MROPE, "mrope_section": [1, 1, 1], "partial_rotary_factor": 0.5}},
                        "vision_config": QWEN_VISION}),
    "gpt_neo": ("gpt_neo", {"attention_types": [[["global", "local"], 1], [["global"], 1]], "window_size": 8}),
    "minimax_m2": ("minimax_m2", {**HEADS, "num_local_experts": 5, "num_experts_per_tok": 2, "rotary_dim": 8}),
    "qwen2_moe": ("qwen2_moe", {**EXPERTS, "shared_expert_intermediate_size": 20}),
    "qwen2_moe-sliding": ("qwen2_moe", {**EXPERTS, "shared_expert_intermediate_size": 20, "norm_topk_prob": True, "decoder_sparse_step": 2,
                                        "use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1, "qkv_bias": False}),
    "olmoe": ("olmoe", {**EXPERTS, "attention_bias": True}),
    "olmo3": ("olmo3", {"num_hidden_layers": 5, "sliding_window": 8, "rope_scaling": {"rope_type": "linear", "factor": 4.0}}),
    "cohere2": ("cohere2", {"num_hidden_layers": 5, "sliding_window": 8, "logit_scale": 0.25}),
    "ernie4_5": ("ernie4_5", {**HEADS, "use_bias": True}),
    "exaone4": ("exaone4", {"num_hidden_layers": 5, "sliding_window": 8}),
    "deepseek_v3": ("deepseek_v3", {**LATENT, "q_lora_rank": 14, "n_group": 4, "topk_group": 2, "rope_parameters": YARN}),
    "deepseek_v3-halves": ("deepseek_v3", {**LATENT, "q_lora_rank": None, "n_group": 1, "topk_group": 1, "rope_interleave": False,
                                           "norm_topk_prob": False, "attention_bias": True}),
    "glm4_moe": ("glm4_moe", {**HEADS, **SIGMOID, "use_qk_norm": True, "attention_bias": True}),
    "glm4_moe_lite": ("glm4_moe_lite", {**LATENT, "q_lora_rank": 14, "mlp_layer_types": ["sparse", "dense", "sparse"]}),
    "dots1": ("dots1", {**SIGMOID, "max_window_layers": 1, "sliding_window": 8}),
    "ernie4_5_moe": ("ernie4_5_moe", {"moe_num_experts": 6, "moe_k": 3, "moe_intermediate_size": 24, "moe_num_shared_experts": 2, "use_bias": True}),
    "granitemoe": ("granitemoe", {"num_local_experts": 5, "num_experts_per_tok": 2, "attention_multiplier": 0.2, "logits_scaling": 0.5,
                                  "embedding_multiplier": 3.0, "residual_multiplier": 0.7}),
    "granitemoeshared": ("granitemoeshared", {"num_local_experts": 5, "shared_intermediate_size": 20}),
    "gpt_oss": ("gpt_oss", {**HEADS, "num_local_experts": 5, "num_experts_per_tok": 2, "sliding_window": 8,
                            "rope_parameters": {**YARN, "truncate": False}}),
    "hunyuan_v1_dense": ("hunyuan_v1_dense", {**HEADS, "rope_parameters": {"rope_type": "dynamic", "alpha": 50.0, "factor": 1.0,
                                                                           "rope_theta": 10000.0}}),
    "ministral3": ("ministral3", {**HEADS, "rope_parameters": {**YARN, "original_max_position_embeddings": 9, "llama_4_scaling_beta": 0.4}}),
    "qwen3_vl_moe": ("qwen3_vl_moe", {"text_config": {**TEXT, **HEADS, **EXPERTS, "moe_intermediate_size": 20, "rope_parameters": {**MROPE, "mrope_section": [4, 2, 2]}},
                                      "vision_config": QWEN_VISION}),
    "arcee": ("arcee", {"attention_bias": True, "mlp_bias": True}),
    "nemotron": ("nemotron", {**HEADS, "mlp_bias": True}),
    "seed_oss": ("seed_oss", {**HEADS, "attention_out_bias": True, "mlp_bias": True}),
    "helium": ("helium", {"head_dim": 12, "attention_bias": True}),
    "codegen": ("codegen", {"rotary_dim": 8, "n_inner": 40}),
    "persimmon": ("persimmon", {}),
    "mpt": ("mpt", {"num_attention_heads": 6, "attn_config": {"clip_qkv": 1.0}}),
    "gemma2-uncapped": ("gemma2", {**HEADS, "attn_logit_softcapping": None, "final_logit_softcapping": None, "attention_bias": True}),
    "olmo2": ("olmo2", {}),
    "olmo2-wide": ("olmo2", {"num_key_value_heads": 4, "attention_bias": True}),
    "olmo-free": ("olmo", {}),
    "cohere": ("cohere", {"logit_scale": 0.25}),
    "cohere-normed": ("cohere", {"use_qk_norm": True, "attention_bias": True, "logit_scale": 0.25}),
    "stablelm": ("stablelm", {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5}}),
    "stablelm-normed": ("stablelm", {"partial_rotary_factor": 0.5, "qk_layernorm": True, "use_qkv_bias": True}),
    "stablelm-parallel": ("stablelm", {"partial_rotary_factor": 0.5, "use_parallel_residual": True, "qk_layernorm": True}),
    "phi-normed": ("phi", {"qk_layernorm": True, "num_key_value_heads": 4}),
    "phi-grouped": ("phi", {}),
    "starcoder2-unbiased": ("starcoder2", {"use_bias": False, "sliding_window": 7}),
    "granite-biased": ("granite", {"attention_bias": True, "mlp_bias": True, "attention_multiplier": 0.2, "logits_scaling": 0.5,
                                   "embedding_multiplier": 3.0, "residual_multiplier": 0.7}),
    "qwen2-sliding": ("qwen2", {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1}),
    "qwen3-sliding": ("qwen3", {**HEADS, "use_sliding_window": True, "sliding_window": 8, "attention_bias": True,
                                "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}),
    "qwen3_moe-sparse": ("qwen3_moe", {**HEADS, "num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 24, "decoder_sparse_step": 2,
                                       "norm_topk_prob": False, "use_sliding_window": True, "sliding_window": 8}),
    "mixtral-sliding": ("mixtral", {"num_local_experts": 5, "num_experts_per_tok": 3, "sliding_window": 8}),
    "smollm3-sliding": ("smollm3", {"num_hidden_layers": 5, "use_sliding_window": True, "sliding_window": 8, "attention_bias": True}),
    "llama-yarn": ("llama", {"rope_parameters": YARN}),
    "gpt_neox-partial": ("gpt_neox", {"num_key_value_heads": None, "tie_word_embeddings": True,
                                      "rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 500.0, "partial_rotary_factor": 0.5}}),
    "gptj-wide": ("gptj", {"rotary_dim": 12, "n_inner": 40}),
    "gpt_bigcode-heads": ("gpt_bigcode", {"multi_query": False, "n_inner": 40}),
    "gpt2-unscaled": ("gpt2", {"scale_attn_weights": False}),
    "opt-bare": ("opt", {"enable_bias": False, "layer_norm_elementwise_affine": False, "ffn_dim": 40}),
    "opt-untied": ("opt", {"tie_word_embeddings": False, "ffn_dim": 40, "word_embed_proj_dim": 20, "_remove_final_layer_norm": True}),
    "bloom-odd": ("bloom", {"num_attention_heads": 3}),
    "falcon-11b": ("falcon", {"new_decoder_architecture": True, "num_kv_heads": 2, "num_ln_in_parallel_attn": 1}),
    "falcon-heads": ("falcon", {"multi_query": False, "bias": True}),
    "falcon-sequential": ("falcon", {"parallel_attn": False, "ffn_hidden_size": 40}),
    "glm-unbiased": ("glm", {**HEADS, "attention_bias": False}),
    "glm4-biased": ("glm4", {**HEADS, "attention_bias": True}),
    "internlm3-biased": ("internlm3", {**HEADS, "qkv_bias": True, "bias": True}),
    "deepseek_v2-reduced": ("deepseek_v2", {**LATENT, "q_lora_rank": 14, "attention_bias": True}),
    "deepseek_v2-groups": ("deepseek_v2", {**LATENT, **GROUPS, "q_lora_rank": None, "rope_parameters": YARN}),
}


def class_of(config):
    names = transformers.models.auto.modeling_auto
    table = {**getattr(names, "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES", {}), **names.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES}
    if hasattr(config, "text_config"):
        table.update(names.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES)
    return getattr(transformers, table[config.model_type])


@torch.no_grad()
def make(family, changes):
    """A model whose every norm and bias matters."""
    multimodal = "text_config" in changes
    config = transformers.AutoConfig.for_model(family, **({} if multimodal else SIZES), **changes) if multimodal else transformers.AutoConfig.for_model(
        family, **{**SIZES, **changes})
    torch.manual_seed(3)
    config._attn_implementation = "eager"
    model = class_of(config)(config).float().eval()
    for name, parameter in model.named_parameters():
        spread = 0.2 if parameter.dim() == 1 else 1.5 / parameter.shape[-1] ** 0.5
        centre = 1.0 if parameter.dim() == 1 and name.endswith("weight") else 0.0
        parameter.copy_(centre + spread * torch.randn(parameter.shape))
    for name, buffer in model.named_buffers():
        if name.endswith("e_score_correction_bias"):
            buffer.copy_(0.3 * torch.randn(buffer.shape))
    return model


def projections(model):
    """Every layer's module that makes keys, and the one that makes values, where they are modules of their own."""
    layers = max((module for module in model.modules() if isinstance(module, torch.nn.ModuleList)), key=lambda found: "Decoder" in type(found[0]).__name__)
    found = {f"{side}_{number}": module for number, layer in enumerate(layers) for name, module in layer.named_modules()
             for side in "kv" if name.endswith(f"attn.{side}_proj")}
    return found if "k_0" in found else {}


@pytest.mark.parametrize("form", FORMS)
def test_random_models_compute_what_transformers_computes(form, tmp_path):
    family, changes = FORMS[form]
    try:
        transformers.AutoConfig.for_model(family)
    except ValueError:
        pytest.skip(f"transformers {transformers.__version__} has no {family}")
    model = make(family, changes)
    model.save_pretrained(tmp_path / "model")
    ids = torch.randint(6, VOCABULARY, (2, TOKENS), generator=torch.Generator().manual_seed(1))
    save_file({"input_ids": ids}, tmp_path / "input.safetensors")
    run("forward", tmp_path / "model", "--input", tmp_path / "input.safetensors", "-o", tmp_path / "output.safetensors", "--gradients")
    found = load_file(tmp_path / "output.safetensors")

    outputs = {}

    def keep(name):
        def hook(module, inputs, output):
            output.retain_grad()
            outputs[name] = output
        return hook

    for name, module in projections(model).items():
        module.register_forward_hook(keep(name))
    expected = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
    assert (found["logits"] - expected).abs().max() < 1e-4 * max(1, expected.std())
    torch.nn.functional.cross_entropy(expected[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), reduction="sum").backward()
    for name, output in outputs.items():
        assert (found[name] - output).abs().max() < 1e-4 * max(1, output.std()), name
        assert (found[f"grad_{name}"] - output.grad).norm() < 1e-3 * output.grad.norm(), name


def test_the_rest_of_a_multimodal_model_is_named(tmp_path):
    family, changes = FORMS["llava-llama"]
    make(family, changes).save_pretrained(tmp_path / "model")
    problems = answer("inspect", tmp_path / "model")["problems"]
    assert any("its text part, a llama model with 3 layers, can be used" in problem and "multi_modal_projector" in problem for problem in problems)


# What they are built of no fixture has: sinks, clamped gates, and routers of other kinds.
@pytest.mark.parametrize("form", ["gpt_oss", "deepseek_v3"])
@torch.no_grad()
def test_latent_exports_compute_and_generate_what_was_planned(form, tmp_path):
    family, changes = FORMS[form]
    make(family, {**changes, "vocab_size": 256}).save_pretrained(tmp_path / "model")
    byte_tokenizer().save(str(tmp_path / "model/tokenizer.json"))
    run("calibrate", tmp_path / "model", "--text", TEXTS / "calibration.txt", "--window", 32, "--tokens", 512, "--no-response", "-o",
        tmp_path / "statistics")
    run("plan", tmp_path / "model", "--stats", tmp_path / "statistics", "--method", "joint", "--times-smaller", 2, "-o", tmp_path / "plan.kvista")
    run("export", tmp_path / "plan.kvista", "-o", tmp_path / "latent", "--form", "latent")
    exported = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "latent", trust_remote_code=True, dtype=torch.float64).eval()
    ids = torch.randint(6, 256, (2, TOKENS), generator=torch.Generator().manual_seed(1))
    expected = own_logits(tmp_path / "plan.kvista", ids, tmp_path)
    assert (exported(ids, use_cache=False).logits - expected).abs().max() < 1e-4 * max(1, expected.std())
    settings = dict(max_new_tokens=6, min_new_tokens=6, do_sample=False, pad_token_id=0)
    assert torch.equal(exported.generate(ids, **settings), exported.generate(ids, use_cache=False, **settings))


# Families whose classes transformers lacks, as models of others under their names and keys.
MINICPM = {"tie_word_embeddings": True, "embedding_multiplier": 12.0, "residual_multiplier": 1.4 / 3**0.5, "logits_scaling": 48 / 16,
           "attention_multiplier": 12**-0.5}
OTHERS = {
    "minicpm": ("granite", MINICPM, {"scale_emb": 12, "scale_depth": 1.4, "dim_model_base": 16}, {}),
    "exaone": ("llama", {}, {"num_layers": 3, "layer_norm_epsilon": 1e-6, "activation_function": "silu"}, {
        "model.embed_tokens": "transformer.wte", "model.norm": "transformer.ln_f", "model.layers": "transformer.h", "input_layernorm": "ln_1",
        "post_attention_layernorm": "ln_2", "self_attn.o_proj": "attn.attention.out_proj", "self_attn": "attn.attention",
        "mlp.gate_proj": "mlp.c_fc_0", "mlp.up_proj": "mlp.c_fc_1", "mlp.down_proj": "mlp.c_proj"}),
    "internlm2": ("llama", {}, {"bias": False}, {
        "embed_tokens": "tok_embeddings", "lm_head": "output", "input_layernorm": "attention_norm", "post_attention_layernorm": "ffn_norm",
        "self_attn.o_proj": "attention.wo", "mlp.gate_proj": "feed_forward.w1", "mlp.up_proj": "feed_forward.w3",
        "mlp.down_proj": "feed_forward.w2"}),
}


@pytest.mark.parametrize("name", OTHERS)
@torch.no_grad()
def test_families_that_transformers_lacks(name, tmp_path):
    family, changes, keys, names = OTHERS[name]
    model = make(family, changes)
    model.save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    if name == "internlm2":  # of each of 2 key heads its 2 queries, its key and its value
        for layer in range(3):
            at = f"model.layers.{layer}."
            q, k, v = (tensors.pop(f"{at}self_attn.{side}_proj.weight").view(2, -1, 48) for side in "qkv")
            tensors[f"{at}attention.wqkv.weight"] = torch.cat([q, k, v], 1).flatten(0, 1)
    renamed = {}
    for tensor, value in tensors.items():
        for old, new in names.items():
            tensor = tensor.replace(old, new)
        renamed[tensor] = value.contiguous()
    save_file(renamed, tmp_path / "model.safetensors")
    config = json.loads((tmp_path / "config.json").read_text())
    for key in ["num_hidden_layers"] * ("num_layers" in keys) + [key for key in MINICPM if key.endswith(("multiplier", "scaling"))]:
        config.pop(key, None)
    (tmp_path / "config.json").write_text(json.dumps({**config, **keys, "model_type": name, "auto_map": {"AutoConfig": "configuration.Config"}}))
    ids = torch.randint(6, VOCABULARY, (2, TOKENS), generator=torch.Generator().manual_seed(1))
    expected = model(ids).logits
    assert (own_logits(tmp_path, ids, tmp_path) - expected).abs().max() < 1e-4 * max(1, expected.std())


def test_models_that_keep_states_are_refused_in_a_sentence(tmp_path):
    make("llama", {}).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "model_type": "qwen3_next"}))
    sentence = complaint(run("inspect", tmp_path, code=BAD_INPUT))
    assert "model_type 'qwen3_next' keeps a state in place of keys and values, in some layers or in all, which is not supported." in sentence
    assert "Give a model of one of these types: arcee, bloom" in sentence
