"""Build hook: an editable install follows links that some checkouts have lost; say so instead of half working."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LINKS = ("saliency/models", "saliency/datasets", "saliency/metrics", "saliency/configs", ".editable/saliency")


class LinkCheck(BuildHookInterface):
    """Refuse an editable install from a checkout without links (Windows without ``core.symlinks``)."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Check the links before an editable install."""
        lost = [link for link in LINKS if not (Path(self.root) / link).is_dir()]
        if version == "editable" and lost:
            raise SystemExit(
                f"{lost[0]} is not a link here, so an editable install would lack code: run "
                "'git config core.symlinks true && git checkout -- saliency .editable', or install with 'pip install .'"
            )
