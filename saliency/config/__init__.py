"""What a run is: dataclasses, loading a config file, typed overrides, the resolved dump."""
