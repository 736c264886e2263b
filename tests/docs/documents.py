"""Run what the documents tell a reader to do, in a folder of small studies: the blocks of a page, one after another.

    ```yaml, ```python with a path as first comment    written to that file
    ```python                                          run
    ```sh                                              `attending …` runs in this process, `make …` must be a target
    ```text, ```toml, none                             only read

Whatever a page says, studies are made tiny when they are written, and `/data/` is a folder of made-up data.
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from attending.cli.main import main

ROOT = Path(__file__).parent.parent.parent
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "data").glob("*.md")),
]
STAGES_WITH_WORKERS = ("ingest", "update", "export", "label", "tokenize")
TINY_MODELS = {
    "retain": {"width": 8, "width_alpha": 8, "width_beta": 8},
    "transformer": {"width": 8, "n_layers": 1, "n_heads": 2},
    "gru": {"width": 8, "width_state": 8},
    "fading_mean": {"width": 8},
    "logistic_counts": {"iterations": 4, "strengths": [0.01], "sparsities": []},
    "gbm_counts": {
        "n_trees": 1,
        "min_positives": 150,
        "n_leaves": [15],
        "min_leaf": [20],
        "learning_rate": [0.1],
    },
}
TINY = {
    "workers": 1,
    "batches": {"max_tokens": 32},
    "evaluate": {"n_replicates": 20, "min_positives": 5},
}
BASELINES = ("popularity", "copy_history", "age_sex", "logistic_counts", "gbm_counts")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    language: str
    text: str
    line: int

    @property
    def path(self) -> str | None:
        """The file that the block is, if its first line is a comment that names one."""
        found = re.match(r"# ([\w./-]+\.(?:yaml|py))\n", self.text)
        return found[1] if found else None


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    found = re.finditer(r"^```(\w*)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [Block(one[1], one[2], text[: one.start()].count("\n") + 1) for one in found]


def shrink(text: str) -> str:
    """Make a study so small that it runs in seconds, and leave what it says otherwise."""
    study = yaml.safe_load(text)
    if "simulate" in study:
        study["simulate"]["n_subjects"] = 250
    study |= TINY
    study["task"] = study.get("task", {"name": "next_diagnoses"}) | {"min_train_subjects": 5}
    study["train"] = study.get("train", {}) | {"epochs": 1}
    study["train_each"] = {name: one | {"epochs": 1} for name, one in study.get("train_each", {}).items()}
    if "data" in study and "baselines" not in study:
        study["baselines"] = ["popularity", "copy_history"]
    for kind, default in (("models", ["retain", "transformer", "gru"]), ("baselines", BASELINES)):
        study[kind] = [_tiny(one) for one in study.get(kind, default)]
    return yaml.safe_dump(study, sort_keys=False)


def _tiny(model: str | dict[str, Any]) -> dict[str, Any]:
    given = {"name": model} if isinstance(model, str) else model
    return given | TINY_MODELS.get(given["name"], {})


def here(text: str, folder: Path) -> str:
    """Point the example paths of a page into `folder`."""
    return re.sub(r"(?<![\w*])/data/", f"{folder}/data/", text)


def commands(block: Block) -> list[list[str]]:
    """Return the commands of a shell block, split as a shell would."""
    lines = block.text.replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def run_command(words: list[str], folder: Path) -> None:
    """Run a command of a page; fail if it fails or is none that we know."""
    program, *rest = words
    if program == "make":
        run_command(shlex.split(recipe(rest[0])), folder) if rest[0] == "demo" else recipe(rest[0])
        return
    assert program == "attending", f"a page runs {program}, which no test runs"
    arguments = [here(one, folder) for one in rest]
    if arguments[0] in STAGES_WITH_WORKERS:
        arguments += ["--workers", "1"]
    assert main(arguments) == 0, " ".join(words)


def recipe(target: str) -> str:
    """Return the command of a target of the Makefile."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    found = re.search(rf"^{target}:.*\n\t(?:\$\(BIN\)/)?(.*)$", text, flags=re.MULTILINE)
    assert found, f"the Makefile has no target {target}"
    return found[1]


def run_block(block: Block, folder: Path, names: dict[str, Any], page: Path) -> None:
    """Do what a block says, in `folder`, which is the working folder."""
    if block.path:
        target = folder / block.path
        target.parent.mkdir(parents=True, exist_ok=True)
        text = here(block.text, folder)
        target.write_text(shrink(text) if target.suffix == ".yaml" else text, encoding="utf-8")
    elif block.language == "python":
        padded = "\n" * block.line + here(
            block.text, folder
        )  # so that a traceback names the line of the page
        exec(compile(padded, str(page), "exec"), names)
    elif block.language == "sh":
        for words in commands(block):
            run_command(words, folder)
    else:
        assert block.language in ("text", "toml", ""), f"{page.name}: no test runs {block.language}"
