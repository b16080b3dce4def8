"""Drive the pipeline: Prefect flows over the graph of dvc.yaml. Nothing imports this package."""
