"""ganvas in a few lines: the same as quickstart.ipynb, as a script."""

import torch
from torch.utils.data import TensorDataset

import ganvas

# a generator of handwritten digits, told the class
model = ganvas.train("cgan", "digits", run="runs/d", steps=200, seed=0)

# an image depends on its seed and label alone
model.generate(10, label="3", seed=7).grid(columns=5).save("threes.png")

# a grid, a folder of PNG files, a uint8 tensor (N, C, H, W)
images = model.generate(2)
images.grid(columns=10).save("digits.png")
images.save("digits/", overwrite=True)
print(images.tensor.shape)

# a translator: from noisy digits to clean ones
noisy = ganvas.Data("digits", task="denoise:0.3", size=32)
unet = ganvas.train("pix2pix", noisy, "runs/unet", steps=20, width=8, discriminator_width=8)

# it takes a path, a PIL image, a uint8 array or tensor, or a list of them
unet.translate(images[3]).save("clean.png")

# a second one, without a discriminator
autoencoder = ganvas.train("autoencoder", noisy, "runs/autoencoder", steps=20, width=8)

# the same test images through both: which is better, by how much, and how sure that is
report = ganvas.compare([unet, autoencoder], noisy, features="none")
print(report["psnr"].values)

print(report.verdict)
print(report.save("report")[0])  # index.html, to look at

# training is an iterator of events, and a torch data set is data
torch.manual_seed(0)  # the same images when it runs again
mine = TensorDataset(torch.rand(100, 3, 32, 32))
for event in ganvas.iter_train("dcgan", mine, "runs/mine", steps=50, batch=16, width=8, hidden=64):
    if isinstance(event, ganvas.Progress) and event.step >= 3:
        break  # leaving it saves
