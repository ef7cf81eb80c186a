# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""The engine as packaging/bundle packs it: alone with glibc, a shell and torch, far from where it was built."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from engine import Engine
from program import ENVIRONMENT, MODEL, PROGRAM, SOURCE, TEXTS, answer

BUILD = Path(PROGRAM).resolve().parents[1]
CACHE = (BUILD / "CMakeCache.txt").read_text() if (BUILD / "CMakeCache.txt").exists() else ""
TORCH = Path(re.search(r"^KVISTA_TORCH_DIR:\w+=(.+)$", CACHE, re.MULTILINE)[1]) if CACHE else None
PATHS = "/usr/sbin:/usr/bin:/sbin:/bin"
GLIBC = ["ld-linux-x86-64.so.2", "libc.so.6", "libm.so.6", "libdl.so.2", "librt.so.1", "libpthread.so.0", "libutil.so.1"]
# A namespace of its own needs no root; what is mounted in it is gone with it.
BARE = """
set -e
mount --rbind /proc "$0/proc"
mount --rbind /dev "$0/dev"
mount --bind "$TORCH_PACKAGES" "$0/packages"
exec chroot "$0" /engine/bin/kvista "$@"
"""


def packed(folder, name):
    archive = folder / name
    done = subprocess.run(
        [SOURCE / "packaging/bundle", "--build", BUILD, "-o", archive], capture_output=True, text=True, env={**ENVIRONMENT, "TMPDIR": str(folder)}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return archive


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """The bundle's folder, unpacked and moved."""
    if not CACHE:
        pytest.skip(f"{BUILD} is not a build folder: an installed program cannot be packed")
    folder = tmp_path_factory.mktemp("bundle")
    archive = packed(folder, "a.tar.gz")
    subprocess.run(["tar", "xzf", archive, "-C", folder], check=True)
    archive.unlink()
    (unpacked,) = folder.iterdir()
    return unpacked.rename(folder / "moved")


def bare_root(bundle, root):
    """A folder to live in with nothing but glibc, a shell, the bundle and places for what is mounted."""
    for name in ("proc", "dev", "packages", "bin", "lib64", "lib/x86_64-linux-gnu"):
        (root / name).mkdir(parents=True)
    for name in GLIBC:
        source = next(path for path in (Path("/lib64") / name, Path("/lib/x86_64-linux-gnu") / name) if path.exists())
        shutil.copy(source, root / ("lib64" if name.startswith("ld") else "lib/x86_64-linux-gnu") / name)
    shutil.copy("/bin/sh", root / "bin/sh")
    shutil.copytree(bundle, root / "engine")
    shutil.copytree(MODEL, root / "model")
    shutil.copy(TEXTS / "evaluation.txt", root / "text.txt")


def test_it_works_where_there_is_nothing_but_glibc_a_shell_and_torch(bundle, tmp_path):
    allowed = subprocess.run(["unshare", "-rm", "true"], capture_output=True, text=True)
    if allowed.returncode != 0:
        pytest.skip(f"namespaces cannot be made here: {allowed.stderr.strip()}")
    bare_root(bundle, tmp_path)
    command = ["unshare", "-rm", "sh", "-c", BARE, tmp_path]
    environment = {"PATH": PATHS, "TORCH_PACKAGES": str(TORCH.parent), "KVISTA_TORCH_DIR": "/packages/torch", "OMP_NUM_THREADS": "1"}
    evaluate = ["--text", "text.txt", "--window", "64", "--windows", "2", "--json"]
    done = subprocess.run([*command, "evaluate", "model", *evaluate], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    expected = answer("evaluate", MODEL, "--text", TEXTS / "evaluation.txt", "--window", 64, "--windows", 2)
    assert json.loads(done.stdout)["perplexity"] == pytest.approx(expected["perplexity"], rel=1e-6)
    with Engine(command=command, environment=environment) as engine:
        assert engine.call("open", path="/model")["shape"]["layers"] == 8


def test_nothing_is_loaded_from_where_it_was_built(bundle):
    environment = {"PATH": PATHS, "LD_LIBRARY_PATH": f"{bundle}/lib:{TORCH}/lib"}
    for program in (bundle / "libexec").iterdir():
        loaded = subprocess.run(["ldd", program], capture_output=True, text=True, check=True, env=environment).stdout
        assert "not found" not in loaded
        places = [Path(path).resolve() for path in re.findall(r"=> (/\S+)", loaded)]
        ours = [path for path in places if not path.is_relative_to(TORCH.parent) and path.is_relative_to(bundle)]
        assert {path.name.split(".")[0] for path in ours} >= {"libfmt", "libpcre2-8", "libstdc++"}
        assert all(re.match(r"ld-linux|lib(c|m|dl|rt|pthread|util)[.-]", path.name) for path in places if not path.is_relative_to(TORCH.parent) and path not in ours)
        headers = subprocess.run(["readelf", "-d", program], capture_output=True, text=True, check=True).stdout
        assert re.findall(r"R(?:UN)?PATH.*\[(.*)\]", headers) == ["$ORIGIN/../lib"]


def test_torch_is_that_of_the_option_the_variable_or_python(bundle, tmp_path):
    kvista = bundle / "bin/kvista"

    def started(*arguments, **environment):
        return subprocess.run([kvista, *arguments], capture_output=True, text=True, env={"PATH": PATHS, "OMP_NUM_THREADS": "1", **environment})

    assert "coded" in started("--torch", TORCH, "list", "methods").stdout
    assert "coded" in started("list", "methods", KVISTA_TORCH_DIR=str(TORCH)).stdout
    python = tmp_path / "python3"  # the active one, which knows where its torch is
    python.write_text(f"#!/bin/sh\necho {TORCH}\n")
    python.chmod(0o755)
    assert "coded" in started("list", "methods", PATH=f"{tmp_path}:{PATHS}").stdout
    (tmp_path / "kvista").symlink_to(kvista)  # as one puts it into the PATH, so that `ssh HOST kvista engine` finds it
    linked = subprocess.run(["kvista", "--torch", TORCH, "--version"], capture_output=True, text=True, env={"PATH": f"{tmp_path}:{PATHS}"})
    assert linked.stdout.startswith("kvista "), linked.stderr

    python.write_text("#!/bin/sh\nexit 1\n")
    nowhere = started("engine", PATH=f"{tmp_path}:{PATHS}")
    assert nowhere.returncode == 4 and "No torch 2.11 was found" in nowhere.stderr
    assert '"layers": 8' in started("inspect", MODEL, "--json", PATH=f"{tmp_path}:{PATHS}").stdout, "what needs no torch works without"
    (tmp_path / "torch/lib").mkdir(parents=True)
    (tmp_path / "torch/lib/libtorch_cpu.so").touch()
    (tmp_path / "torch/version.py").write_text("__version__ = '2.8.0+cu128'\n")
    other = started("list", KVISTA_TORCH_DIR=str(tmp_path / "torch"))
    assert other.returncode == 4 and "is 2.8.0+cu128, but 2.11 is needed" in other.stderr


def test_it_has_its_licences(bundle):
    notices = (bundle / "doc/THIRD-PARTY-NOTICES").read_text()
    assert all(name in notices for name in ("libfmt", "pcre2", "utf8proc", "xxhash", "libstdc++", "torch 2.11"))
    assert (bundle / "doc/LICENSE").exists() and (bundle / "doc/LICENSES/Apache-2.0.txt").exists()
    assert not [file for file in bundle.rglob("*") if file.suffix != ".md" and ("studio" in file.name or "Qt" in file.name)]
