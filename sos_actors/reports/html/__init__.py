"""The tear sheet: a run as one HTML page that needs nothing else."""

from sos_actors.reports.html.sheet import tear_sheet, write_tear_sheet

__all__ = ["tear_sheet", "write_tear_sheet"]
