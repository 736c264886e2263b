"""What a resource says of others and of itself: references, and our own extension."""

from dataclasses import dataclass, field
from typing import NamedTuple

from attending.ontology import fhir
from attending.sources._fhir.resources import Extension, Part, Reference

OWN_ID = "="
"""What the text of a visit begins with where it is our own integer, not an identifier to be hashed."""


@dataclass
class Addresses:
    """What references point at: entries of the same bundle whose address is not their id, by address."""

    entries: dict[str, tuple[str, str]] = field(default_factory=dict)

    def id(self, reference: Reference | None, kind: str) -> str | None:
        """Return the id of the resource that is referred to; None where it is of another kind, or not there."""
        if reference is None:
            return None
        own = reference.identifier
        if own is not None and own.system == fhir.OWN_IDS:
            return own.value or None
        return self._id(reference.reference, kind)

    def visit(self, reference: Reference | None) -> str | None:
        """Return the id of the encounter that is referred to, marked where it is an integer of ours."""
        if reference is None:
            return None
        own = reference.identifier
        if own is not None and own.system == fhir.OWN_IDS and own.value:
            return OWN_ID + own.value
        return self._id(reference.reference, "Encounter")

    def _id(self, address: str | None, kind: str) -> str | None:
        if not address or address[0] == "#" or "?" in address:
            return None
        if address in self.entries:
            found, name = self.entries[address]
            return name if found == kind else None
        if address.startswith("urn:"):
            return address.rpartition(":")[2] or None
        parts = address.partition("/_history/")[0].split("/")
        return parts[-1] or None if len(parts) > 1 and parts[-2] == kind else None


class Own(NamedTuple):
    """Our own extension."""

    order: int | None = None
    priority: int | None = None
    available: str | None = None
    visit: str | None = None
    static: bool | None = None
    value: float | None = None
    text: str | None = None
    code: str | None = None


NOTHING = Own()
_NO_PART = Part()


def own(extensions: list[Extension] | None, url: str = fhir.EVENT) -> Own:
    """Return what our own extension says, if it is there."""
    for one in extensions or ():
        if one.url == url:
            parts = {part.url: part for part in one.extension or ()}
            return Own(
                order=parts.get("order", _NO_PART).value_integer,
                priority=parts.get("priority", _NO_PART).value_integer,
                available=parts.get("available", _NO_PART).value_date_time,
                visit=parts.get("visit", _NO_PART).value_string,
                static=parts.get("static", _NO_PART).value_boolean,
                value=parts.get("value", _NO_PART).value_decimal,
                text=parts.get("text", _NO_PART).value_string,
                code=parts.get("code", _NO_PART).value_string,
            )
    return NOTHING
