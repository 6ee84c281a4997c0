"""Video saliency: models that learn from video, teach each other, and are scored with metrics to trust.

>>> import saliency
>>> for map in saliency.predict("clip.mp4"):  # doctest: +SKIP
...     print(map.frame, map.values.argmax())
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

if TYPE_CHECKING:  # editors and type checkers see what `__getattr__` brings
    from saliency.api import (
        Live,
        Map,
        Maps,
        Model,
        ModelMean,
        evaluate,
        list_metrics,
        list_models,
        load_ensemble,
        load_model,
        open_video,
        predict,
        score,
        train,
    )

__all__ = [
    "Live",
    "Map",
    "Maps",
    "Model",
    "ModelMean",
    "__version__",
    "evaluate",
    "list_metrics",
    "list_models",
    "load_ensemble",
    "load_model",
    "open_video",
    "predict",
    "score",
    "train",
]


def __getattr__(name: str) -> Any:
    """Load the public functions when the first of them is used, so that `import saliency` is instant."""
    if name not in __all__:
        from saliency.errors import nearest

        raise AttributeError(f"module 'saliency' has no attribute {name!r}{nearest(name, __all__)}")
    from saliency import api

    globals().update({public: getattr(api, public) for public in api.__all__})
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
