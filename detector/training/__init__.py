"""Labelled data -> a model, its figures and its card. Needs the ``train`` extra (scikit-learn, joblib)."""
