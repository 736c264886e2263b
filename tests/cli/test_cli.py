import contextlib
import json
import subprocess
import sys

import pytest

from attending.cli.main import main


def output(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_list_prints_json_with_a_name_and_a_line_each(capsys) -> None:
    code, out, _ = output(capsys, "list", "models", "--json")
    found = json.loads(out)
    assert code == 0
    assert {"name", "summary"} == set(found[0])
    assert "retain" in [one["name"] for one in found]


def test_list_prints_a_line_each_for_people(capsys) -> None:
    _, out, _ = output(capsys, "list", "tasks")
    assert any(line.startswith("next_diagnoses") for line in out.splitlines())


def test_show_describes_a_component_and_its_settings(capsys) -> None:
    _, out, _ = output(capsys, "show", "models", "retain", "--json")
    shown = json.loads(out)
    assert "NeurIPS 2016" in shown["description"]
    assert shown["settings"]["width"]["default"] == 128


def test_a_mistake_is_answered_in_words_and_with_code_two(capsys, tmp_path) -> None:
    code, out, err = output(capsys, "show", "models", "ratain")
    assert (code, out) == (2, "")
    assert err == "attending: " + err.removeprefix("attending: ")
    assert "did you mean 'retain'?" in err
    code, _, err = output(capsys, "run", str(tmp_path / "none.yaml"))
    assert code == 2
    assert "cannot read the settings file" in err
    code, _, err = output(capsys, "tokenize", str(tmp_path), str(tmp_path / "out"), "tokens.min_subject=3")
    assert code == 2
    assert "did you mean 'min_subjects'?" in err
    code, _, err = output(capsys, "tokenize", str(tmp_path), str(tmp_path / "out"), "train.epochs=3")
    assert code == 2
    assert "no settings 'train.…' in this command" in err


def test_an_unknown_command_fails_with_a_hint() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "attending.cli.main", "rnu"], check=False, capture_output=True, text=True
    )
    assert found.returncode != 0
    assert "run" in found.stderr + found.stdout
    assert "Traceback" not in found.stderr


def test_help_imports_neither_torch_nor_polars() -> None:
    code = (
        "import sys\nfrom attending.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print([m for m in ('torch', 'polars', 'pydantic', 'sklearn') if m in sys.modules], file=sys.stderr)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stderr.strip().endswith("[]")
    assert "run" in found.stdout


@pytest.mark.parametrize(
    "command",
    [
        "run",
        "simulate",
        "ingest",
        "label",
        "tokenize",
        "find-rate",
        "train",
        "predict",
        "evaluate",
        "explain",
        "report",
        "list",
        "show",
    ],
)
def test_every_command_has_help(capsys, command: str) -> None:
    with contextlib.suppress(SystemExit):
        main([command, "--help"])
    out = capsys.readouterr().out
    assert "Usage" in out
    assert len(out.splitlines()) > 5
