"""One of the processes of a small training run, as `torchrun` starts them: `worker.py FOLDER SETTINGS`."""

import json
import os
import sys
from pathlib import Path

import torch

torch.set_num_threads(1)
sys.path.insert(0, str(Path(__file__).parent.parent))

from attending.train.parallel import team  # noqa: E402 - after the path is set
from attending.train.phases import learn  # noqa: E402
from small_runs import run_in  # noqa: E402

folder, settings = Path(sys.argv[1]), json.loads(sys.argv[2])
with team("cpu", settings["parallel"]) as together:
    run = run_in(folder, team=together, **settings)
    (folder / f"process-{together.rank}").write_text(str(os.getpid()))
    told = learn(run, "model")
    if together.leads:
        sys.stdout.write(json.dumps(told) + "\n")
