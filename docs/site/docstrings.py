"""How docstrings are read for the site: ``Example:`` is a section, as ``Examples:`` is."""

from griffe import Extension, Object


class Sections(Extension):
    """Renames the section before it is parsed."""

    def on_object(self, *, obj: Object, **_: object) -> None:
        """Change the docstring of an object in place."""
        if obj.docstring is not None:
            obj.docstring.value = obj.docstring.value.replace("\nExample:\n", "\nExamples:\n")
