"""One training or import job: the process that makes a model, converts it and proves it.

Belongs here: everything that runs user code or loads a library of models, and the few values that
cross to the process that waits for it (`exchange`, `launch`).
Does not belong here: what becomes of a model afterwards.
Imports: as `embedded`; pandas, scikit-learn, onnx and their like in the job's own process alone.
"""
