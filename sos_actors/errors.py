"""The errors a user can cause. Each says what is wrong, where, and what to do; the command prints it and exits."""

from __future__ import annotations


class SosError(Exception):
    """Base of every error the command shows as one line. `exit_status`: 1 failed, 2 bad usage or input."""

    exit_status = 1


class InputError(SosError):
    """What the user gave is wrong: a file, a date, a symbol, a setting."""

    exit_status = 2


class StorageError(SosError):
    """The database cannot be used: corrupt, of a newer version, locked, or the disk is full."""


class DataError(SosError):
    """Market data that was asked for is not there."""
