"""What everything else stands on: random numbers, the device, processes, settings, files written whole."""
