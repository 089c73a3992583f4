"""Logs: one JSON object a line, or coloured for a person; no tokens, no bodies, no addresses."""

import logging
import sys

import structlog


def configure(*, level: str = "info") -> None:
    """Send everything to standard error, so that a command's output stays its own."""
    for_person = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([] if for_person else [structlog.processors.format_exc_info]),
            structlog.dev.ConsoleRenderer() if for_person else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
