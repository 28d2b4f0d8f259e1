"""Which of many pictures are shown of an evaluation, and how they lie."""

from collections.abc import Sequence

import torch
from torch import Tensor


class Chosen:
    """The few pictures that are kept for the sheet while all go by: some evenly, and the best and worst by a score."""

    def __init__(self, n: int, across: int):
        """Choose among `n`, to be laid out with `across` to a row."""
        self.across, self.seen = across, 0
        self.even = {number: torch.empty(0) for number in evenly(n, 2 * across)}
        self.ranked = list[tuple[float, int, Tensor]]()  # best first

    def add(self, kinds: Tensor, scores: Tensor) -> None:
        """Pictures (N, K, C, H, W), K of them under each other, and their scores (N,), of which more is better."""
        rows = list(zip(scores.tolist(), range(self.seen, self.seen + len(scores)), kinds.unbind(), strict=True))
        self.seen += len(rows)
        self.even |= {number: row.clone() for _, number, row in rows if number in self.even}
        ranked, half = sorted(self.ranked + rows, key=lambda row: (-row[0], row[1])), self.across // 2
        kept = ranked if len(ranked) <= 2 * half else ranked[:half] + ranked[-half:]
        self.ranked = [(score, number, row.clone()) for score, number, row in kept]  # the part itself may go

    def numbers(self) -> dict[str, list[int]]:
        """Which are shown, by why."""
        half = len(self.ranked) // 2
        ranked = [number for _, number, _ in self.ranked]
        return {
            "evenly": list(self.even),
            "best": ranked[: len(ranked) - half],
            "worst": ranked[len(ranked) - half :],
        }

    def sheet(self) -> Tensor:
        """All of them, uint8 (M, C, H, W): kinds under each other, the last band from the best to the worst."""
        return bands([list(self.even.values()), [row for _, _, row in self.ranked]], self.across)


def evenly(n: int, most: int) -> list[int]:
    """Up to `most` numbers below `n`, evenly from the first on."""
    some = min(n, most)
    return [i * n // some for i in range(some)]


def bands(groups: Sequence[Sequence[Tensor]], across: int) -> Tensor:
    """Pictures (K, C, H, W) each with its K kinds under each other, `across` to a row; white where a row lacks some."""
    rows = []
    for group in groups:
        for start in range(0, len(group), across):
            band = list(group[start : start + across])
            band += [torch.full_like(band[0], 255)] * (across - len(band))
            rows.append(torch.stack(band, 1).flatten(0, 1))  # (K * across, C, H, W)
    return torch.cat(rows)
