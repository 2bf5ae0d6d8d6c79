"""What runs by itself: the worker loop, executors, retraining of a champion's set-up."""
