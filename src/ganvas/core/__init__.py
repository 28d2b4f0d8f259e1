"""The base of everything else: random numbers, the device, processes, settings, atomic files."""
