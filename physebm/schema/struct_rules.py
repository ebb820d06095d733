"""What a struct may ask of its own keys, in ``__post_init__``.

Some keys mean something only beside certain values of another key of their table: ``rungs`` belongs to
method "pt", and beside any other method it would be read by nobody. A struct lists them in ``owners``.
Such keys are None until they are written, so that written ones can be refused; then `fill` gives the
others their defaults.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from physebm.schema.convert import Problem
from physebm.schema.written import plain


@dataclass(frozen=True)
class Owner:
    """A key is read where the key `selector` of the same table has one of `values`.

    `default` is what the selector is where it is not written; `words` say its values for people,
    where "SELECTOR VALUE" would not.
    """

    selector: str
    values: tuple[str | None, ...]
    default: str | None
    words: tuple[tuple[str | None, str], ...] = ()

    def reads(self, chosen: object) -> bool:
        """Whether the key is read where the selector is `chosen`; None: not written."""
        return (self.default if chosen is None else chosen) in self.values

    def hint(self, key: str, chosen: object) -> str:
        """Why `key` is out of place."""
        owners = " and ".join(self._word(each) for each in self.values)
        return f"`{key}` belongs to {owners}; here is {self._word(chosen or self.default)}"

    def _word(self, value: object) -> str:
        return dict(self.words).get(value, f"{self.selector} {value}")


Owners = Mapping[str, tuple[Owner, ...]]


def stranger(owners: Owners, key: str, chosen: Callable[[str], object]) -> Owner | None:
    """The first owner that does not read `key`, None where all do; `chosen` tells the selectors."""
    return next((o for o in owners.get(key, ()) if not o.reads(chosen(o.selector))), None)


def refuse_strangers(held: msgspec.Struct) -> None:
    """Raise `Problem` for a written key that the others of its table leave without a reader."""
    for key in held.owners:
        owner = stranger(held.owners, key, lambda name: getattr(held, name))
        if owner is not None and getattr(held, key) is not None:
            hint = owner.hint(key, getattr(held, owner.selector))
            raise Problem(f".{key}", got=plain(getattr(held, key)), hint=hint)


def unread_keys(held: msgspec.Struct) -> tuple[str, ...]:
    """The keys of a resolved struct that nobody reads."""
    return tuple(
        key for key in held.owners if stranger(held.owners, key, lambda name: getattr(held, name))
    )


def reduced(held: msgspec.Struct) -> tuple:
    """For ``__reduce__``: a worker makes the struct again, from the keys that are read.

    The others have their defaults by now, which would be refused like written ones.
    """
    read = {k: getattr(held, k) for k in held.__struct_fields__ if k not in held.unread}
    return _made, (type(held), read)


def _made(kind: type[msgspec.Struct], fields: Mapping[str, Any]) -> msgspec.Struct:
    return kind(**fields)


def fill(held: msgspec.Struct, defaults: Mapping[str, Any]) -> None:
    """Give keys that are None their defaults."""
    for key, default in defaults.items():
        if getattr(held, key) is None:
            msgspec.structs.force_setattr(held, key, default)


def require_whole(held: msgspec.Struct, **least: int) -> None:
    """Raise `Problem` for a number below its least."""
    for key, low in least.items():
        value = getattr(held, key)
        if value is not None and value < low:
            raise Problem(f".{key}", got=value, expected=f"a whole number, {low} or more")


def require_positive(held: msgspec.Struct, *keys: str) -> None:
    """Raise `Problem` for a number that is not above zero and finite."""
    for key in keys:
        value = getattr(held, key)
        if value is not None and not (math.isfinite(value) and value > 0):
            raise Problem(f".{key}", got=value, expected="a number above zero")


def require_share(held: msgspec.Struct, **what: str) -> None:
    """Raise `Problem` for a number outside [0, 1); `what` says what the number is."""
    for key, words in what.items():
        value = getattr(held, key)
        if value is not None and not 0.0 <= value < 1.0:
            raise Problem(f".{key}", got=value, expected=f"{words}, 0 to below 1")
