"""The command line: `attending COMMAND …`. Words for people go to stderr, `--json` for machines to stdout.

Command files import the library inside their functions, so that help answers at once.
"""

import os
import sys

from cyclopts import App

from attending import __version__
from attending.cli import audit, compare, describe, rate, records, run, search, seismometer, stages
from attending.errors import AttendingError, ConfigError

app = App(
    name="attending",
    version=__version__,
    help="Attention-based patient representations and diagnosis predictions that people can check.",
    help_epilogue="Research use only: not a medical device.",
)
for command in (
    run.run,
    run.simulate,
    records.ingest,
    records.update,
    records.export,
    stages.split,
    stages.label,
    stages.tokenize,
    rate.find_rate,
    search.search,
    stages.train,
    stages.predict,
    stages.evaluate,
    stages.explain,
    stages.report,
    compare.compare,
    compare.multiverse,
    compare.validate,
    audit.audit,
    seismometer.seismometer,
):
    app.command(command)
app.command(describe.list_components, name="list")
app.command(describe.show)


# On a shared machine, waiting threads of the math libraries would spin and take the cores that others could use.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("KMP_BLOCKTIME", "0")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; a mistake is answered in words, never with a stack trace.

    A command that finds something wrong returns its exit code.
    """
    code: object = 0
    try:
        _check_company(sys.argv[1:] if arguments is None else arguments)
        code = app(arguments, result_action="return_value")
    except AttendingError as error:
        print(f"attending: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print("attending: stopped; the same command goes on where it was", file=sys.stderr)
        return 130
    return code if isinstance(code, int) else 0


def _check_company(arguments: list[str]) -> None:
    """Refuse to do the same work in each of the processes that `torchrun` started."""
    several = "TORCHELASTIC_RUN_ID" in os.environ and os.environ.get("WORLD_SIZE", "1") != "1"
    if several and arguments[:1] != ["train"]:
        raise ConfigError(
            f"expected 'train', the only command that several processes share; got '{' '.join(arguments[:1])}': "
            "run it without torchrun"
        )


if __name__ == "__main__":
    sys.exit(main())
