"""What a person asks of the prediction log: SQL over it, and why a model answered as it did.

Belongs here: the process that answers, bounded in time, memory and reach, and who starts it.
Does not belong here: what an answer means for a deployment.
Imports: as `embedded`; duckdb and onnx in the answering process alone.
"""
