"""The machine: devices, processes, signals, versions."""
