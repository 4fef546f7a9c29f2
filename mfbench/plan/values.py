"""Checks one value of a suite against a parameter of a signature, and brings it into its one canonical form.

Canonical means that what is asked the same way has the same identity: 1 and 1.0 for a float are 1.0.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfbench.identity import sha256_of
from mfbench.spelling import did_you_mean
from mfbench.wording import Where, show

if TYPE_CHECKING:
    from mfbench.registry.schema import Parameter

Special = Callable[[Where, Any], Any]
"""Reads one reference or one file: `(where, raw) -> value`."""


def check_value(parameter: Parameter, raw: Any, where: Where, special: Special) -> Any:
    """`raw` in canonical form, or UserError; `special` reads what is a reference or a file.

    An empty list is refused unless the parameter's default is one, and so is a negative whole number unless
    the default is negative: whole numbers count something.
    """
    if raw is None and parameter.nullable:
        return None
    if not parameter.many:
        return _item(parameter, raw, where, special)
    if not isinstance(raw, list):
        raise where.error(f"expected {parameter.describe()}, found {show(raw)}: write [{show(raw)}]")
    if not raw and parameter.default != []:
        raise where.error(f"the list is empty: expected {parameter.describe()}")
    one = replace(parameter, many=False, nullable=False)
    return [_item(one, item, where.item(index), special) for index, item in enumerate(raw)]


def _item(parameter: Parameter, raw: Any, where: Where, special: Special) -> Any:
    if parameter.type in ("ref", "file"):
        return special(where, raw)
    try:
        value = parameter.conform(raw)
    except ValueError:
        words = [choice for choice in parameter.choices if isinstance(choice, str)]
        hint = did_you_mean(raw, words) if words and isinstance(raw, str) else ""
        raise where.error(f"expected {parameter.describe()}, found {show(raw)}{hint}") from None
    if parameter.type == "float":
        return value + 0.0  # no -0.0: it would have an identity of its own
    if parameter.type == "int" and value < 0 and not _has_negative(parameter.default):
        raise where.error(f"expected 0 or more, found {value}")
    return value


def _has_negative(default: Any) -> bool:
    values = default if isinstance(default, list) else [default]
    return any(isinstance(value, int) and value < 0 for value in values)


def check_file(folder: Path, where: Where, raw: Any) -> dict[str, str]:
    """The file or folder named, `{"file": absolute path, "sha256": of its content}`; relative to `folder`."""
    if not isinstance(raw, str) or not raw or "\0" in raw:
        raise where.error(f"expected the path of a file or folder, found {show(raw)}")
    try:
        path = Path(os.path.normpath(folder / Path(raw).expanduser()))
        return {"file": str(path), "sha256": content_hash(path)}
    except FileNotFoundError:
        raise where.error(f"there is no file or folder {show(str(path))}") from None
    except (OSError, RuntimeError) as error:  # RuntimeError: "~nobody/x"
        raise where.error(f"{show(raw)} cannot be read: {getattr(error, 'strerror', error)}") from None


def content_hash(path: Path) -> str:
    """SHA-256 of a file's bytes; of a folder, of the names and hashes of all files in it."""
    if not path.is_dir():
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    return sha256_of({file.relative_to(path).as_posix(): content_hash(file) for file in _files(path)})


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())
