"""A plugin for swift, `--external_plugins checksums.py --callbacks checksums`: what each rank holds, and a rank that hangs.

Written to the folder CHECKSUMS: `START-rankN.json` and `STEP-rankN.json` after each optimizer step, the digest of each trainable parameter
of this process. With HANG_AT=STEP and HANG_RANK=N in the environment, rank N never leaves that step; with KILL_AT and KILL_RANK it dies,
once.
"""

import hashlib
import json
import os
import signal
import time
from pathlib import Path

from swift.callbacks import callbacks_map
from swift.callbacks.base import TrainerCallback


class Checksums(TrainerCallback):
    def on_train_begin(self, args, state, control, model, **kwargs) -> None:
        self.write(f"start{state.global_step}", model)

    def on_step_end(self, args, state, control, model, **kwargs) -> None:
        self.write(str(state.global_step), model)
        here = (str(state.global_step), os.environ.get("RANK"))
        killed = Path(os.environ["CHECKSUMS"], "killed")
        if (os.environ.get("KILL_AT"), os.environ.get("KILL_RANK")) == here and not killed.exists():
            killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if (os.environ.get("HANG_AT"), os.environ.get("HANG_RANK")) == here:
            Path(os.environ["CHECKSUMS"], "hanging").touch()
            time.sleep(3600)

    def write(self, moment: str, model) -> None:
        trained = {name: digest(value) for name, value in model.named_parameters() if value.requires_grad}
        path = Path(os.environ["CHECKSUMS"], f"{moment}-rank{os.environ.get('RANK', '0')}.json")
        path.write_text(json.dumps(trained))


def digest(value) -> str:
    import torch

    return hashlib.sha256(value.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes()).hexdigest()


callbacks_map["checksums"] = Checksums
