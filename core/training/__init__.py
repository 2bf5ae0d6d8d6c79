"""Training: from declared inputs to a model file that says all of where it came from.

A *run* is one training. Its record (dataset version, split, features, algorithm, parameters, seed, code and package
versions) is enough to do it again. Preprocessing lives inside the saved pipeline; model files are skops files, loaded
only against one reviewed list of types, so loading never executes code from the file.
"""
