"""The option ``--splits``: which videos of a data set are trained, validated and tested on."""

from collections.abc import Sequence

from saliency.errors import InputError, nearest

SPLITS = ("train", "val", "test")


def parse_splits(words: Sequence[str]) -> dict[str, str]:
    """Return split -> videos of words like ``train=a,b``.

    Raises:
        InputError: a word is no such thing, or names a split twice.
    """
    splits: dict[str, str] = {}
    for word in words:
        split, equals, videos = word.partition("=")
        if not equals or split not in SPLITS:
            raise InputError(
                f"--splits {word}: write {', '.join(f'{name}=VIDEOS' for name in SPLITS)}{nearest(split, SPLITS)}; "
                "other settings stand before --splits"
            )
        if not videos.strip(", "):
            raise InputError(f"--splits {word}: names no video; write {split}=a,b or {split}=*")
        if split in splits:
            raise InputError(f"--splits: {split} is given twice; separate its videos by commas")
        splits[split] = videos
    return splits
