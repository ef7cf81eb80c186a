# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Test helper: small random models that transformers makes and writes, plans for them, and what every form of their exports has to do."""

import pytest
import torch
import transformers
from transformers import AutoModelForCausalLM

from program import TEXTS, USAGE, answer, complaint, run
from test_families import byte_tokenizer, own_logits

LAYERS = 2
SIZES = {
    "vocab_size": 256, "hidden_size": 128, "intermediate_size": 40, "num_hidden_layers": LAYERS, "max_position_embeddings": 64,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}
IDS = torch.randint(3, 256, (2, 24), generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def make(family, folder, **settings):
    """Writes a model of `family`, of which "llama-biased" is a llama, to `folder` with a tokenizer of bytes, and answers it. Skips the test
    where transformers does not know the family."""
    torch.manual_seed(5)
    try:
        config = transformers.AutoConfig.for_model(family.partition("-")[0], **{**SIZES, **settings})
    except ValueError as error:
        pytest.skip(f"transformers {transformers.__version__}: {str(error).partition('.')[0]}")
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").float().eval()
    for name, parameter in model.named_parameters():
        spread = 0.1 if parameter.dim() == 1 else 1.5 / parameter.shape[-1] ** 0.5
        parameter.copy_((1.0 if parameter.dim() == 1 and not name.endswith("bias") else 0.0) + spread * torch.randn(parameter.shape))
    model.save_pretrained(folder)
    byte_tokenizer().save(str(folder / "tokenizer.json"))
    return model


@torch.no_grad()
def make_alike(model, folder, pairs):
    """Of each pair of heads the second gets keys and values that one common head of both stands for without loss: each rotary pair of
    numbers times one complex number, and another matrix of the values. Writes the model anew."""
    generator, width = torch.Generator().manual_seed(2), model.config.head_dim
    for layer in model.model.layers:
        keys, values = (linear.weight.unflatten(0, (-1, width)) for linear in (layer.self_attn.k_proj, layer.self_attn.v_proj))
        for first, second in pairs:
            turned = torch.complex(*keys[first].unflatten(0, (2, -1))) * torch.randn(width // 2, 1, dtype=torch.complex64, generator=generator)
            keys[second] = torch.cat([turned.real, turned.imag])
            values[second] = torch.randn(width, width, generator=generator) / 4 @ values[first]
    model.save_pretrained(folder)


def plan(model, folder, *options):
    """The plan's file in `folder`, beside the statistics, and what the program says of it."""
    text = ["--text", TEXTS / "calibration.txt", "--window", 32, "--tokens", 1024]
    run("calibrate", model, *text, "--no-response", "-o", folder / "statistics")
    return folder / "plan.kvista", answer("plan", model, "--stats", folder / "statistics", *options, "-o", folder / "plan.kvista")


def load(export, attention="eager"):
    """The model that transformers makes of a folder, all of whose tensors have a place."""
    model, loading = AutoModelForCausalLM.from_pretrained(
        export, torch_dtype=torch.float32, attn_implementation=attention, trust_remote_code=True, output_loading_info=True
    )
    assert not any(loading[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")), loading
    return model.eval()


@torch.no_grad()
def check_reading(export, original, file, folder, attention="eager"):
    """transformers computes of `export` what the program does of the plan in `file`, and not what the original does. Answers the model, the
    logits of IDS and the cache."""
    model = load(export, attention)
    expected = own_logits(file, IDS, folder)
    output = model(IDS, use_cache=True)
    torch.testing.assert_close(output.logits, expected, atol=1e-3, rtol=1e-4)
    assert (original(IDS).logits - expected).abs().max() > 0.05, "the plan changes nothing"
    return model, expected, output.past_key_values


def check_cache(cache, keys, values, bytes_per_token):
    """Of IDS each layer has keys and values of these shapes, [heads, width], and all have the bytes that were planned."""
    layers = [(layer.keys, layer.values) for layer in cache.layers] if hasattr(cache, "layers") else [cache[layer] for layer in range(LAYERS)]
    rows, tokens = IDS.shape
    shapes = [tuple((rows, heads, tokens, width) for heads, width in (keys, values))] * LAYERS
    assert [tuple(tuple(tensor.shape) for tensor in layer) for layer in layers] == shapes
    assert sum(tensor.nbytes for layer in layers for tensor in layer) == 2 * IDS.numel() * bytes_per_token  # float32, planned at 16 bits


@torch.no_grad()
def check_generation(model):
    """With a cache as without one, also behind padding."""
    mask = torch.ones_like(IDS)
    mask[0, :5] = 0
    for settings in ({}, {"attention_mask": mask}):
        settings |= dict(max_new_tokens=8, min_new_tokens=8, do_sample=False, pad_token_id=0)
        assert torch.equal(model.generate(IDS, **settings), model.generate(IDS, use_cache=False, **settings))


def check_evaluation(file, form, folder):
    """The program reads the export as it reads any model: the perplexity is the plan's."""
    said = answer("export", file, "-o", folder / "small", "--form", form)
    text = ["--text", TEXTS / "evaluation.txt", "--window", 32, "--windows", 4]
    assert answer("evaluate", folder / "small", *text)["perplexity"] == pytest.approx(answer("evaluate", file, *text)["perplexity"], rel=1e-4)
    assert answer("verify", folder / "small")["verified"]
    return said


def refused_model(folder, form, *options):
    """What is said of the model in `folder`, of which nothing is calibrated, since it has no such form."""
    done = run("compress", folder / "model", "--text", TEXTS / "calibration.txt", "--window", 32, "--windows", 8, *options, "--form", form, "-o", folder / "small",
               code=USAGE)
    assert sorted(path.name for path in folder.iterdir()) == ["model"]
    assert "Export the form latent" in complaint(done)
    return complaint(done)


def refused_plan(made, folder, form, *options):
    """What is said of a plan with these options for the model in the folder `made`, by `plan` or, before anything is written, by `export`."""
    done = run("plan", made / "model", "--stats", made / "statistics", *options, "-o", folder / "plan.kvista", code=(0, USAGE))
    if done.returncode == 0:
        done = run("export", folder / "plan.kvista", "-o", folder / "small", "--form", form, code=USAGE)
    assert not (folder / "small").exists()
    return complaint(done)
