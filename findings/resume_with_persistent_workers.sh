#!/usr/bin/env bash
# A resumed Trainer gives other weights than an uninterrupted one if dataloader workers are persistent and the model has dropout
#
# Versions    transformers 5.19.0, torch 2.14.1, accelerate 1.15.0
# Input       6 rows in batches of 2, 4 steps with dropout, 1 dataloader worker; once in one go, once resumed from the checkpoint of step 2
# Expected    equal weights: the checkpoint holds the states of all random generators, and the rows come in the same order
# Behaviour   equal without persistent workers, different with them: a persistent loader draws its seed from torch's generator once, the
#             resumed run has one loader for the rest of its epoch and another for the next, which draws again, and dropout masks shift
source "$(dirname "$0")/_run.sh"
packages transformers==5.19.0 torch==2.14.1 accelerate==1.15.0
seen=$(observe <<'PYTHON'
import os, tempfile
import torch
from transformers import PrinterCallback, Trainer, TrainingArguments

class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.dropout = torch.nn.Linear(8, 8), torch.nn.Dropout(0.5)
    def forward(self, x):
        return {"loss": self.dropout(self.layer(x)).square().mean()}

rows = [{"x": torch.full((8,), float(number))} for number in range(6)]

def trained(folder, persistent, checkpoint=None):
    args = TrainingArguments(
        folder, per_device_train_batch_size=2, max_steps=4, save_steps=2, dataloader_num_workers=1, seed=0, report_to="none",
        dataloader_persistent_workers=persistent, use_cpu=True, disable_tqdm=True, logging_strategy="no",
    )
    torch.manual_seed(0)
    trainer = Trainer(Model(), args, train_dataset=rows)
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=checkpoint)
    return trainer.model.layer.weight.detach()

for persistent in (False, True):
    with tempfile.TemporaryDirectory() as folder:
        whole = trained(folder, persistent)
        resumed = trained(folder, persistent, os.path.join(folder, "checkpoint-2"))
        print(f"persistent_workers {persistent}: {'equal' if torch.equal(whole, resumed) else 'different'} weights after step 4")
PYTHON
)
verdict "persistent_workers False: equal weights after step 4
persistent_workers True: different weights after step 4" "$seen"
