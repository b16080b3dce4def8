"""The steps that a recipe may name; herdbook/recipe.py lists and runs them."""
