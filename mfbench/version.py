"""The version, for the rooms below the package's front door."""

__version__ = "0.1.0"
