"""`ganvas import`."""

import shlex
from pathlib import Path
from typing import Literal

from ganvas.cli import console
from ganvas.cli.commands._base import Command
from ganvas.cli.flag_types import Flag
from ganvas.core.atomic_io import make_folder, require_place, write_whole
from ganvas.errors import UsageError


def import_(
    file: Path,
    /,
    *,
    out: Path,
    statistics: Literal["running", "image"] = "running",
    overwrite: Flag = False,
) -> None:
    """Convert weights saved by the PyTorch CycleGAN-and-pix2pix code to a model file, for `ganvas translate`.

    Its generators (ResNet, U-Net) are recognised from the weights alone. No code in FILE is run.

    Args:
        file: the weights: latest_net_G.pth, .pt or .safetensors
        out: the model file to write, a .safetensors
        statistics: of a batch norm: running, those of training, as that code's test uses with --eval; or image, each
            image's own, as it uses without --eval. Other norms have only one way
        overwrite: replace an existing file
    """
    if out.suffix.lower() != ".safetensors":
        raise UsageError(f"--out {out}: a model file ends in .safetensors; rename it")
    if out.is_dir():
        raise UsageError(f"--out {out}: is a folder; name a .safetensors file")
    require_place(out.parent)
    with console.loading():
        from ganvas import checkpoint
        from ganvas.checkpoint.convert import import_weights
        from ganvas.inference.places import require_free

    require_free([out], overwrite=overwrite)
    if out.exists() and file.exists() and out.samefile(file):
        raise UsageError(f"--out {out}: is the file to import; choose another file")
    imported = import_weights(file, statistics=statistics)
    content = checkpoint.model_file(out.parent, imported.method, imported.manifest, step=0)
    write_whole(make_folder(out.parent) / out.name, content)
    if imported.batch_norm:
        other = "image" if statistics == "running" else "running"
        console.say(
            f"batch norm with {statistics} statistics; if images look wrong, try --statistics {other} --overwrite"
        )
    console.tell(f"{out}: {imported.words}")
    console.tell(f"  {shlex.join(['ganvas', 'translate', str(out), 'IMAGES', '--out', 'DIR'])}")


COMMAND = Command(
    run=import_,
    usage="FILE --out MODEL [OPTIONS]",
    examples=(
        "import latest_net_G.pth --out horse2zebra.safetensors",
        "import latest_net_G.pt --statistics running --out monet.safetensors",
    ),
)
