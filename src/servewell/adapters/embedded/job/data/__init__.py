"""Measuring of rows with pyarrow and NumPy: pure functions of tables, no decision.

It may import the ports and the core, and what a job knows of held-out rows.
"""
