"""Training: from declared inputs to a model file that says all of where it came from.

A *run* is one training. Its record (dataset version, split, features, algorithm, parameters, seed, code and package
versions) is enough to do it again. Preprocessing lives inside the saved pipeline; model files are skops files, loaded
only against one reviewed list of types, so loading never executes code from the file.

The seed seeds the fit, never the split, so runs on one dataset version share their rows. The pipeline is made of
scikit-learn's own parts: an encoder of ours would answer one row in less than their 4 ms, but every reader would have
to trust it. Everything computes in one thread, above 50,000 training rows in two: the same record then gives the same
bits on every machine, and threads do not wait for each other on busy cores.
"""
