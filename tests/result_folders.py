"""Folders of results such as evaluate, compare and study leave, made of textures, with names that mean harm."""

import csv
import io
import json

import numpy as np
from PIL import Image

SCRIPT, PIPES = "<script>alert(1)</script>.png", "a|b\"c'.jpg"
MODELS, BASELINE = ("pix2pix", "auto|<b>$en$coder"), "input"
SIZE, N = 24, 12


def texture(rng):
    """An image of blurred noise with a colour of its own."""
    coarse = rng.integers(0, 256, (SIZE // 4, SIZE // 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((SIZE, SIZE), Image.Resampling.BICUBIC)


def write_image(path, rng):
    path.parent.mkdir(parents=True, exist_ok=True)
    texture(rng).save(path)


def score(name, each, *, better="higher", unit="", digits=".4f", reference=MODELS):
    """A score over images, from the values of each answer."""
    values = {}
    for answer, row in each.items():
        mean, half = float(np.mean(row)), 1.96 * float(np.std(row)) / len(row) ** 0.5
        values[answer] = {"value": mean, "low": mean - half, "high": mean + half}
    first, second = reference
    gap = np.subtract(each[first], each[second])
    mean, half = float(gap.mean()), 1.96 * float(gap.std()) / len(gap) ** 0.5
    verdict = f"{first} is better than {second} in {name} by {mean:{digits}} (95 %: ...), n = {len(gap)}"
    difference = {"first": first, "second": second, "value": mean, "low": mean - half, "high": mean + half}
    return {
        "name": name,
        "unit": unit,
        "better": better,
        "digits": digits,
        "meaning": f"what {name} says",
        "n": len(gap),
        "values": values,
        "winner": first,
        "differences": [difference | {"verdict": verdict}],
        "each": True,
    }


def write_pairs(folder, *, n=N):
    """A comparison of two models and a baseline on images with targets; returns what metrics.json holds."""
    rng = np.random.default_rng(0)
    answers = (*MODELS, BASELINE)
    ssim = {answer: rng.normal(0.8 - 0.1 * place, 0.05, n) for place, answer in enumerate(answers)}
    psnr = {answer: rng.normal(24 - 2 * place, 1.5, n) for place, answer in enumerate(answers)}
    mae = {answer: rng.normal(9 + 3 * place, 1.5, n) for place, answer in enumerate(answers)}
    scores = [score("SSIM", ssim), score("PSNR", psnr, unit="dB", digits=".2f")]
    scores.append(score("MAE", mae, better="lower", digits=".2f"))
    fid = {
        "pix2pix": {"value": 61.2345, "low": None, "high": None},
        MODELS[1]: {"value": 80.5, "low": 77.0, "high": 84.0},
    }
    scores.append(
        {
            "name": "FID",
            "unit": "",
            "better": "lower",
            "digits": ".2f",
            "meaning": "distance of sets",
            "n": n,
            "values": fid,
            "winner": None,
            "differences": [],
            "each": False,
        }
    )
    names = [SCRIPT, PIPES, "lake at night.jpg", *(f"image-{number:03d}.jpg" for number in range(3, n))]
    why = {
        0: ["evenly taken", "best for pix2pix by SSIM"],
        3: ["evenly taken"],
        6: ["evenly taken"],
        9: ["evenly taken"],
        1: ["worst for pix2pix by SSIM"],
        2: ["best for auto|<b>$en$coder by PSNR"],
        5: ["where they disagree most in SSIM"],
    }
    images = []
    for number, reasons in why.items():
        files = {}
        for place, column in enumerate((BASELINE, *MODELS, "target")):
            files[column] = f"images/{number:05d}-answer {place}#.png"
            write_image(folder / files[column], rng)
        images.append({"number": number, "name": names[number], "why": reasons, "files": files})
    write_image(folder / "grid.png", rng)
    metrics = {
        "version": 2,
        "kind": "pairs",
        "title": "pix2pix and <i>autoencoder</i> on photos (held out)",
        "models": [
            {
                "name": MODELS[0],
                "method": "pix2pix",
                "step": 2000,
                "parameters": 54410000,
                "megabytes": 217.3,
                "size": 128,
            },
            {
                "name": MODELS[1],
                "method": "autoencoder",
                "step": 3100,
                "parameters": 12345,
                "megabytes": 0.1,
                "size": 128,
            },
        ],
        "baselines": {BASELINE: "the input as its own answer: what doing nothing scores"},
        "protocol": {
            "images": f"{n} of photos & more",
            "n": n,
            "rounding": "8 bits",
            "dropout": False,
            "share": 0.125,
            "versions": {"ganvas": "0.1.0", "torch": "2.6 <x>"},
        },
        "notes": [f"2 of {n + 2} images left out: autoencoder learned from them ({SCRIPT}, b.jpg)"],
        "scores": scores,
        "images": images,
        "columns": [BASELINE, *MODELS, "target"],
        "grids": {"grid": "grid.png"},
    }
    write_numbers(folder, metrics, {"SSIM": ssim, "PSNR": psnr, "MAE": mae}, names)
    return metrics


def write_numbers(folder, metrics, each, names):
    """The files of numbers: all, image by image, and how long it took."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    timing = {"device": "cpu", "threads": 2, "milliseconds": {model["name"]: 41.26 for model in metrics["models"]}}
    (folder / "timing.json").write_text(json.dumps(timing), encoding="utf-8")
    heads = [(answer, name) for name, answers in each.items() for answer in answers]
    table = io.StringIO()
    rows = csv.writer(table)
    rows.writerow(["image", "name", *(" ".join(head) for head in heads)])
    for number, name in enumerate(names):
        rows.writerow([number, name, *(f"{each[score][answer][number]:.6f}" for answer, score in heads)])
    (folder / "metrics.csv").write_text(table.getvalue(), encoding="utf-8", newline="")


def write_drawn(folder):
    """An evaluation of one model that draws, with intervals known in part and counts of classes."""
    rng = np.random.default_rng(1)
    for name in ("samples.png", "nearest.png"):
        write_image(folder / name, rng)
    value = {
        "cgan": {"value": 12.3456, "low": 11.9, "high": 12.8},
        "training images": {"value": 1.5, "low": None, "high": None},
    }
    asked = {"cgan": {"value": 0.9712, "low": None, "high": None}}
    common = {"winner": None, "differences": [], "each": False, "n": 10000}
    metrics = {
        "version": 2,
        "kind": "generated",
        "title": "cgan on mnist",
        "models": [
            {"name": "cgan", "method": "cgan", "step": 900, "parameters": 3200000, "megabytes": 12.8, "size": 28}
        ],
        "baselines": {"training images": "as good as can be, for they are real"},
        "protocol": {"generated": 10000, "features": "digits"},
        "notes": [],
        "images": [],
        "columns": [],
        "scores": [
            {
                "name": "FID (digits)",
                "unit": "",
                "better": "lower",
                "digits": ".2f",
                "meaning": "distance",
                "values": value,
                **common,
            },
            {
                "name": "asked class",
                "unit": "",
                "better": "near 1",
                "digits": ".3f",
                "meaning": "share",
                "values": asked,
                **common,
            },
        ],
        "grids": {"samples": "samples.png", "nearest": "nearest.png"},
        "classes": {"cgan": {str(digit): 1000 + 7 * digit for digit in range(10)}},
    }
    (folder / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    return metrics


def write_study(folder):
    """A study of two tasks, the second begun only."""
    metrics, _ = (write_pairs(folder / "colour" / f"seed {seed}") for seed in range(2))
    columns = [
        {key: score[key] for key in ("name", "unit", "better", "digits", "meaning")} for score in metrics["scores"][:2]
    ]
    scores = {
        answer: {
            "SSIM": {"mean": 0.81234 - 0.1 * place, "spread": 0.0043, "n": 2},
            "PSNR": {"mean": 24.5, "spread": None, "n": 1},
        }
        for place, answer in enumerate((*MODELS, BASELINE))
    }
    study = {
        "version": 2,
        "title": "Two methods, <b>two</b> tasks",
        "description": ["What is better, and how sure is that?"],
        "notes": ["targets of monet are made"],
        "unfinished": ["monet, pix2pix, seed 1: diverged after 400 steps"],
        "baselines": metrics["baselines"],
        "scores": columns,
        "protocol": {"budget": "10 minutes each", "versions": {"torch": "2.6"}},
        "tasks": [
            {
                "name": "colour",
                "words": "grey photographs in colour",
                "notes": [],
                "answers": [*MODELS, BASELINE],
                "scores": scores,
                "winners": {"SSIM": "pix2pix", "PSNR": None},
                "verdicts": ["pix2pix is better in SSIM by 0.1, 2 seeds"],
                "training": {"pix2pix": {"minutes": 10.25, "steps": 1840, "seeds": 2, "words": "one was stopped"}},
                "reports": [{"name": f"seed {seed}", "folder": f"colour/seed {seed}"} for seed in range(2)],
            },
            {"name": "monet|<u>", "words": "", "answers": ["pix2pix"], "scores": {}, "reports": []},
        ],
    }
    (folder / "study.json").write_text(json.dumps(study), encoding="utf-8")
    return study
