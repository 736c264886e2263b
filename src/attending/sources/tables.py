"""Any folder of CSV or Parquet tables, described by a mapping in YAML.

The mapping says which files there are, whose rows they hold, and which events each row becomes: code, time, value,
unit, text, visit. `docs/data/tables.md` explains the language with an example; no program is written, and none is
run: a mapping holds names and literals only. The rules for time are the mapping's own, with two that it cannot
forget: an event must say when it happened (or that it is `static`), and a date without a time of day stands for the
last second of its day.

A mapping that names a column that a file does not have is refused before anything is read, unless it says that the
column is optional.
"""

from pathlib import Path

from pydantic import model_validator

from attending.config import Settings
from attending.ledger.table import Source
from attending.mapping.files import checked
from attending.mapping.source import read

MAPPING = "mapping.yaml"


class Config(Settings):
    """Settings of the source.

    mapping     the YAML file that describes the tables; by default `mapping.yaml` in their folder
    content     its fingerprint, which fills itself in: a mapping that changed is another source
    """

    mapping: Path | None = None
    content: str = ""

    @model_validator(mode="before")
    @classmethod
    def _with_content(cls, values: dict[str, object]) -> dict[str, object]:
        return values | {"content": _fingerprint(values.get("mapping"))}


def source(folder: Path, config: Config) -> Source:
    """Describe the tables in `folder` as the mapping does.

    Raises:
        ConfigError: naming file, line and key of what does not fit the language or the files.
    """
    path = config.mapping or folder / MAPPING
    return checked(read(path), folder, path)


def _fingerprint(mapping: object) -> str:
    from hashlib import blake2b

    path = Path(str(mapping)) if mapping else None
    return blake2b(path.read_bytes(), digest_size=8).hexdigest() if path and path.is_file() else ""
