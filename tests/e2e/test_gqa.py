# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""The form `gqa`: stock checkpoints with fewer key-value heads, which transformers loads, computes what was planned with, and
generates with from a smaller cache."""

import json
import re
import subprocess

import pytest
import torch
import transformers
from transformers import AutoModelForCausalLM

from program import TEXTS, USAGE, answer, complaint, run
from small_models import make, plan
from test_families import own_logits
from test_gguf import PYTHON, SCRIPT, needs_llama

pytestmark = pytest.mark.skipif(int(transformers.__version__.split(".")[0]) < 5, reason="older versions know other keys of a configuration")

WIDTH = 16
HEADS = {"num_attention_heads": 8, "num_key_value_heads": 4}
FAMILIES = {
    "llama": {}, "mistral": {"sliding_window": 9}, "mixtral": {"num_local_experts": 3}, "granite": {"attention_multiplier": 0.2},
    "smollm3": {"no_rope_layers": [1, 0]}, "stablelm": {"partial_rotary_factor": 0.5}, "glm": {"head_dim": WIDTH, "attention_bias": False, "partial_rotary_factor": 0.5},
    "cohere": {}, "olmo": {}, "gemma": {"head_dim": WIDTH}, "gemma2": {"head_dim": WIDTH, "query_pre_attn_scalar": 16}, "starcoder2": {"use_bias": False},
    "internlm3": {"head_dim": WIDTH},
}


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_stock_code_computes_the_plan_with_fewer_heads(family, tmp_path):
    original = make(family, tmp_path / "model", **HEADS, **FAMILIES[family])
    file, planned = plan(tmp_path / "model", tmp_path, "--method", "gqa", "--times-smaller", 2)
    said = answer("export", file, "-o", tmp_path / "small", "--form", "gqa")
    assert said["verified"] and said["bytesPerToken"] == planned["bytesPerToken"] == said["bytesPerTokenBefore"] // 2
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "small", dtype=torch.float32, attn_implementation="eager").eval()
    assert type(model) is type(original) and model.config.num_key_value_heads == 2
    ids = torch.randint(3, 256, (2, 24), generator=torch.Generator().manual_seed(1))
    expected = own_logits(file, ids, tmp_path)
    torch.testing.assert_close(model(ids).logits, expected, atol=1e-3, rtol=1e-4)
    assert (original(ids).logits - expected).abs().max() > 0.05, "the plan changes nothing"

    output = model(ids, use_cache=True)
    layer = output.past_key_values.layers[0]
    assert layer.keys.shape[1] == layer.values.shape[1] == 2
    settings = dict(max_new_tokens=8, min_new_tokens=8, do_sample=False, pad_token_id=0)
    assert torch.equal(model.generate(ids, **settings), model.generate(ids, use_cache=False, **settings))


@torch.no_grad()
def test_heads_that_turn_one_another_merge_without_loss(tmp_path):
    model = make("llama", tmp_path / "model", **HEADS)
    generator = torch.Generator().manual_seed(2)
    for layer in model.model.layers:
        keys, values = (linear.weight.view(4, WIDTH, -1) for linear in (layer.self_attn.k_proj, layer.self_attn.v_proj))
        for head, like in ((2, 0), (3, 1)):  # not neighbours: heads are grouped by what they hold
            turned = torch.complex(*keys[like].view(2, WIDTH // 2, -1)) * torch.randn(WIDTH // 2, 1, dtype=torch.complex64, generator=generator)
            keys[head] = torch.cat([turned.real, turned.imag])
            values[head] = torch.randn(WIDTH, WIDTH, generator=generator) / 4 @ values[like]
    model.save_pretrained(tmp_path / "model")
    file, _ = plan(tmp_path / "model", tmp_path, "--method", "gqa", "--group-size", 2, "--times-smaller", 2)
    run("export", file, "-o", tmp_path / "small", "--form", "gqa")
    small = AutoModelForCausalLM.from_pretrained(tmp_path / "small", dtype=torch.float32).eval()
    ids = torch.randint(3, 256, (2, 24), generator=generator)
    torch.testing.assert_close(small(ids).logits, model(ids).logits, atol=2e-3, rtol=1e-3)


REFUSED = {
    "qwen2": ({}, "each key-value head has a bias of its own"),
    "qwen3": ({"head_dim": WIDTH}, "a norm stands between projections and keys"),
    "phi3": ({}, "several projections in one tensor"),
}


@pytest.mark.parametrize("family", REFUSED)
def test_families_that_cannot_are_refused_before_any_work(family, tmp_path):
    changes, reason = REFUSED[family]
    make(family, tmp_path / "model", **HEADS, **changes)
    done = run("compress", tmp_path / "model", "--text", TEXTS / "calibration.txt", "--window", 32, "--windows", 8, "--method", "gqa", "--times-smaller", 2,
               "--form", "gqa", "-o", tmp_path / "small", code=USAGE)
    assert reason in complaint(done) and "Export the form latent" in complaint(done)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


def test_plans_that_cannot_are_refused_before_anything_is_written(tmp_path):
    make("llama", tmp_path / "model", **HEADS)
    file, _ = plan(tmp_path / "model", tmp_path, "--method", "separate", "--times-smaller", 2)
    done = run("export", file, "-o", tmp_path / "small", "--form", "gqa", code=USAGE)
    assert re.search(r"a plan of the method separate has none\. Plan with `--method gqa`", complaint(done))
    assert not (tmp_path / "small").exists()
    for size in (3, 8):
        done = run("plan", tmp_path / "model", "--stats", tmp_path / "statistics", "--method", "gqa", "--group-size", size, "--times-smaller", 2,
                   "-o", tmp_path / "other.kvista", code=USAGE)
        assert "4 key-value heads cannot become one for every" in complaint(done)


@needs_llama
@torch.no_grad()
def test_llama_cpp_runs_it_from_one_file(tmp_path):
    make("llama", tmp_path / "model", **HEADS)
    file, _ = plan(tmp_path / "model", tmp_path, "--method", "gqa", "--times-smaller", 2)
    assert answer("export", file, "-o", tmp_path / "small", "--form", "gqa", "--container", "gguf")["verified"]
    ids = torch.randint(3, 256, (1, 24), generator=torch.Generator().manual_seed(1))
    asked = {"gqa": {"file": str(tmp_path / "small/model.gguf"), "rows": ids.tolist(), "texts": []}}
    (tmp_path / "asked.json").write_text(json.dumps(asked))
    subprocess.run([PYTHON, "-c", SCRIPT, tmp_path / "asked.json", tmp_path / "answer.json"], check=True)
    found = json.loads((tmp_path / "answer.json").read_text())["gqa"]
    torch.testing.assert_close(torch.tensor(found["logits"]), own_logits(file, ids, tmp_path), atol=1e-3, rtol=1e-4)
