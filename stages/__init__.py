"""One module a stage of dvc.yaml; `python -m stages NAME ARGS` runs one."""
