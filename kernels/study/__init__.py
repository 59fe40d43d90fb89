"""Recorded judgments through the skill kernels: how the model is judged on data. No worker imports this."""
