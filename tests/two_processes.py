"""What each of several processes does in the tests of them: `torchrun ... two_processes.py OUT`."""

import sys
from pathlib import Path

import torch
from conftest import facts_of, small_config, source_for, taught
from test_processes import BATCH, learned, make, whole_batch

from ganvas import methods, processes, training
from ganvas.errors import SettingError
from ganvas.nets.synchronised import synchronise


def main(out: Path) -> None:
    with processes.joined(torch.device("cpu")):
        rank, count = processes.rank(), processes.count()
        found = {}
        for name in methods.names():
            source = source_for(name, n=BATCH)
            method = taught(make(name, source))
            synchronise(method)
            rows = slice(rank * BATCH // count, (rank + 1) * BATCH // count)
            mine = whole_batch(source).over(lambda t, rows=rows: t[rows])
            found[name] = learned(method, mine)
        mean = processes.mean(torch.tensor([float(rank)], requires_grad=True))
        found["agreed"] = torch.tensor(processes.agree(10.0 + rank, wish=rank == 1), dtype=torch.float64)
        found["mean"] = mean.detach()
        found["together"] = processes.together(torch.full((2, 3), float(rank)))
        found["told"] = torch.tensor(list(processes.tell_all(None if rank else b"abc")))
        try:
            training.require_shares(facts_of(source_for("gan"), config=small_config("gan", batch=7)), 1)
        except SettingError as error:
            found["refused"] = torch.tensor(list(str(error).encode()))
        torch.save(found, out / f"{rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
