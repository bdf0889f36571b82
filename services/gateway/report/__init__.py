"""A finished job as a document to print: A4, PDF, drawn with ReportLab. Pure: job, pictures and card in, bytes out."""

from services.gateway.report.document import REPORT_VERSION, Pictures, render

__all__ = ["REPORT_VERSION", "Pictures", "render"]
