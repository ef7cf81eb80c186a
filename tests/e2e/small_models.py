# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Test helper: small random models that transformers makes and writes, and plans for them."""

import pytest
import torch
import transformers
from transformers import AutoModelForCausalLM

from program import TEXTS, answer, run
from test_families import byte_tokenizer

LAYERS = 2
SIZES = {
    "vocab_size": 256, "hidden_size": 128, "intermediate_size": 40, "num_hidden_layers": LAYERS, "max_position_embeddings": 64,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}


@torch.no_grad()
def make(family, folder, **settings):
    """Writes it to `folder` with a tokenizer of bytes, and answers it. Skips the test where transformers does not know the family."""
    torch.manual_seed(5)
    try:
        config = transformers.AutoConfig.for_model(family, **{**SIZES, **settings})
    except ValueError as error:
        pytest.skip(f"transformers {transformers.__version__}: {error}")
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").float().eval()
    for name, parameter in model.named_parameters():
        spread = 0.1 if parameter.dim() == 1 else 1.5 / parameter.shape[-1] ** 0.5
        parameter.copy_((1.0 if parameter.dim() == 1 and not name.endswith("bias") else 0.0) + spread * torch.randn(parameter.shape))
    model.save_pretrained(folder)
    byte_tokenizer().save(str(folder / "tokenizer.json"))
    return model


def plan(model, folder, *options):
    """The plan's file in `folder`, beside the statistics, and what the program says of it."""
    text = ["--text", TEXTS / "calibration.txt", "--window", 32, "--tokens", 1024]
    run("calibrate", model, *text, "--no-response", "-o", folder / "statistics")
    return folder / "plan.kvista", answer("plan", model, "--stats", folder / "statistics", *options, "-o", folder / "plan.kvista")
