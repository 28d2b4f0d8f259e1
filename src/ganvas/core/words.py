"""What other tools call the settings of ganvas, and what they are asked for that ganvas does by itself."""

OURS = {
    "batch_size": "batch",
    "image_size": "size",
    "latent_dim": "latent",
    "lr": "learning_rate",
    "max_epochs": "epochs",
    "max_steps": "steps",
    "n": "count",
    "num_epochs": "epochs",
    "num_samples": "count",
    "num_steps": "steps",
    "resolution": "size",
}
NOT_NEEDED = {
    "gpu": "give `device` cuda, or nothing: auto takes the best available",
    "num_workers": "ganvas reads with as many workers as there are cores; leave it out",
    "resume": "a run that was begun continues where it stopped; leave it out",
    "workers": "ganvas reads with as many workers as there are cores; leave it out",
}
DEVICES = {"gpu": "cuda"}
