"""How models teach each other: one method per file, all behind `base.Distiller`."""
