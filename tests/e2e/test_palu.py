# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""The form `palu`: its tensors multiply to the plan's projections, which stock code computes with; and the authors' own code loads
it. KVISTA_PALU_DIR names checkouts of Palu and ReCalKV (separated by colons), KVISTA_PALU_PYTHON a Python that runs them, which
wants transformers 4.44."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

from program import MODEL, TEXTS, USAGE, answer, complaint, run

CHECKOUTS = [Path(folder) for folder in os.environ.get("KVISTA_PALU_DIR", "").split(":") if folder]
PYTHON = os.environ.get("KVISTA_PALU_PYTHON", sys.executable)
METHODS = {"separate": [], "grouped": ["--group-size", 2, "--grouping", "swap"], "in-order": ["--group-size", 4, "--grouping", "neighbours"]}

# The authors' code, as they load a checkpoint. The Hadamard transform is for their quantised latents, on a GPU alone.
SCRIPT = """
import importlib.util, sys, types
if importlib.util.find_spec("fast_hadamard_transform") is None:
    sys.modules["fast_hadamard_transform"] = types.ModuleType("fast_hadamard_transform")
sys.path.insert(0, sys.argv[1])
import torch
import palu.model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM
model = AutoModelForCausalLM.from_pretrained(sys.argv[2], torch_dtype=torch.float32).eval()
assert type(model).__name__ == "PaluLlamaForCausalLM"
if any(model.config.permutation_info.values()):
    from palu.permutation_utils import configure_permutation
    configure_permutation(model, model.config)
ids = load_file(sys.argv[3])["input_ids"]
with torch.no_grad():
    logits = model(ids).logits
    tokens = model.generate(ids, max_new_tokens=8, min_new_tokens=8, do_sample=False, pad_token_id=0)
save_file({"logits": logits, "tokens": tokens}, sys.argv[4])
"""


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    folder = tmp_path_factory.mktemp("palu")
    run("calibrate", MODEL, "--text", TEXTS / "calibration.txt", "--window", 64, "--tokens", 2048, "--no-response", "-o", folder / "statistics")
    ids = torch.randint(0, 4096, (2, 32), generator=torch.Generator().manual_seed(6))
    save_file({"input_ids": ids}, folder / "ids.safetensors")
    for name, options in METHODS.items():
        method = name if name == "separate" else "grouped"
        run("plan", MODEL, "--stats", folder / "statistics", "--method", method, "--keep", 0.5, *options, "-o", folder / f"{name}.kvista")
        assert answer("export", folder / f"{name}.kvista", "-o", folder / name, "--form", "palu")["verified"]
        run("forward", folder / f"{name}.kvista", "--input", folder / "ids.safetensors", "-o", folder / f"{name}.safetensors")
    return folder


def product(tensors, config, name):
    """U.g VT.g, one under the other, heads back in their places."""
    ranks, down = config["head_wise_ranks"][name], tensors[f"{name}.VT.weight"]
    parts = [tensors[f"{name}.U.{group}.weight"] @ rows for group, rows in enumerate(down.split(ranks))]
    weight, order = torch.cat(parts), config["permutation_info"].get(name)
    if not order:
        return weight
    heads = weight.view(len(order), -1, weight.shape[1])
    return torch.cat([heads[order[str(head)]] for head in range(len(order))])


@pytest.mark.parametrize("name", METHODS)
@torch.no_grad()
def test_factors_multiply_to_what_the_plan_computes(exports, name):
    config = json.loads((exports / name / "config.json").read_text())
    assert config["model_type"] == "palullama" and config["rope_theta"] == 10000.0
    assert bool(config["permutation_info"]) == (name == "grouped")
    stock = LlamaForCausalLM(LlamaConfig(**{key: config[key] for key in (
        "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "rms_norm_eps",
        "max_position_embeddings", "tie_word_embeddings", "rope_theta", "attention_bias")})).eval()
    tensors = {key: value.float() for key, value in load_file(exports / name / "model.safetensors").items()}
    weights = {key: value for key, value in tensors.items() if not re.search(r"\.(VT|U\.\d+)\.", key)}
    weights |= {f"{key}.weight": product(tensors, config, key) for key in config["head_wise_ranks"]}
    missing, unexpected = stock.load_state_dict(weights, strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}
    logits = stock(load_file(exports / "ids.safetensors")["input_ids"]).logits
    torch.testing.assert_close(logits, load_file(exports / f"{name}.safetensors")["logits"], atol=1e-3, rtol=0)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("checkout", ["Palu", "ReCalKV"])
def test_the_authors_code_loads_it_and_generates(exports, checkout, name, tmp_path):
    has_permutations = {folder: (folder / "palu/permutation_utils.py").is_file() for folder in CHECKOUTS if (folder / "palu").is_dir()}
    folders = [folder for folder, has in has_permutations.items() if has == (checkout == "ReCalKV")]
    if not folders:
        pytest.skip(f"no checkout of {checkout} in KVISTA_PALU_DIR")
    if checkout == "Palu" and name == "grouped":
        pytest.skip("Palu's code has no permutations of heads")
    found = tmp_path / "found.safetensors"
    done = subprocess.run([PYTHON, "-c", SCRIPT, folders[0], exports / name, exports / "ids.safetensors", found], capture_output=True, text=True)
    if "ImportError" in done.stderr or "ModuleNotFoundError" in done.stderr:
        pytest.skip(f"the authors' code does not import here: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    tensors = load_file(found)
    torch.testing.assert_close(tensors["logits"], load_file(exports / f"{name}.safetensors")["logits"], atol=1e-3, rtol=0)
    assert tensors["tokens"].shape == (2, 40)


def test_is_evaluated_and_verified_like_any_other(exports):
    planned = answer("evaluate", exports / "grouped.kvista", "--text", TEXTS / "evaluation.txt", "--window", 64, "--windows", 4)
    written = answer("evaluate", exports / "grouped", "--text", TEXTS / "evaluation.txt", "--window", 64, "--windows", 4)
    assert written["perplexity"] == pytest.approx(planned["perplexity"], rel=1e-4)
    assert answer("verify", exports / "grouped")["verified"]


def test_coded_plans_are_refused_before_any_work(exports, tmp_path):
    done = run("compress", MODEL, "--text", TEXTS / "calibration.txt", "--window", 64, "--windows", 4, "--form", "palu", "-o", tmp_path / "small",
               code=USAGE)
    assert re.search(r"latents of 16-bit numbers; this plan's are codes\. Export the form latent, or plan with the method grouped", complaint(done))
    assert not list(tmp_path.iterdir())
