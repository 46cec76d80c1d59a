"""Dispatch in virtual time: traces played against the sandbox, beside an offline optimum."""
