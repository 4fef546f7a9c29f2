"""What is published of a path: the file's name. The folders of a machine are nobody else's business."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

_FOLDERS = re.compile(r"""(?<![\w.:/*)\]-])~?/(?:[^/"',=\[\]{}\s][^/"',=\[\]{}]*/)+""")
"""What stands before a file's name in an absolute path; relative ones, patterns and addresses have none."""


def without_folders(word: Any) -> Any:
    """`/data/me/run.sqlite` as `run.sqlite`, in a word such as `--store=...` or `weights=["..."]` as well.

    What is no text (records can come from anywhere) stays what it is.
    """
    return _FOLDERS.sub("", word) if isinstance(word, str) else word


def names_files(choice: Any) -> bool:
    """Whether there is a `{"file": path, "sha256": ...}` in a choice."""
    if isinstance(choice, Mapping):
        return "sha256" in choice or any(map(names_files, choice.values()))
    return isinstance(choice, list) and any(map(names_files, choice))


def named_files(choice: Any) -> Any:
    """A choice with the names of its files in place of their paths, which are no part of its identity."""
    if isinstance(choice, Mapping):
        if choice.keys() == {"file", "sha256"}:
            return {**choice, "file": PurePath(choice["file"]).name}
        return {key: named_files(value) for key, value in choice.items()}
    return [named_files(item) for item in choice] if isinstance(choice, list) else choice
