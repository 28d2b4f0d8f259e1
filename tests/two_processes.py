"""What each of several processes does in the tests: `torchrun ... two_processes.py OUT`, where OUT has a run."""

import sys
from pathlib import Path

import torch
from conftest import manifest_of, small_config, source_for, taught
from test_processes import BATCH, POOL_STEPS, learned, make, pooled, state_of, whole_batch

from ganvas import checkpoint, methods, training
from ganvas.core import distributed
from ganvas.errors import DataError, SettingError
from ganvas.nets.sync_batchnorm import synchronise


def own_rows_of(batch):
    """The share of this process."""
    rows = slice(
        distributed.rank() * BATCH // distributed.count(), (distributed.rank() + 1) * BATCH // distributed.count()
    )
    return batch.over(lambda t: t[rows])


def refused(function, *given):
    """What an error says, as a tensor."""
    try:
        function(*given)
    except (SettingError, DataError) as error:
        return torch.tensor(list(str(error).encode()))
    return torch.tensor([])


def main(out: Path) -> None:
    with distributed.joined(torch.device("cpu")):
        rank, found = distributed.rank(), {}
        for name in methods.names():
            source = source_for(name, n=BATCH)
            method = taught(make(name, source))
            synchronise(method)
            found[name] = learned(method, own_rows_of(whole_batch(source)))
        pairs = source_for("pix2pix", n=BATCH)
        found["in parts"] = learned(make("pix2pix", pairs), own_rows_of(whole_batch(pairs)), parts=2)
        found["pool"] = pooled(own_rows_of, steps=POOL_STEPS)

        # the others see another folder, and begin with other weights and no optimiser state
        resumed = make("dcgan", source_for("dcgan"), seed=rank)
        step, seconds = checkpoint.resume_together(out / ("run" if rank == 0 else "nothing"), resumed)
        found["resumed"] = state_of(resumed) | {"step": torch.tensor(step), "seconds": torch.tensor(seconds)}

        mean = distributed.mean(torch.tensor([float(rank)], requires_grad=True))
        found["agreed"] = torch.tensor(distributed.agree(10.0 + rank, wish=rank == 1), dtype=torch.float64)
        found["mean"] = mean.detach()
        found["together"] = distributed.together(torch.full((2, 3), float(rank)))
        found["told"] = torch.tensor(list(distributed.tell_all(None if rank else b"abc")))
        manifest = manifest_of(source_for("gan"), config=small_config("gan", batch=7))
        found["refused batch"] = refused(training.require_shares, manifest, 1)
        found["refused data"] = refused(training.require_same_data, source_for("gan", n=BATCH + rank))
        torch.save(found, out / f"{rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
