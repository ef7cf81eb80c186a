#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Times one forward and backward pass in PyTorch (transformers, sdpa, frozen weights) and in KVista, in turns.

    python tests/bench/forward_backward.py --bench build/bin/kvista-bench --model MODEL [--rounds 3] [--threads 2]

Both take 4 windows of 1024 tokens and give the gradients at every layer's keys and values; KVista once keeping
activations up to 1 GiB and once computing all of them twice. Prints every round.
"""
import argparse
import json
import os
import subprocess
import time

import torch
from transformers import AutoModelForCausalLM


def load(path):
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="sdpa").eval()
    model.requires_grad_(False)

    def want_gradient(_module, _inputs, output):
        if not output.requires_grad:  # in the first layer nothing below asks for one
            output.requires_grad_(True)
        output.retain_grad()

    for layer in model.model.layers:
        layer.self_attn.k_proj.register_forward_hook(want_gradient)
        layer.self_attn.v_proj.register_forward_hook(want_gradient)
    return model


def time_torch(model):
    places = torch.arange(4 * 1024)
    ids = ((places * 7919 + places // 13) % model.config.vocab_size).view(4, 1024)
    wall, processor = time.perf_counter(), time.process_time()
    logits = model(input_ids=ids, use_cache=False).logits
    loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), reduction="sum")
    loss.backward()
    return {"seconds": time.perf_counter() - wall, "cpu": time.process_time() - processor, "loss": loss.item()}


def time_kvista(arguments, budget):
    environment = dict(os.environ, KVISTA_BENCH_MODEL=arguments.model, OMP_NUM_THREADS=str(arguments.threads))
    command = [arguments.bench, f"--benchmark_filter=forwardBackward/budgetMiB:{budget}/", "--benchmark_format=json"]
    output = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    result = json.loads(output)["benchmarks"][0]
    return {"seconds": result["real_time"], "cpu": result["cpu_time"], "loss": result["loss"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bench", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model = load(arguments.model)
    time_torch(model)  # the first pass also sets up the libraries
    programs = {
        "PyTorch": lambda: time_torch(model),
        "KVista": lambda: time_kvista(arguments, 1024),
        "KVista, nothing kept": lambda: time_kvista(arguments, 0),
    }
    for number in range(arguments.rounds):
        results = {name: program() for name, program in programs.items()}
        for name, result in results.items():
            ratio = result["seconds"] / results["PyTorch"]["seconds"]
            print(
                f"round {number + 1}: {name:20} {result['seconds']:.2f} s ({ratio:.2f} of PyTorch's), "
                f"{result['cpu']:.2f} s of processor, loss {result['loss']:.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
