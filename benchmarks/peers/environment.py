"""Make the environment of a rival library: of its own, so that its pins and ours never meet.

    python benchmarks/peers/environment.py pyhealth [--python /path/to/python3.12]

makes `benchmarks/peers/.environments/pyhealth/`, once, and prints its Python. PyHealth 2.1.0 needs Python 3.12 or 3.13:
one is looked for on the path and among pyenv's versions.
"""

import argparse
import shutil
import subprocess
from pathlib import Path

PACKAGES = {"pyhealth": ("pyhealth==2.1.0",)}
TORCH = ("torch==2.13.0", "torchvision==0.28.0")
"""First and by itself: the version for CPUs, which the rival must not replace."""
FOLDER = Path(__file__).parent / ".environments"


def python_of(peer: str, base: str = "") -> Path:
    """Return the Python of a rival's environment, made if it is not there.

    Raises:
        RuntimeError: if there is no fitting Python, or a package cannot be installed.
    """
    folder = FOLDER / peer
    python, ready = folder / "bin" / "python", folder / "ready"
    if ready.exists():
        return python
    _run(base or _fitting(), "-m", "venv", "--clear", str(folder))
    (FOLDER / ".gitignore").write_text("*\n", encoding="utf-8")
    torch = folder / "torch.txt"
    torch.write_text("\n".join(TORCH) + "\n", encoding="utf-8")
    _run(str(python), "-m", "pip", "install", "--quiet", *TORCH)
    _run(str(python), "-m", "pip", "install", "--quiet", "--constraint", str(torch), *PACKAGES[peer])
    ready.touch()
    return python


def _fitting() -> str:
    """Return a Python that PyHealth supports."""
    pyenv = Path.home() / ".pyenv" / "versions"
    found = [shutil.which(name) for name in ("python3.12", "python3.13")]
    found += [
        str(path) for version in ("3.12", "3.13") for path in sorted(pyenv.glob(f"{version}.*/bin/python"))
    ]
    for python in filter(None, found):
        if not subprocess.run([python, "-c", "import venv"], capture_output=True, check=False).returncode:
            return str(python)
    raise RuntimeError("no Python 3.12 or 3.13: install one, or name it with --python")


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-1500:]}{done.stderr[-1500:]}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", choices=sorted(PACKAGES))
    parser.add_argument("--python", default="")
    options = parser.parse_args()
    print(python_of(options.peer, options.python))
