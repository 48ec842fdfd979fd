"""Servewell takes a trained model to production and keeps it honest there."""

__version__ = "0.1.0"
