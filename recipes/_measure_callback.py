"""A plugin for swift: `--external_plugins _measure_callback.py --callbacks measure --include_num_input_tokens_seen true`.

Writes to the file MEASURED, when training ends: seconds and tokens of its optimizer steps without the first two (warm-up), and the peak
memory of the device (of the process, without a GPU).
"""

import json
import os
import resource
import statistics
import time
from pathlib import Path

import torch
from swift.callbacks import callbacks_map
from swift.callbacks.base import TrainerCallback

WARM_UP = 2


class Measure(TrainerCallback):
    """Times optimizer steps, with the GPU idle at both ends."""

    def on_train_begin(self, args, state, control, **kwargs) -> None:
        self.ends: list[float] = []
        self.tokens: list[int] = []
        self.note(state)

    def on_step_end(self, args, state, control, **kwargs) -> None:
        self.note(state)

    def note(self, state) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.ends.append(time.perf_counter())
        self.tokens.append(state.num_input_tokens_seen)

    def on_train_end(self, args, state, control, **kwargs) -> None:
        steps = [later - earlier for earlier, later in zip(self.ends[WARM_UP:], self.ends[WARM_UP + 1 :], strict=False)]
        seconds, tokens = self.ends[-1] - self.ends[WARM_UP], self.tokens[-1] - self.tokens[WARM_UP]
        measured = {
            "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
            "memory_gb": peak_bytes() / 1e9,
            "seconds_per_step": statistics.median(steps),
            "tokens_per_second": tokens / seconds,
            "tokens_per_step": tokens / len(steps),
            "rows_per_step": args.train_batch_size * args.gradient_accumulation_steps * args.world_size,
            "steps": len(steps),
        }
        Path(os.environ["MEASURED"]).write_text(json.dumps(measured))


def peak_bytes() -> int:
    if torch.cuda.is_available():
        return torch.cuda.max_memory_reserved()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


callbacks_map["measure"] = Measure
