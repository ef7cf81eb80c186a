# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Builds the GPU kernels of this checkpoint: `python build_kernels.py`, with the torch that will load the model and a CUDA
toolkit of its version. They are optional: kvista_kernels.so appears beside this file, and the model code uses it for decoding
on a GPU when it is there. Without it the model computes the same with torch's own operators.

`--arch 9.0` compiles for a GPU that this machine does not have."""

import argparse
import os
import shutil
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCES = ("direct_attention.cu", "rebuilt_attention.cu", "rebuilt_packed_attention.cu", "rebuilt_warpgroup_attention.cu", "kernels_binding.cpp")


def architectures(wanted):
    """What torch calls the GPUs to compile for: of 9.0 also what no other one has."""
    if not wanted:
        import torch

        capabilities = {torch.cuda.get_device_capability(gpu) for gpu in range(torch.cuda.device_count())}
        wanted = ";".join(f"{major}.{minor}" for major, minor in sorted(capabilities))
    return ";".join("9.0a" if name == "9.0" else name for name in wanted.split(";"))


def build(target, verbose=False):
    from torch.utils import cpp_extension

    missing = [name for name in SOURCES if not (HERE / name).is_file()]
    if missing:
        raise SystemExit(f"{HERE} lacks {', '.join(missing)}: export the checkpoint again.")
    with tempfile.TemporaryDirectory() as temporary:
        tree = Path(temporary)
        headers = tree / "core" / "cuda"
        headers.mkdir(parents=True)
        for file in HERE.iterdir():
            if file.suffix in (".h", ".cuh", ".cu"):
                shutil.copy(file, headers)
        shutil.copy(HERE / "kernels_binding.cpp", tree)
        (tree / "build").mkdir()
        cpp_extension.load(
            "kvista_kernels",
            [str(tree / "kernels_binding.cpp"), *(str(headers / name) for name in SOURCES if name.endswith(".cu"))],
            extra_include_paths=[str(tree)],
            extra_cflags=["-O2"],
            extra_cuda_cflags=["-O3", "--expt-relaxed-constexpr"],
            build_directory=str(tree / "build"),
            is_python_module=False,
            with_cuda=True,
            verbose=verbose,
        )
        shutil.move(tree / "build" / "kvista_kernels.so", target)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--arch", help="compute capability of the GPU, such as 9.0 (default: of the GPUs that are here)")
    options.add_argument("--verbose", action="store_true", help="show the compilers' command lines")
    chosen = options.parse_args()
    wanted = architectures(chosen.arch or os.environ.get("TORCH_CUDA_ARCH_LIST", ""))
    if wanted:
        os.environ["TORCH_CUDA_ARCH_LIST"] = wanted
    target = HERE / "kvista_kernels.so"
    build(target, chosen.verbose)
    print(f"{target} is built: load the model as before, and it decodes with it on a GPU.")


if __name__ == "__main__":
    main()
