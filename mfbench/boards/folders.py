"""Words of a command without the folders of the machine that it ran on."""

from __future__ import annotations

import re

_FOLDERS = re.compile(r"""(?<![\w.:/*)\]-])~?/(?:[^/"',=\[\]{}\s][^/"',=\[\]{}]*/)+""")
"""What stands before a file's name in an absolute path; relative ones, patterns and addresses have none."""


def without_folders(word: str) -> str:
    """`/data/me/run.sqlite` as `run.sqlite`, in a word such as `--store=...` or `weights=["..."]` as well."""
    return _FOLDERS.sub("", word)
